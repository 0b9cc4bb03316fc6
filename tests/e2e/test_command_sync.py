"""`lyts sync`, as a person types it, with the real Syncthing."""

from __future__ import annotations

import json
import os
import re
import signal
import stat
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from sync.life import life
from sync.syncthing import managed, process
from sync.syncthing.home import device_id_of, read_config
from sync.syncthing.managed import Managed, config_path
from sync.syncthing.process import Started
from sync.syncthing.program import Program
from tagfs.layout import Layout
from tagfs.store import this_machine
from tests.support.command import START, Lyts
from tests.support.fake_syncthing import FakeSyncthing
from tests.support.syncthing import Node, Reaper, real_program, until

BOOT = this_machine().boot_id()


@pytest.fixture
def program() -> Program:
    return real_program()


@pytest.fixture
def lyts(tmp_path: Path) -> Iterator[Lyts]:
    with Reaper(tmp_path):
        one = Lyts(tmp_path / "home")
        one.quick("init", "--alias", "laptop")
        yield one


def home(lyts: Lyts) -> Path:
    return lyts.store / "syncthing"


def instance(lyts: Lyts) -> Managed:
    return Managed(str(home(lyts)), lyts.json("sync", code=None)[0]["log"], BOOT)


def noted(lyts: Lyts) -> Started:
    found = process.read_note(instance(lyts).note)
    assert found is not None
    return found


def kill_daemon(lyts: Lyts) -> None:
    """So that Syncthing stays as a test leaves it."""
    alive = life(Layout(str(lyts.store)))
    assert alive is not None
    assert process.end(alive.process, BOOT, signal.SIGKILL, 60)


# -- up, status, down ----------------------------------------------------------------


def test_up_makes_and_starts_one_that_nobody_finds_and_down_ends_it(lyts: Lyts, program: Program) -> None:
    assert lyts("sync", code=1).err == "Start it with: lyts sync up\n"
    done = lyts("sync", "up", "--local-only")
    assert program.version in done.out
    (now,) = lyts.json("sync", "status")
    assert (now["mode"], now["state"], now["version"], now["problem"]) == ("own", "running", program.version, "")
    assert now["device_id"] == device_id_of(str(home(lyts)))
    assert now["device_id"] in done.out
    assert now["local_only"] is True
    assert [one["error"] for one in now["listening"]] == [""]
    assert now["listening"][0]["address"].startswith("tcp://127.0.0.1:")
    assert (now["devices"], now["folders"]) == ([], [])
    assert process.is_alive(noted(lyts), BOOT)
    assert now["pid"] == noted(lyts).pid
    assert lyts("sync", "up").out.startswith("Syncthing runs already")
    with managed.client(instance(lyts)) as client:
        assert [one.name for one in client.devices()] == ["laptop"]
        options = client.options()
        assert [options.rest[key] for key in ("urAccepted", "crashReportingEnabled", "autoUpgradeIntervalH")] == [
            -1, False, 0
        ]  # fmt: skip
        assert client.folders() == []
    one = noted(lyts)
    assert lyts("sync", "down").out == "Syncthing has ended\n"
    assert not process.is_alive(one, BOOT)
    assert lyts("sync", "down", code=1).err == "Syncthing does not run.\n"
    (after,) = lyts.json("sync", code=1)
    assert (after["state"], after["pid"], after["device_id"]) == ("stopped", None, now["device_id"])
    lyts.check()


def test_all_it_keeps_is_the_persons_alone(lyts: Lyts, program: Program) -> None:
    lyts("sync", "up", "--local-only")
    found = [home(lyts), *home(lyts).rglob("*"), Path(instance(lyts).log)]
    assert len(found) > 8
    loose = {str(path): oct(path.stat().st_mode & 0o777) for path in found if path.stat().st_mode & 0o077}
    assert loose == {}
    assert not [path for path in found if path.is_file() and path.stat().st_mode & stat.S_IXUSR]


def test_its_key_is_nowhere_but_in_its_settings(lyts: Lyts, program: Program) -> None:
    out = [lyts("sync", "up", "--local-only")]
    key = read_config(config_path(str(home(lyts)))).key.reveal()
    out += [lyts("sync"), lyts("sync", "--json"), lyts("doctor"), lyts("sync", "down")]
    shown = "".join(one.out + one.err for one in out)
    for path in lyts.home.rglob("*.log"):
        shown += path.read_text(encoding="utf-8")
    assert len(key) > 20
    assert key not in shown
    assert (home(lyts) / "gui-password").read_text().strip() not in shown


