# shellcheck shell=sh
# What ./demo, ./test and ./prove share; read with `.`, not run.
#
#   ROOT          the checkout
#   prepare run   .venv with lyts in it            (requirements/run.lock)
#   prepare dev   the same and the tools for tests (requirements/dev.lock)
#
# POSIX sh. Works from a bare Debian 12 that has only git, with any umask, locale and
# current directory, and without the network once everything is installed.

# Whatever the person's shell is set to: the same here as everywhere.
umask 022
unset CDPATH PYTHONHOME PYTHONPATH PYTHONSTARTUP PYTHONWARNINGS
LC_ALL=C.UTF-8
PIP_DISABLE_PIP_VERSION_CHECK=1
PIP_NO_INPUT=1
PIP_USER=0
export LC_ALL PIP_DISABLE_PIP_VERSION_CHECK PIP_NO_INPUT PIP_USER

# $0 is the script that reads this file: in the root, or in a folder below it.
ROOT=$(cd -- "$(dirname -- "$0")" && pwd -P)
while [ ! -f "$ROOT/pyproject.toml" ]; do
    [ "$ROOT" != / ] || { echo "where is pyproject.toml? (started as $0)" >&2; exit 3; }
    ROOT=$(dirname -- "$ROOT")
done
VENV=$ROOT/.venv

say() { printf '%s\n' "$*" >&2; }
die() { say "${0##*/}: $*"; exit 3; }

# --- Python -----------------------------------------------------------------

# Can it make a virtual environment? Debian's own needs the package python3-venv.
python_is_fit() {
    "$1" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1
}

# Sets PYTHON to the first that fits. LYTS_PYTHON=/path/to/python chooses.
find_python() {
    for PYTHON in ${LYTS_PYTHON:+"$LYTS_PYTHON"} python3 /usr/bin/python3 \
        python3.14 python3.13 python3.12 python3.11; do
        if python_is_fit "$PYTHON"; then return 0; fi
    done
    return 1
}

# --- system packages --------------------------------------------------------

# install_packages NAME...: through apt-get, as root or with sudo; says what is needed otherwise.
install_packages() {
    need="please install these system packages and start again: $*"
    command -v apt-get >/dev/null 2>&1 || die "there is no apt-get here; $need"
    if [ "$(id -u)" -eq 0 ]; then
        as_root=env
    elif command -v sudo >/dev/null 2>&1 && { [ -t 0 ] || sudo -n true 2>/dev/null; }; then
        as_root='sudo env'
    else
        die "$need (this needs root: apt-get install $*)"
    fi
    say "Installing system packages: $*"
    apt_log=$(mktemp)
    # $as_root is one or two words on purpose. A list of packages that cannot be renewed
    # (no network) may still name what is needed.
    # shellcheck disable=SC2086
    if ! {
        $as_root DEBIAN_FRONTEND=noninteractive apt-get update -qq || echo 'apt-get update failed; trying all the same'
        $as_root DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends "$@"
    } > "$apt_log" 2>&1; then
        cat -- "$apt_log" >&2
        rm -f -- "$apt_log"
        die "apt-get could not install them; $need"
    fi
    rm -f -- "$apt_log"
}

# --- the virtual environment ------------------------------------------------

# One line that changes with anything that would change what is installed.
stamp_of() {
    {
        cat -- "$ROOT/requirements/$1.lock" "$ROOT/pyproject.toml"
        printf '%s\n' "$VENV"
        "$VENV/bin/python" -c 'import sys; print(sys.version)'
    } | sha256sum | cut -d ' ' -f 1
}

venv_works() {
    "$VENV/bin/python" -c 'import sys, pip; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1
}

# is_current LOCK: was exactly this installed, and has nothing changed since?
is_current() {
    [ -f "$VENV/installed-$1" ] && venv_works && [ "$(cat -- "$VENV/installed-$1")" = "$(stamp_of "$1")" ]
}

prepare() {
    # The environment for tests is one for running, too.
    if is_current dev || is_current "$1"; then
        if [ "$1" = run ] || is_current dev; then return 0; fi
    fi
    if ! venv_works; then
        if ! find_python; then
            install_packages python3 python3-venv ca-certificates
            find_python || die "there is still no Python 3.11 or newer that can make a virtual environment"
        fi
        say "Making the virtual environment .venv"
        rm -rf -- "$VENV"
        "$PYTHON" -m venv "$VENV" || die "could not make $VENV"
    fi
    say "Installing into .venv (requirements/$1.lock)"
    rm -f -- "$VENV"/installed-*
    if ! "$VENV/bin/python" -m pip install -qq --require-hashes -r "$ROOT/requirements/$1.lock" >&2 ||
        ! "$VENV/bin/python" -m pip install -qq --no-deps --no-build-isolation --editable "$ROOT" >&2; then
        die "the installation failed; is the network there? Start again to go on where it stopped"
    fi
    stamp_of "$1" > "$VENV/installed-$1"
}
