"""`scripts/syncthing` in a checkout of its own: what it takes, and what it says where nothing can be taken.

The download itself is not tried here (it needs the network): `./test` and CI live by it.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    (tmp_path / "checkout" / "scripts").mkdir(parents=True)
    (tmp_path / "checkout" / "pyproject.toml").touch()
    for name in ("env.sh", "syncthing"):
        shutil.copy(ROOT / "scripts" / name, tmp_path / "checkout" / "scripts" / name)
    return tmp_path / "checkout"


def program(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path


def run(checkout: Path, *words: str, env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [checkout / "scripts" / "syncthing", *words], capture_output=True, text=True, check=False, timeout=120,
        env={"PATH": "/usr/bin:/bin", "TMPDIR": str(checkout)} | (env or {}),
    )  # fmt: skip


@pytest.mark.parametrize("version", ["v1.27.0", "v1.29.5", "v1.100.0", "v2.0.0-rc.1", "v10.1.0"])
def test_one_that_is_new_enough_is_left_as_it_is(checkout: Path, tmp_path: Path, version: str) -> None:
    one = program(tmp_path / "bin" / "syncthing", f"echo 'syncthing {version} \"Gold\" (go)'")
    named = run(checkout, env={"LYTS_SYNCTHING": str(one)})
    on_path = run(checkout, env={"PATH": f"{one.parent}:/usr/bin:/bin"})
    for done in (named, on_path):
        assert (done.returncode, done.stdout, done.stderr) == (0, f"{one}\n", "")
    assert not (checkout / "tools").exists()


@pytest.mark.parametrize("says", ["echo syncthing v1.19.2 x", "echo syncthing v1.26.9", "echo hello", "exit 1"])
def test_one_that_is_too_old_is_passed_over_for_the_one_taken_before(checkout: Path, tmp_path: Path, says: str) -> None:
    old = program(tmp_path / "bin" / "syncthing", says)
    taken = program(checkout / "tools" / "syncthing" / "usr" / "bin" / "syncthing", "echo syncthing v1.29.5 x")
    done = run(checkout, env={"PATH": f"{old.parent}:/usr/bin:/bin"})
    assert (done.returncode, done.stdout, done.stderr) == (0, f"{taken}\n", "")


def stand_in(tmp_path: Path, apt_get: str) -> dict[str, str]:
    """An `apt-get` in the place of the machine's."""
    program(tmp_path / "bin" / "syncthing", "echo syncthing v1.19.2 x")
    program(tmp_path / "bin" / "apt-get", apt_get)
    return {"PATH": f"{tmp_path / 'bin'}:/usr/bin:/bin"}


@pytest.fixture
def on_debian() -> None:
    if not os.path.exists("/usr/share/keyrings/debian-archive-keyring.gpg") or not shutil.which("dpkg-deb"):
        pytest.skip("NOT TESTED: this is no Debian")


@pytest.mark.usefixtures("on_debian")
def test_without_a_mirror_it_says_what_to_do_instead(checkout: Path, tmp_path: Path) -> None:
    done = run(checkout, env=stand_in(tmp_path, "exit 0"))
    assert done.returncode == 3
    assert "name no mirror" in done.stderr
    assert "LYTS_SYNCTHING=/path/to/syncthing" in done.stderr
    assert not (checkout / "tools").exists()


# Says what mirror there is, and then does `$*` its way: `update` and `download` come as the last words.
MIRROR = """
case "$1" in indextargets) . /etc/os-release; echo "Packages main $VERSION_CODENAME mirror:/the/mirror"; exit;; esac
cp "$2" "$(dirname "$0")/conf"; cp "$(dirname "$2")/sources.list" "$(dirname "$0")/sources"
"""


@pytest.mark.usefixtures("on_debian")
def test_without_the_network_it_quotes_apt_and_leaves_nothing(checkout: Path, tmp_path: Path) -> None:
    done = run(checkout, env=stand_in(tmp_path, MIRROR + "echo 'E: no such host' >&2; exit 100"))
    assert done.returncode == 3
    assert "E: no such host" in done.stderr
    assert "is the network there?" in done.stderr
    assert sorted(os.listdir(checkout)) == ["pyproject.toml", "scripts"]
    # Its own list of sources and state, of the machine's own mirror, signatures checked.
    sources = (tmp_path / "bin" / "sources").read_text()
    assert sources == (
        "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] mirror:/the/mirror trixie main\n"
    )
    conf = (tmp_path / "bin" / "conf").read_text()
    for word in ("Dir::State", "Dir::State::Status", "Dir::Cache", "Dir::Etc::SourceList"):
        assert f'{word} "{checkout}/' in conf
    assert 'AllowInsecureRepositories "false"' in conf


@pytest.mark.usefixtures("on_debian")
def test_a_package_that_does_not_run_here_is_not_taken(checkout: Path, tmp_path: Path) -> None:
    build = tmp_path / "build"
    program(build / "usr" / "bin" / "syncthing", "echo syncthing v1.20.0 x")
    (build / "DEBIAN").mkdir()
    (build / "DEBIAN" / "control").write_text(
        "Package: syncthing\nVersion: 1\nArchitecture: all\nMaintainer: nobody <nobody@localhost>\nDescription: x\n"
    )
    deb = tmp_path / "it.deb"
    subprocess.run(["dpkg-deb", "--build", "-Znone", build, deb], check=True, capture_output=True, timeout=60)
    env = stand_in(tmp_path, MIRROR + f'case "$*" in *download*) cp {deb} syncthing_1_all.deb;; esac')
    done = run(checkout, env=env)
    assert done.returncode == 3
    assert "does not run here or is too old" in done.stderr
    assert not (checkout / "tools" / "syncthing").exists()

    program(build / "usr" / "bin" / "syncthing", "echo syncthing v1.29.5 x")
    subprocess.run(["dpkg-deb", "--build", "-Znone", build, deb], check=True, capture_output=True, timeout=60)
    done = run(checkout, env=env)
    taken = checkout / "tools" / "syncthing" / "usr" / "bin" / "syncthing"
    assert (done.returncode, done.stdout) == (0, f"{taken}\n")
    assert run(checkout, env=stand_in(tmp_path, "exit 9")).stdout == f"{taken}\n"