def test_other_users_of_the_machine_cannot_use_it(lyts: Lyts, program: Program) -> None:
    lyts("sync", "up", "--local-only")
    url = lyts.json("sync")[0]["url"]
    assert url.startswith("http://127.0.0.1:")
    # What a browser without the password, or a program without the key, gets.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), urllib.request.HTTPCookieProcessor())
    opener.open(url, timeout=30).read()
    for path in ("/rest/config", "/rest/system/status", "/rest/events"):
        with pytest.raises(urllib.error.HTTPError) as caught:
            opener.open(url + path, timeout=30)
        assert caught.value.code in (401, 403)
        caught.value.close()


def test_it_listens_where_it_is_told_and_that_stays(lyts: Lyts, program: Program) -> None:
    at = f"tcp://127.0.0.1:{managed.free_port()}"
    lyts("sync", "up", "--local-only", "--listen", at)
    assert [one["address"] for one in lyts.json("sync")[0]["listening"]] == [at]
    assert "otherwise than asked" in lyts("sync", "up", "--listen", "tcp://127.0.0.1:9", code=2).err
    assert "otherwise than asked" in lyts("sync", "up", "--discovery", code=2).err
    lyts("sync", "down")
    lyts("sync", "up")
    (now,) = lyts.json("sync")
    assert [one["address"] for one in now["listening"]] == [at]
    assert now["local_only"] is True


def test_one_that_was_killed_is_said_and_starts_again_with_the_same_identity(lyts: Lyts, program: Program) -> None:
    lyts("sync", "up", "--local-only")
    before = lyts.json("sync")[0]
    kill_daemon(lyts)
    assert process.end(noted(lyts), BOOT, signal.SIGKILL, 60)
    (now,) = lyts.json("sync", code=1)
    assert now["state"] == "crashed"
    assert "ended unexpectedly" in lyts("doctor").out
    lyts("sync", "up")
    (after,) = lyts.json("sync")
    assert (after["state"], after["device_id"], after["url"]) == ("running", before["device_id"], before["url"])


def test_a_port_that_was_taken_meanwhile_is_left_to_whom_has_it(lyts: Lyts, program: Program) -> None:
    lyts("sync", "up", "--local-only")
    before = lyts.json("sync")[0]["url"]
    lyts("sync", "down")
    import socket

    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        other.bind(("127.0.0.1", int(before.rpartition(":")[2])))
        other.listen()
        lyts("sync", "up")
        (now,) = lyts.json("sync")
    assert now["state"] == "running"
    assert now["url"] != before


def test_one_that_does_not_listen_to_us_is_told_by_a_signal(lyts: Lyts, program: Program) -> None:
    lyts("sync", "up", "--local-only")
    one = noted(lyts)
    path = home(lyts) / "config.xml"
    path.write_text(re.sub("<apikey>.*</apikey>", "<apikey>another</apikey>", path.read_text()))
    (now,) = lyts.json("sync")
    assert "refuses the API key" in now["problem"]
    assert lyts("sync", "down").out == "Syncthing has ended\n"
    assert not process.is_alive(one, BOOT)
    assert "Exiting" in Path(instance(lyts).log).read_text()


def test_its_web_page_is_on_this_machine_only_whatever_was_set_there(lyts: Lyts, program: Program) -> None:
    lyts("sync", "up", "--local-only")
    before = lyts.json("sync")[0]["url"]
    lyts("sync", "down")
    path = home(lyts) / "config.xml"
    for listening in (before.replace("http://127.0.0.1", "0.0.0.0"), "/run/gui.sock"):
        path.write_text(re.sub("<address>(127|0)[^<]*</address>", f"<address>{listening}</address>", path.read_text()))
        lyts("sync", "up")
        assert lyts.json("sync")[0]["url"].startswith("http://127.0.0.1:")
        assert "<address>127.0.0.1:" in path.read_text()
        lyts("sync", "down")


def test_down_leaves_a_process_alone_that_has_the_number_by_now(lyts: Lyts, program: Program) -> None:
    lyts("sync", "up", "--local-only")
    one = noted(lyts)
    kill_daemon(lyts)
    assert process.end(one, BOOT, signal.SIGKILL, 60)
    child = subprocess.Popen([sys.executable, "-c", "import sys; sys.stdin.read()"], stdin=subprocess.PIPE)
    process.write_note(instance(lyts).note, one._replace(pid=child.pid))
    assert "does not run" in lyts("sync", "down", code=1).err
    assert child.poll() is None
    assert child.stdin is not None
    child.stdin.close()
    assert child.wait(60) == 0


