# shellcheck shell=sh
# What ./demo, ./test and ./prove share; read with `.`, not run.
#
#   ROOT          the checkout
#   prepare run   .venv with lyts in it            (requirements/mount.lock; where that cannot be,
#                                                   requirements/run.lock: all but the mount)
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

# try_packages NAME...: through apt-get, as root or with sudo. Otherwise `why` says why not.
try_packages() {
    why='there is no apt-get here'
    command -v apt-get >/dev/null 2>&1 || return 1
    if [ "$(id -u)" -eq 0 ]; then
        as_root=env
    elif command -v sudo >/dev/null 2>&1 && { [ -t 0 ] || sudo -n true 2>/dev/null; }; then
        as_root='sudo env'
    else
        why="this needs root: apt-get install $*"
        return 1
    fi
    say "Installing system packages: $*"
    apt_log=$(mktemp)
    # $as_root is one or two words on purpose. A list of packages that cannot be renewed
    # (no network) may still name what is needed.
    # shellcheck disable=SC2086
    if {
        $as_root DEBIAN_FRONTEND=noninteractive apt-get update -qq || echo 'apt-get update failed; trying all the same'
        $as_root DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends "$@"
    } > "$apt_log" 2>&1; then
        rm -f -- "$apt_log"
        return 0
    fi
    cat -- "$apt_log" >&2
    rm -f -- "$apt_log"
    why='apt-get could not install them'
    return 1
}

# install_packages NAME...: the same, and the end where it cannot be.
install_packages() {
    try_packages "$@" || die "$why; please install these system packages and start again: $*"
}

# --- what the mount is built with -------------------------------------------

# pyfuse3 is compiled here: against libfuse3, for this Python.
can_build_mount() {
    command -v pkg-config >/dev/null 2>&1 && pkg-config --exists fuse3 2>/dev/null &&
        command -v gcc >/dev/null 2>&1 && command -v fusermount3 >/dev/null 2>&1 &&
        "$VENV/bin/python" -c 'import os, sys, sysconfig
sys.exit(not os.path.exists(os.path.join(sysconfig.get_path("include"), "Python.h")))'
}

# What it needs from the system; otherwise `why` says what is missing.
prepare_mount() {
    can_build_mount && return 0
    try_packages fuse3 libfuse3-dev pkg-config gcc libc6-dev python3-dev || return 1
    can_build_mount && return 0
    why="the C headers of $("$VENV/bin/python" -c 'import sys; print(sys.base_prefix)')/bin/python3 are missing"
    return 1
}

# --- the virtual environment ------------------------------------------------

# One line that changes with anything that would change what is installed.
stamp_of() {
    {
        cat -- "$ROOT/requirements/$1.lock" "$ROOT/requirements/build.lock" "$ROOT/pyproject.toml"
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

# install LOCK: what the lock says, and lyts as it stands here.
install() {
    say "Installing into .venv (requirements/$1.lock)"
    rm -f -- "$VENV"/installed-*
    if [ "$1" != run ]; then
        # First what pyfuse3 is built with, so that building it fetches nothing unchecked.
        pip_install --require-hashes -r "$ROOT/requirements/build.lock" || return 1
    fi
    pip_install --require-hashes --no-build-isolation -r "$ROOT/requirements/$1.lock" || return 1
    pip_install --no-deps --no-build-isolation --editable "$ROOT" || return 1
    stamp_of "$1" > "$VENV/installed-$1"
}

pip_install() { "$VENV/bin/python" -m pip install -qq "$@" >&2; }

prepare() {
    # The environment for tests is one for running, too; without the mount it is tried again.
    if is_current dev; then return 0; fi
    if [ "$1" = run ] && is_current mount; then return 0; fi
    if ! venv_works; then
        if ! find_python; then
            install_packages python3 python3-venv ca-certificates
            find_python || die "there is still no Python 3.11 or newer that can make a virtual environment"
        fi
        say "Making the virtual environment .venv"
        rm -rf -- "$VENV"
        "$PYTHON" -m venv "$VENV" || die "could not make $VENV"
    fi
    failed="the installation failed; is the network there? Start again to go on where it stopped"
    if prepare_mount; then
        if [ "$1" = dev ]; then
            install dev || die "$failed"
            return 0
        fi
        if install mount; then return 0; fi
        why='pyfuse3 could not be installed, see above'
    elif [ "$1" = dev ]; then
        die "the tests need what the mount is built with: fuse3 libfuse3-dev pkg-config gcc python3-dev ($why)"
    fi
    say "Going on WITHOUT the mount: $why."
    if is_current run; then return 0; fi
    install run || die "$failed"
}
