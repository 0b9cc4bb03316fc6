"""`lyts mount` and what belongs to it, as commands: real processes, a real /dev/fuse."""

from __future__ import annotations

import errno
import os
import shutil
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from tagfs.change import Change
from tagfs.glossary import NODE_THING
from tagfs.mount.point import FS_TYPE, mount_points
from tagfs.nodeset import set_id
from tagfs.store import Store
from tests.support.command import PATIENCE_S, START, Lyts
from tests.support.mounting import eventually, need, need_fuse


class Home(Lyts):
    """A library of two songs, and `at`, where it is mounted. Whatever a test leaves mounted is taken away."""

    def __init__(self, home: Path) -> None:
        super().__init__(home)
        self.at = home / "lyts"

    def mount(self, *words: str) -> Path:
        """`lyts mount` in the background; where."""
        self("mount", *words)
        return self.at

    def mounted(self) -> list[str]:
        """The mount points below this home."""
        return [path for path, kind in mount_points() if kind == FS_TYPE and path.startswith(f"{self.home}/")]

    def processes(self) -> list[int]:
        """The processes that mount this store."""
        found = []
        for name in os.listdir("/proc"):
            try:
                if name.isdigit() and f"LYTS_STORE={self.store}\0" in Path(f"/proc/{name}/environ").read_text():
                    words = Path(f"/proc/{name}/cmdline").read_text().split("\0")
                    found += [int(name)] if "mount" in words else []
            except (OSError, UnicodeDecodeError):
                continue
        return found

    def log(self) -> str:
        return (self.home / "state" / "lyts" / "mount.log").read_text()


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Home]:
    need_fuse()
    made = Home(tmp_path)
    for name, tags in (("a.flac", "music,flac"), ("b.mp3", "music,live")):
        made.quick("add", "--move", "-t", tags, made.file(name))
    try:
        yield made
    finally:
        for pid in made.processes():
            os.kill(pid, signal.SIGKILL)
        for where in made.mounted():
            subprocess.run(["fusermount3", "-uz", "--", where], check=False, timeout=PATIENCE_S)
    made.check()


# -- mount, umount -----------------------------------------------------------------


def test_mount_returns_once_it_answers_and_umount_once_all_has_ended(home: Home) -> None:
    done = home("mount")
    assert done.out == f"your library is in {home.at} (lyts umount ends that)\n"
    assert done.err == ""
    assert os.listdir(home.at / "tags" / "music+flac") == ["a.flac"]
    (pid,) = home.processes()
    # Alone: in a session of its own, no stream of ours, nowhere that could not be unmounted.
    assert os.getsid(pid) == pid
    assert {os.readlink(f"/proc/{pid}/fd/{fd}") for fd in range(3)} == {"/dev/null"}
    assert os.readlink(f"/proc/{pid}/cwd") == "/"
    (home.at / "tags" / "music+live" / "new.txt").write_text("new")
    assert home("umount").out == ""
    assert home.processes() == []
    assert home.mounted() == []
    assert home.names("music+live") == ["b.mp3", "new.txt"]
    assert f"mounted on {home.at}" in home.log()
    assert f"unmounted {home.at}" in home.log()
    assert "WARNING" not in home.log()
    assert "ERROR" not in home.log()


def test_mount_holds_nothing_that_the_calling_script_had_open(home: Home) -> None:
    reading, writing = os.pipe()
    subprocess.run([*START, "mount"], env=home.env, pass_fds=(writing,), check=True, timeout=PATIENCE_S)
    os.close(writing)
    assert os.read(reading, 1) == b""  # the end: nobody else holds the other side
    os.close(reading)
    home("umount")


def test_mount_elsewhere_and_twice_at_once(home: Home) -> None:
    other = home.home / "with a blank"
    home.mount()
    assert "(lyts umount '../with a blank' ends that)" in home("mount", f"../{other.name}").out
    assert os.listdir(other / "tags" / "flac") == ["a.flac"]
    assert len(home.mounted()) == 2
    home("umount", str(other))
    assert len(home.processes()) == 1
    assert os.listdir(home.at / "tags" / "flac") == ["a.flac"]
    home("umount")