def test_one_whose_note_was_lost_is_found_by_asking_and_ended(lyts: Lyts, program: Program) -> None:
    lyts("sync", "up", "--local-only")
    one = noted(lyts)
    os.unlink(instance(lyts).note)
    assert "runs already" in lyts("sync", "up").out
    (now,) = lyts.json("sync")
    assert (now["state"], now["pid"]) == ("running", None)
    assert lyts("sync", "down").out == "Syncthing has ended\n"
    assert process.end(one, BOOT, None, 60)


def test_two_that_start_it_at_once_start_one(lyts: Lyts, program: Program) -> None:
    words = [*START, "sync", "up", "--local-only"]
    children = [subprocess.Popen(words, env=lyts.env, stdout=subprocess.PIPE, stderr=subprocess.PIPE) for _ in range(3)]
    said = [child.communicate(timeout=120) for child in children]
    assert [child.returncode for child in children] == [0, 0, 0], said
    outs = sorted(out.decode().split(";")[0] for out, _ in said)
    assert outs == ["Syncthing runs already", "Syncthing runs already", f"Syncthing {program.version} runs"]


def test_a_person_reads_how_it_is(lyts: Lyts, program: Program, tmp_path: Path) -> None:
    lyts("sync", "up", "--local-only")
    with managed.client(instance(lyts)) as client:
        from sync.syncthing.folders import data_folder, device
        from tests.support.fake_syncthing import a_device_id

        other = a_device_id("other")
        client.set_device(device(other, "tab\x1blet"))
        client.set_folder(data_folder("F", str(tmp_path / "F"), "photos", [other], paused=False))
        client.set_folder(data_folder("G", str(tmp_path / "G"), "films", [other], paused=True))
        until(lambda: client.folder_status("F").settled(), "settled")
    out = lyts("sync").out
    assert "devices     0 of 1 connected\n  tab\\x1blet: away\n" in out
    assert "folders     2 folders\n" in out
    assert "  photos: idle\n" in out
    assert "  films: paused\n" in out
    assert "discovery   off: this machine only\n" in out


def test_in_the_foreground_it_works_until_it_is_told_to_end(lyts: Lyts, program: Program) -> None:
    child = subprocess.Popen(
        [*START, "sync", "up", "--local-only", "--foreground"], env=lyts.env, stdout=subprocess.PIPE, text=True
    )
    assert child.stdout is not None
    assert program.version in child.stdout.readline()
    until(lambda: lyts.json("sync", code=None)[0]["daemon"] == "running", "at work")
    assert lyts.json("sync")[0]["daemon_pid"] == child.pid
    assert "runs already" in lyts("sync", "up", "--foreground", code=3).err
    syncthing = noted(lyts)
    child.send_signal(signal.SIGTERM)
    assert child.wait(60) == 0
    child.stdout.close()
    assert not process.is_alive(syncthing, BOOT)
    assert lyts.json("sync", code=1)[0]["state"] == "stopped"


def test_a_store_that_cannot_be_worked_on_is_said_and_the_daemon_goes_on_trying(lyts: Lyts, program: Program) -> None:
    lyts("sync", "up", "--local-only")
    toml = lyts.store / "store.toml"
    good = toml.read_text()
    lyts("sync", "down")
    os.unlink(lyts.store / "sync.db")
    os.mkdir(lyts.store / "sync.db")
    assert "sync.db" in lyts("sync", "up", code=3).err
    (now,) = lyts.json("sync")
    assert any("sync.db" in problem for problem in now["problems"])
    os.rmdir(lyts.store / "sync.db")
    until(lambda: lyts.json("sync")[0]["problems"] == [], "mended")
    assert toml.read_text() == good


# -- a Syncthing of the person's own ------------------------------------------------------


@pytest.fixture
def theirs(tmp_path: Path, program: Program) -> Iterator[Node]:
    with Reaper(tmp_path):
        node = Node(tmp_path / "theirs", "theirs")
        node.start()
        yield node
        node.stop()


def test_a_persons_own_is_used_and_left_running(lyts: Lyts, theirs: Node) -> None:
    config = config_path(theirs.managed.home)
    done = lyts("sync", "up", "--attach", config)
    assert theirs.device_id in done.out
    settings = lyts.store / "sync.toml"
    assert config in settings.read_text()
    assert settings.stat().st_mode & 0o777 == 0o600
    (now,) = lyts.json("sync")
    assert (now["mode"], now["state"], now["device_id"]) == ("attached", "running", theirs.device_id)
    assert not home(lyts).exists()
    assert theirs.device_id in lyts("sync", "up").out
    assert lyts("sync", "down").out == "the sync daemon has ended; your Syncthing goes on\n"
    assert "does not end" in lyts("sync", "down", code=2).err
    theirs.client.ping()
    assert "a Syncthing of yours" in lyts("doctor").out
    assert "whose settings are yours" in lyts("sync", "up", "--local-only", code=2).err
    lyts("sync", "up", "--own", "--local-only")
    (own,) = lyts.json("sync")
    assert own["mode"] == "own"
    assert own["device_id"] != theirs.device_id
    assert not settings.exists()
    assert "End it first" in lyts("sync", "up", "--attach", config, code=2).err


def test_by_its_address_the_key_comes_from_the_environment_and_is_kept_private(lyts: Lyts) -> None:
    with FakeSyncthing() as fake:
        key = fake.key.reveal()
        assert "API key is needed" in lyts("sync", "up", "--attach", str(fake.address), code=2).err
        wrong = lyts("sync", "up", "--attach", str(fake.address), env={"LYTS_SYNCTHING_KEY": "wrong"}, code=3)
        assert "refuses the API key" in wrong.err
        assert not (lyts.store / "sync.toml").exists()
        lyts("sync", "up", "--attach", str(fake.address), env={"LYTS_SYNCTHING_KEY": key})
        assert (lyts.store / "sync.toml").stat().st_mode & 0o777 == 0o600
        shown = lyts("sync", "--json").out + lyts("sync").out + lyts("doctor").out
        assert fake.own_id in shown
        assert key not in shown
    gone = lyts("sync", code=1)
    assert "does not answer" in gone.err
    assert lyts.json("sync", code=1)[0]["state"] == "stopped"


def test_the_key_is_asked_for_on_a_terminal_and_not_shown(lyts: Lyts) -> None:
    with FakeSyncthing() as fake:
        seen = lyts.terminal("sync", "up", "--attach", str(fake.address), typed=[("API key", fake.key.reveal() + "\n")])
        assert seen.code == 0
        assert fake.own_id in re.sub(r"\s", "", seen.out)
        assert fake.key.reveal() not in seen.out


def test_one_that_is_too_old_is_not_used(lyts: Lyts) -> None:
    with FakeSyncthing(version="v1.19.2") as fake:
        done = lyts.quick(
            "sync", "up", "--attach", str(fake.address), env={"LYTS_SYNCTHING_KEY": fake.key.reveal()}, code=3
        )
        assert "v1.19.2, and lyts needs 1.27" in done.err
    assert not (lyts.store / "sync.toml").exists()


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("--attach", "http://192.0.2.1:8384"), "not on this machine"),
        (("--attach", "http://192.0.2.1:8384", "--remote"), "https only"),
        (("--attach", "/nowhere/config.xml"), "no such file"),
        (("--attach", "http://127.0.0.1:1", "--local-only"), "do not go with it"),
        (("--remote",), "--attach"),
        (("--listen", "22000"), "tcp://127"),
        (("--local-only", "--listen", "tcp://0.0.0.0:22000"), "this machine only"),
    ],
)
def test_what_cannot_be_is_refused_before_anything_is_done(lyts: Lyts, words: tuple[str, ...], says: str) -> None:
    if "0.0.0.0" in words[-1]:
        real_program()
    done = lyts.quick("sync", "up", *words, code=2)
    assert says in done.err
    assert not (lyts.store / "sync.toml").exists()


# -- without, or with an odd one ---------------------------------------------------------------


def a_program(folder: Path, text: str) -> str:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "syncthing"
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return str(path)


def test_without_one_it_says_how_to_get_one(lyts: Lyts) -> None:
    env = {"LYTS_SYNCTHING": "/nowhere/syncthing"}
    assert "LYTS_SYNCTHING=/path/to/syncthing" in lyts.quick("sync", "up", env=env, code=3).err
    (remark,) = [one for one in json.loads(lyts.quick("doctor", "--json", env=env).out) if one["topic"] == "syncthing"]
    assert remark["level"] == "note"
    assert "no Syncthing that could be started" in remark["what"]
    assert "apt install syncthing" in remark["hint"]


def test_one_that_is_too_old_is_named_with_its_version(lyts: Lyts, tmp_path: Path) -> None:
    env = {"LYTS_SYNCTHING": a_program(tmp_path / "old", "echo syncthing v1.19.2 x")}
    assert "is v1.19.2, and lyts needs 1.27" in lyts.quick("sync", "up", env=env, code=3).err
    (remark,) = [one for one in json.loads(lyts.quick("doctor", "--json", env=env).out) if one["topic"] == "syncthing"]
    assert "Syncthing v1.19.2, and lyts needs 1.27" in remark["what"]