def test_foreground_stays_until_it_is_told_to_end(home: Home) -> None:
    for sent in (signal.SIGTERM, signal.SIGINT):
        process = subprocess.Popen(
            [*START, "mount", "--foreground"], env=home.env, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == f"your library is in {home.at} (lyts umount ends that)\n".encode()
            still_open = os.open(home.at / "all" / "a.flac", os.O_RDONLY)
            process.send_signal(sent)
            _, said = process.communicate(timeout=PATIENCE_S)
            with suppress(OSError):  # nobody answers any more
                os.close(still_open)
        finally:
            process.kill()
        assert process.returncode == 0, said
        assert b"Traceback" not in said
        assert f"unmounted {home.at}".encode() in said
        assert home.mounted() == []


def test_read_only_shows_everything_and_changes_nothing(home: Home) -> None:
    at = home.mount("--read-only")
    assert (at / "tags" / "music" / "a.flac").read_bytes() == b"a.flac"
    with pytest.raises(OSError, match="Read-only file system"):
        (at / "tags" / "music" / "new").touch()
    with pytest.raises(OSError, match="Read-only file system"):
        (at / "all" / "a.flac").unlink()
    home("umount")
    assert home.names() == ["a.flac", "b.mp3"]


def test_tags_alone(home: Home) -> None:
    at = home.home / "tags"
    home("mount", "--tags", str(at))
    assert sorted(os.listdir(at)) == ["flac", "live", "music"]
    assert os.listdir(at / "music+flac") == ["a.flac"]
    home("umount", str(at))


def test_changes_show_both_ways(home: Home) -> None:
    at = home.mount()
    assert os.listdir(at / "tags" / "live") == ["b.mp3"]
    home.quick("untag", "live", "b.mp3")
    eventually(lambda: not os.path.exists(at / "tags" / "live" / "b.mp3"))
    home.quick("tag", "live", "a.flac")
    eventually(lambda: os.listdir(at / "tags" / "live") == ["a.flac"])
    (at / "tags" / "live" / "a.flac").rename(at / "tags" / "music" / "c.flac")
    assert home.names("live") == []
    assert home.names("music") == ["b.mp3", "c.flac"]
    home("umount")


# -- files of a mount as TARGET ------------------------------------------------------


def test_rules_say_who_holds_a_file_that_is_made_in_a_mount(home: Home) -> None:
    (own,) = home.json("where", "a.flac")[0]["holds"]
    with Store(str(home.store)) as store:
        server = "33333333-0000-4000-8000-000000000003"
        store.act(lambda change: change.about("node", NODE_THING, server, alias="server"))
    (home.store / "sync.toml").write_text("[placement]\ndefault = 'here, server'\n")
    at = home.mount()
    home.quick("sync", "rule", "add", "music+size=1kB..", "--holds", "server")  # while it is mounted
    (at / "tags" / "music" / "short").write_bytes(b"la")
    (at / "tags" / "music" / "long").write_bytes(b"la" * 1000)
    assert (at / "tags" / "music" / "long").read_bytes() == b"la" * 1000
    assert home.json("where", "short")[0]["holds"] == sorted([own, "server"])
    (found,) = home.json("where", "long")
    assert found["holds"] == ["server"]
    assert found["placed"]["rules"] == ["music+size=1kB.."]
    assert [one["state"] for one in found["here"]] == ["stray"]  # until the server has proven to have it
    (home.store / "sync.toml").unlink()


def test_bytes_that_moved_to_the_folder_of_a_new_set_are_found(home: Home) -> None:
    at = home.mount()
    song = at / "tags" / "flac" / "a.flac"
    before = song.read_bytes()
    (found,) = home.json("where", "a.flac")
    (here,) = found["here"]
    tablet = "22222222-0000-4000-8000-000000000002"
    with Store(str(home.store)) as store:
        both = sorted([store.node, tablet])

        def share(change: Change) -> None:
            change.about("node", NODE_THING, tablet, alias="tablet")
            change.new_set(set_id(both), "ours+tablet", both)
            change.about_file(found["guid"], holds={tablet: True})

        store.act(share)
    place = Path(here["path"])
    moved = home.store / "sets" / "ours+tablet" / "data" / place.parent.name / place.name
    moved.parent.mkdir(parents=True)
    place.rename(moved)
    assert song.read_bytes() == before
    assert home.json("where", "a.flac")[0]["here"][0]["state"] == "in place"


def test_path_in_a_mount_is_a_target(home: Home) -> None:
    at = home.mount()
    # One name and the same bytes elsewhere: only its identity tells which is meant.
    home.quick("add", "-t", "other", home.file("a.flac"))
    for path in (at / "tags" / "music+flac" / "a.flac", at / "all" / "b.mp3"):
        assert home.quick("tag", "x", str(path)).out == "tagged 1 file with x\n"
    assert home.names("x+music") == home.names("x") == ["a.flac", "b.mp3"]
    assert home("rm", "../lyts/tags/live/b.mp3").out == "moved b.mp3 to the trash\n"
    eventually(lambda: os.path.exists(at / "trash" / "b.mp3"))
    assert home.quick("trash", "restore", str(at / "trash" / "b.mp3")).code == 0
    assert home.names("live") == ["b.mp3"]
    # Made by the mount itself: no file of the library.
    assert "is not in your library" in home.quick("tag", "x", str(at / "README.md"), code=2).err
    home("umount")


def test_path_in_the_mount_of_another_library_is_no_target(home: Home) -> None:
    at = home.mount()
    elsewhere = {"LYTS_STORE": str(home.home / "second")}
    home.quick("init", env=elsewhere)
    done = home.quick("tag", "x", str(at / "all" / "a.flac"), env=elsewhere, code=2)
    assert "is not in your library" in done.err
    home("umount")


# -- what is refused -----------------------------------------------------------------


def test_mounting_twice_on_one_place_is_refused(home: Home) -> None:
    home.mount()
    assert "is mounted already" in home("mount", code=2).err
    assert len(home.processes()) == 1
    assert os.listdir(home.at / "tags" / "flac") == ["a.flac"]
    # Whoever was refused took nothing from the one that serves.
    home("umount")
    assert home.processes() == []


def test_folder_with_files_in_it_is_refused(home: Home) -> None:
    os.chmod(home.home, 0o751)
    done = home("mount", str(home.home), code=2)
    assert "is not empty" in done.err
    assert stat.S_IMODE(home.home.stat().st_mode) == 0o751  # nothing was done to it
    a_file = home.file("a.txt")
    assert "is a file" in home("mount", a_file, code=2).err
    assert home.mounted() == []
    assert home.processes() == []


def test_place_in_the_store_is_refused(home: Home) -> None:
    for path in (home.store, home.store / "new"):
        assert "in the store itself" in home("mount", str(path), code=2).err
    assert not (home.store / "new").exists()


def test_without_a_store_the_sentence_comes_from_the_mount_process(home: Home) -> None:
    done = home("--store", str(home.home / "none"), "mount", code=3)
    assert "there is no lyts store in" in done.err
    assert "lyts init" in done.err
    assert done.err.count("\n") == 1


def test_umount_of_what_is_not_ours_is_refused(home: Home) -> None:
    assert "nothing is mounted on" in home("umount", code=1).err
    assert "is not from lyts" in home("umount", "/proc", code=2).err


def test_umount_of_a_mount_in_use_does_nothing(home: Home) -> None:
    at = home.mount()
    with open(at / "all" / "a.flac", "rb"):
        done = home("umount", code=3)
    assert "is in use" in done.err
    assert os.listdir(at / "tags" / "flac") == ["a.flac"]
    home("umount")


@pytest.mark.needs_root
def test_allow_other_must_be_allowed() -> None:
    need_fuse()
    from tagfs.mount import point

    if os.geteuid() != 0:
        pytest.skip("NOT TESTED: only root can be root and another")
    assert point.others_are_allowed()
    pid = os.fork()
    if pid == 0:  # pragma: no cover - the other process
        try:
            os.setuid(65534)
            with open(point.FUSE_CONF, encoding="utf-8") as file:
                listed = "user_allow_other" in file.read().split("\n")
            os._exit(point.others_are_allowed() is not listed)
        finally:
            os._exit(2)
    assert os.waitpid(pid, 0)[1] == 0


@pytest.mark.needs_root
def test_others_see_nothing_unless_allowed(home: Home) -> None:
    if os.geteuid() != 0:
        pytest.skip("NOT TESTED: only root can become someone else")
    os.chmod(home.home, 0o755)
    path = home.home / "lyts" / "all" / "a.flac"
    outside = home.home
    while outside != Path("/"):  # pytest's folders are private
        os.chmod(outside, stat.S_IMODE(outside.stat().st_mode) | 0o011)
        outside = outside.parent

    def seen_by_nobody() -> bool:
        return subprocess.run(["cat", path], user=65534, capture_output=True, check=False).returncode == 0

    home.mount()
    assert not seen_by_nobody()
    home("umount")
    home.mount("--allow-other")
    assert seen_by_nobody()
    home("umount")


# -- after a crash -------------------------------------------------------------------


def _answer(path: Path) -> int:
    """The error that looking into a folder gives, 0 for none."""
    try:
        os.listdir(path)
    except OSError as exc:
        return exc.errno or 0
    return 0


def test_what_a_crashed_mount_left_is_told_and_mended(home: Home) -> None:
    home.mount()
    (pid,) = home.processes()
    os.kill(pid, signal.SIGKILL)
    eventually(lambda: _answer(home.at) == errno.ENOTCONN)
    assert [one["level"] for one in home.json("doctor") if one["topic"] == "mount"] == ["ok", "note"]
    assert any("left behind by a mount that crashed" in one["what"] for one in home.json("doctor"))
    home.mount()
    assert os.listdir(home.at / "tags" / "flac") == ["a.flac"]
    home("umount")


def test_umount_takes_a_crashed_mount_away(home: Home) -> None:
    home.mount()
    (pid,) = home.processes()
    os.kill(pid, signal.SIGKILL)
    eventually(lambda: _answer(home.at) == errno.ENOTCONN)
    home("umount")
    assert home.mounted() == []


def test_covered_folder_cannot_be_listed(home: Home) -> None:
    home.mount()
    home("umount")
    # A backup that looks now must fail instead of finding an empty folder.
    assert stat.S_IMODE(home.at.stat().st_mode) == 0o300
    home.mount()
    assert os.listdir(home.at / "tags" / "flac") == ["a.flac"]
    home("umount")


# -- what is missing -----------------------------------------------------------------


def test_doctor_says_that_all_is_there(home: Home) -> None:
    (one,) = (one for one in home.json("doctor") if one["topic"] == "mount")
    assert one["level"] == "ok"


def test_what_is_missing_is_named_with_what_to_do(tmp_path: Path) -> None:
    lyts = Lyts(tmp_path)
    lyts.quick("init")
    bare = lyts.home / "bin"
    bare.mkdir()
    # A Python without pyfuse3, and a PATH without fusermount3.
    hide = "import sys; sys.modules['pyfuse3'] = None; import importlib.util as u; f = u.find_spec\n"
    hide += "u.find_spec = lambda name, *a: None if name == 'pyfuse3' else f(name, *a)\n"
    hide += "from shell.main import main; sys.exit(main())"
    env = lyts.env | {"PATH": str(bare)}
    for words in (["mount"], ["enable"], ["doctor"]):
        done = subprocess.run(
            [sys.executable, "-P", "-c", hide, *words], env=env, capture_output=True, text=True, check=False, timeout=60
        )
        said = done.stdout + done.stderr
        assert done.returncode == (0 if words == ["doctor"] else 3), said
        assert "pyfuse3 is not installed" in said
        assert "pip install 'lyts[mount]'" in said
        assert "fusermount3 is missing" in said
        assert "install the package fuse3" in said
        assert "Traceback" not in said
    assert not (lyts.home / "lyts").exists()


def test_nothing_but_a_mount_loads_pyfuse3(tmp_path: Path) -> None:
    lyts = Lyts(tmp_path)
    lyts.quick("init")
    look = "import sys; from shell.main import main; main(sys.argv[1:]);"
    look += "print([m for m in ('pyfuse3', 'trio', 'logging.handlers') if m in sys.modules])"
    for words in (["umount"], ["disable"], ["doctor"], ["find"], ["help", "mount"], ["completion", "bash"]):
        done = subprocess.run(
            [sys.executable, "-P", "-c", look, *words], env=lyts.env, capture_output=True, text=True, check=False
        )
        assert done.stdout.splitlines()[-1] == "[]", (words, done)


# -- at login ------------------------------------------------------------------------

_SYSTEMCTL = """\
#!/bin/sh
# Stands for systemctl: writes down what it is asked. It starts nothing.
printf '%s\\n' "$*" >> "$HOME/asked"
[ "$2" != "$SYSTEMCTL_REFUSES" ] || { echo 'refused' >&2; exit 1; }
"""


@pytest.fixture
def systemd(home: Home) -> Home:
    program = home.home / "bin" / "systemctl"
    program.parent.mkdir()
    program.write_text(_SYSTEMCTL)
    program.chmod(0o755)
    home.env["PATH"] = f"{program.parent}:{home.env['PATH']}"
    home.env["XDG_CONFIG_HOME"] = str(home.home / "config")
    return home


def test_enable_writes_a_unit_and_disable_takes_it_away(systemd: Home) -> None:
    unit = systemd.home / "config" / "systemd" / "user" / "lyts-mount.service"
    done = systemd("enable")
    assert done.out == f"your library is in {systemd.at}, now and after every login\n"
    assert str(unit) in done.err
    text = unit.read_text()
    assert "Type=forking" in text
    assert f'"--store" "{systemd.store}" "mount" "{systemd.at}"' in text
    if shutil.which("systemd-analyze"):
        # systemd itself understands it.
        checked = subprocess.run(
            ["systemd-analyze", "verify", "--user", unit], capture_output=True, text=True, check=False, timeout=60
        )
        assert "lyts-mount.service" not in checked.stderr, checked.stderr
    assert systemd("disable").out == "the library is no longer mounted at login\n"
    assert not unit.exists()
    assert (systemd.home / "asked").read_text().splitlines() == [
        "--user show-environment",
        "--user daemon-reload",
        "--user enable --now lyts-mount.service",
        "--user show-environment",
        "--user disable --now lyts-mount.service",
        "--user daemon-reload",
    ]
    assert "nothing is started at login" in systemd("disable", code=1).err


def test_enable_covers_syncing_where_that_was_set_up(systemd: Home) -> None:
    units = systemd.home / "config" / "systemd" / "user"
    assert "lyts sync up" in systemd("enable", "--no-mount", code=2).err
    (systemd.store / "syncthing").mkdir()
    (systemd.store / "syncthing" / "config.xml").write_text("<configuration/>")
    done = systemd("enable", "--no-mount", env={"LYTS_SYNCTHING": "/opt/my syncthing"})
    assert done.out == "it is synced with your other devices, now and after every login\n"
    assert [path.name for path in units.iterdir()] == ["lyts-sync.service"]
    text = (units / "lyts-sync.service").read_text()
    assert f'"--store" "{systemd.store}" "sync" "up" "--foreground"' in text
    assert 'Environment="LYTS_SYNCTHING=/opt/my syncthing"' in text
    if shutil.which("systemd-analyze"):
        checked = subprocess.run(
            ["systemd-analyze", "verify", "--user", units / "lyts-sync.service"],
            capture_output=True, text=True, check=False, timeout=60,
        )  # fmt: skip
        assert "lyts-sync.service" not in checked.stderr, checked.stderr
    assert systemd("enable").out.count("after every login") == 2
    assert len(list(units.iterdir())) == 2
    assert systemd("disable").out == "the library is no longer mounted at login\nit is no longer synced at login\n"
    assert list(units.iterdir()) == []


def test_unit_starts_and_ends_the_mount(systemd: Home) -> None:
    """What systemd does with the unit, by hand: start, wait for the start to return, stop."""
    from shell.login import unit_text

    text = unit_text(START, str(systemd.at), str(systemd.store))
    commands = dict(line.split("=", 1) for line in text.splitlines() if line.startswith("Exec"))
    for name in ("ExecStart", "ExecStop"):
        # The words of START need no other escapes than those that sh knows as well.
        subprocess.run(["sh", "-c", commands[name].removeprefix("-")], env=systemd.env, check=True, timeout=PATIENCE_S)
        assert bool(systemd.mounted()) is (name == "ExecStart")


def test_words_of_the_unit_are_quoted() -> None:
    from shell.login import unit_text

    text = unit_text(["/opt/a b/lyts"], '/home/ada/100% "mine"', "/srv/$store\\x")
    assert r'ExecStart="/opt/a b/lyts" "--store" "/srv/$$store\\x" "mount" "/home/ada/100%% \"mine\""' in text


def test_without_systemd_nothing_is_written(systemd: Home) -> None:
    for word in ("enable", "disable"):
        done = systemd(word, env={"SYSTEMCTL_REFUSES": "show-environment"}, code=3)
        assert "systemd does not answer here (refused)" in done.err
        assert "lyts mount" in done.err
    assert not (systemd.home / "config").exists()


def test_systemd_that_refuses_is_said(systemd: Home) -> None:
    done = systemd("enable", env={"SYSTEMCTL_REFUSES": "enable"}, code=3)
    assert "systemctl --user enable --now lyts-mount.service failed: refused" in done.err


# -- Tab -----------------------------------------------------------------------------


@pytest.fixture
def shelled(home: Home) -> Home:
    """A mounted library and `lyts` in the PATH of a shell."""
    home.quick("tag", "rock & roll,year=1959", "a.flac")
    program = home.home / "bin" / "lyts"
    program.parent.mkdir()
    program.write_text(f"#!{START[0]} -P\nimport sys\nfrom shell.main import main\nsys.exit(main())\n")
    program.chmod(0o755)
    home.env["PATH"] = f"{program.parent}:{home.env['PATH']}"
    home.mount()
    return home


def _shell(home: Home, *argv: str) -> list[str]:
    done = subprocess.run(
        argv, env=home.env, cwd=home.at / "tags", capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, done
    return done.stdout.splitlines()


def test_bash_completes_the_end_of_a_query(shelled: Home) -> None:
    need("bash")
    script = (
        'eval "$(lyts completion bash)"\n_before() { COMPREPLY=(before); }\n'
        "complete -o nospace -F _before mv\n_lyts_take_over\n"
        "complete -p mv | grep -c _lyts_paths\n"
        "ask() { COMP_WORDS=(\"$@\") COMP_CWORD=$(($# - 1)) COMPREPLY=(); _lyts_paths \"$1\" '' '' 2>/dev/null;\n"
        "    printf '%s|' \"${COMPREPLY[@]}\"; echo; }\n"
    )

    def ask(*words: str) -> list[str]:
        quoted = " ".join("'" + word + "'" for word in words)
        return _shell(shelled, "bash", "-c", f"{script}ask {quoted}")[-1].rstrip("|").split("|")

    flac, rock, year = "~/lyts/tags/music+flac", "~/lyts/tags/music+rock\\ \\&\\ roll", "~/lyts/tags/music+year="
    assert ask("cd", "~/lyts/tags/music+") == [flac, "~/lyts/tags/music+live", rock, year]
    assert ask("ls", "~/lyts/tags/music+fl") == [flac]
    assert ask("cp", "x", "music+-l") == ["music+-live"]
    assert ask("cd", "music,fl") == ["music,flac"]
    assert ask("cd", "music+year", "=", "") == ["1959"]
    assert ask("cd", "music+flac,rock\\ \\&") == ["music+flac,rock\\ \\&\\ roll"]
    # All else is asked of whatever completed before.
    assert ask("mv", "mus") == ["before"]
    assert ask("mv", "/tmp/a+b") == ["before"]
    assert ask("mv", "music/x+") == ["before"]
    assert ask("cd", "nosuch+") == [""]


def test_bash_at_a_terminal_completes_the_end_of_a_query(shelled: Home) -> None:
    need("bash")
    import pty
    import select

    pid, fd = pty.fork()
    if pid == 0:  # pragma: no cover - the other process
        try:
            os.chdir(shelled.at / "tags")
            os.execve(shutil.which("bash") or "", ["bash", "--norc", "-i"], shelled.env | {"TERM": "dumb", "PS1": "> "})
        finally:
            os._exit(127)
    os.write(fd, b'eval "$(lyts completion bash)"; echo re""ady\n')
    seen = b""
    steps = [(b"ready", b'cd music+fl\t && basename "$PWD" && cd music+year=1\t && basename $PWD; cd /; exit\n')]
    try:
        while select.select([fd], [], [], PATIENCE_S)[0]:
            try:
                piece = os.read(fd, 4096)
            except OSError:
                break
            if not piece:
                break
            seen += piece
            if steps and steps[0][0] in seen:
                os.write(fd, steps.pop(0)[1])
    finally:
        os.close(fd)
        os.waitpid(pid, 0)
    assert b"\nmusic+flac\r" in seen, seen
    shelled("umount")


def test_zsh_completes_the_end_of_a_query(shelled: Home) -> None:
    need("zsh")
    script = (
        'autoload -U compinit; compinit -u -D; eval "$(lyts completion zsh)"\n'
        'compadd() { print -rl -- "${@:6}" }; _files() { print files }\n'
        "PREFIX='~/lyts/tags/music+'; service=cd; _lyts_paths\n"
        "_lyts_before=(); PREFIX='a.txt'; service=cp; _lyts_paths\n"
    )
    assert _shell(shelled, "zsh", "-f", "-c", script) == [
        "~/lyts/tags/music+flac",
        "~/lyts/tags/music+live",
        "~/lyts/tags/music+rock\\ \\&\\ roll",
        "~/lyts/tags/music+year=",
        "files",
    ]


def test_fish_completes_the_end_of_a_query(shelled: Home) -> None:
    need("fish")
    found = _shell(shelled, "fish", "-c", 'lyts completion fish | source; complete -C "cd ~/lyts/tags/music+"')
    assert {"~/lyts/tags/music+flac", "~/lyts/tags/music+rock & roll", "~/lyts/tags/music+year="} <= set(found)