def test_one_that_ends_at_once_is_quoted(lyts: Lyts, program: Program, tmp_path: Path) -> None:
    broken = f'case "$1" in serve) echo "the moon is full"; exit 1;; esac; exec "{program.path}" "$@"'
    env = {"LYTS_SYNCTHING": a_program(tmp_path / "broken", broken)}
    done = lyts("sync", "up", "--local-only", env=env, code=3)
    assert "ended at once" in done.err
    assert "the moon is full" in done.err
    assert lyts.json("sync", code=1)[0]["state"] == "stopped"
    lyts("sync", "up")
    assert lyts.json("sync")[0]["state"] == "running"


def test_one_that_cannot_make_its_keys_is_quoted_and_tried_again(lyts: Lyts, program: Program, tmp_path: Path) -> None:
    broken = f'case "$1" in generate) echo "no ink left"; exit 1;; esac; exec "{program.path}" "$@"'
    env = {"LYTS_SYNCTHING": a_program(tmp_path / "broken", broken)}
    assert "no ink left" in lyts("sync", "up", "--local-only", env=env, code=3).err
    assert lyts.json("sync", code=1)[0]["state"] == "none"
    lyts("sync", "up", "--local-only")


def test_the_command_line_of_version_2_is_spoken(lyts: Lyts, program: Program, tmp_path: Path) -> None:
    """Not Syncthing 2, which no Debian has yet: the real one behind the options that 2 has, by its source."""
    two = f"""
    [ "$1" != --version ] || {{ echo 'syncthing v2.0.10 "Hafnium Hornet" (go1.25 linux-amd64)'; exit 0; }}
    for word; do
        case "$word" in
            generate|serve|--home=*|--no-browser|--no-restart|--no-upgrade|--gui-user=*|--gui-password=-) ;;
            --no-port-probing) continue ;;
            *) echo "syncthing: error: unknown flag $word" >&2; exit 80 ;;
        esac
    done
    kind=$1; shift
    for word; do shift; [ "$word" = --no-port-probing ] || set -- "$@" "$word"; done
    exec "{program.path}" "$kind" "$@" --no-default-folder --skip-port-probing"""
    env = {"LYTS_SYNCTHING": a_program(tmp_path / "two", two)}
    assert "Syncthing v2.0.10 runs" in lyts("sync", "up", "--local-only", env=env).out
    assert lyts.json("sync")[0]["state"] == "running"
    lyts("sync", "down", env=env)


def test_a_damaged_home_is_said_and_nothing_is_made_in_its_place(lyts: Lyts, program: Program) -> None:
    lyts("sync", "up", "--local-only")
    lyts("sync", "down")
    path = home(lyts) / "config.xml"
    path.write_text("<configuration>")
    assert "is damaged" in lyts("sync", "up", code=3).err
    assert "is damaged" in lyts("sync", code=3).err
    assert path.read_text() == "<configuration>"


def test_loose_rights_are_a_problem_that_doctor_names(lyts: Lyts, program: Program) -> None:
    lyts("sync", "up", "--local-only")
    (home(lyts) / "config.xml").chmod(0o644)
    home(lyts).chmod(0o755)
    out = lyts("doctor", code=1).out
    assert f"chmod 600 {home(lyts)}/config.xml" in out
    assert f"chmod 700 {home(lyts)}" in out


def test_without_a_store_nothing_is_made(tmp_path: Path) -> None:
    lyts = Lyts(tmp_path / "home")
    for words in (("sync",), ("sync", "up"), ("sync", "down")):
        assert "lyts init" in lyts.quick(*words, code=3).err
    assert not lyts.store.exists()


# -- what it loads --------------------------------------------------------------------------------


@pytest.mark.parametrize("words", [["find", "--count"], ["doctor"], ["help", "sync"], ["sync"]])
def test_httpx_is_loaded_by_nothing_that_asks_nobody(lyts: Lyts, words: list[str]) -> None:
    code = (
        f"import sys; from shell.main import main; main({words!r});"
        "sys.stderr.write(str([m for m in ('httpx', 'anyio', 'asyncio', 'ssl', 'xml.etree') if m in sys.modules]))"
    )
    done = subprocess.run(
        [sys.executable, "-P", "-c", code], env=lyts.env, capture_output=True, text=True, check=False, timeout=60
    )
    assert done.stderr.rpartition("\n")[2] == ("['xml.etree']" if words in (["doctor"], ["sync"]) else "[]")
