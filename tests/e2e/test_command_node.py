"""`lyts node`, as a person types it: several devices on this machine, with real daemons and Syncthings."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from sync.invite import decode
from sync.syncthing import process
from sync.syncthing.attached import connect
from sync.syncthing.managed import config_path
from tagfs.layout import read_info
from tests.support.command import START, Lyts
from tests.support.devices import BOOT, Devices
from tests.support.syncthing import Cluster, until

pytestmark = pytest.mark.timeout(600)


@pytest.fixture
def devices(tmp_path: Path) -> Iterator[Devices]:
    with Devices(tmp_path) as all_of_them:
        yield all_of_them


def test_a_device_is_invited_joins_and_is_let_in_and_each_finds_what_the_other_adds(devices: Devices) -> None:
    laptop = devices.first("laptop")
    laptop.quick("add", "-t", "music", laptop.file("old.txt"))
    said = laptop("node", "invite")
    assert "node accept" in said.err
    code = said.out.strip()
    assert decode(code).alias == "laptop"
    assert decode(code).device == laptop.json("sync")[0]["device_id"]
    tablet = devices.new("tablet")
    joined = tablet("node", "join", code, "--alias", "tablet", "--local-only")
    device = tablet.json("sync")[0]["device_id"]
    assert device in joined.out
    assert "lyts node accept" in joined.err
    # Nobody was asked, and without an answer nothing happens.
    until(lambda: "asks to join" in laptop.quick("node", "accept", code=None).out, "asks")
    asked = laptop.quick("node", "accept", code=2)
    assert "--yes" in asked.err
    assert device in asked.out
    assert laptop.states() == {"laptop": "here"}
    assert tablet.states() == {"tablet": "here", "laptop": "joining"}
    done = laptop.accept("tablet")
    assert "tablet is in the library now" in done.out
    assert "lyts restore --nodes tablet" in done.err
    tablet.until_found("music", ["old.txt"])
    laptop.quick("add", "-t", "music", laptop.file("new.txt"))
    tablet.until_found("music", ["new.txt", "old.txt"])
    tablet.quick("tag", "loud", "new.txt")
    laptop.until_found("loud", ["new.txt"])
    laptop.until_states(laptop="here", tablet="connected")
    tablet.until_states(tablet="here", laptop="connected")
    (now,) = laptop.json("sync")
    assert (now["problems"], now["daemon"]) == ([], "running")
    assert {row["device"] for row in now["nodes"]} == {device, now["device_id"]}
    assert "already" in tablet.quick("node", "join", code, code=2).err
    laptop.check()
    tablet.check()


def test_a_person_is_asked_and_the_new_device_waits_for_the_answer(devices: Devices) -> None:
    laptop, tablet = devices.first("laptop"), devices.new("tablet")
    laptop.quick("add", "-t", "music", laptop.file("old.txt"))
    words = [*START, "node", "join", laptop.code(), "--alias", "tablet", "--local-only", "--wait"]
    child = subprocess.Popen(words, env=tablet.env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        # On a terminal it waits for one to ask, without being told to.
        no = laptop.terminal("node", "accept", typed=[("Go on? [y/N]", "n\n")])
        assert (no.code, no.out.count("Nothing was changed.")) == (1, 1)
        assert laptop.states() == {"laptop": "here"}
        assert child.poll() is None
        answers = [("Go on? [y/N]", "y\n"), ("beside this device? [y/N]", "y\n"), ("too (7 B)? [y/N]", "y\n")]
        yes = laptop.terminal("node", "accept", typed=answers)
        assert yes.code == 0
        assert "tablet is in the library now" in yes.out
        assert "tablet gets old.txt, 7 B" in yes.out
        out, err = child.communicate(timeout=120)
    except BaseException:
        child.kill()
        child.communicate()
        raise
    assert child.returncode == 0, err
    assert out.endswith("laptop has let this device in\n")
    assert laptop.quick("sync", "default").out == "what is added here is kept by laptop and tablet\n"
    laptop.quick("add", "-t", "music", laptop.file("new.txt"))
    assert [row["holds"] for row in laptop.json("find", "music")] == [["laptop", "tablet"]] * 2
    until(lambda: [bool(row["path"]) for row in tablet.json("find", "music", code=None)] == [True] * 2, "bytes")
    (device,) = (one["device_id"] for one in tablet.json("sync"))
    assert device in out
    assert device in re.sub(r"\s", "", yes.out)


def test_a_third_that_joins_through_the_second_is_connected_with_the_first(devices: Devices) -> None:
    laptop = devices.first("laptop")
    tablet = devices.join("tablet", laptop)
    phone = devices.join("phone", tablet)
    for one in (laptop, tablet, phone):
        name = one.home.name
        one.until_states(**{other: "here" if other == name else "connected" for other in ("laptop", "tablet", "phone")})
    tablet.down()
    phone.quick("add", "-t", "photo", phone.file("cat.txt"))
    laptop.until_found("photo", ["cat.txt"])
    laptop.until_states(laptop="here", tablet="away", phone="connected")
    assert laptop.nodes()["tablet"]["last_seen"].startswith("20")


def test_one_that_may_not_introduce_brings_nobody_in(devices: Devices) -> None:
    laptop = devices.first("laptop")
    server = devices.join("server", laptop, "--server")
    assert laptop.nodes()["server"]["introduces"] is False
    spy = devices.join("spy", server)
    laptop.until_states(laptop="here", server="connected", spy="apart")
    assert spy.nodes()["spy"]["device"] not in {one["device_id"] for one in laptop.json("sync")[0]["devices"]}


def test_a_device_is_called_otherwise_everywhere(devices: Devices) -> None:
    laptop = devices.first("laptop")
    tablet = devices.join("tablet", laptop)
    assert laptop.quick("node", "rename", "tablet", "old tablet").out == "tablet is now called old tablet\n"
    tablet.until_states(**{"old tablet": "here", "laptop": "connected"})
    # It has noted itself what it is called now: for what is done while no daemon runs.
    until(lambda: read_info(tablet.layout).alias == "old tablet", "noted")
    laptop.quick("node", "rename", "laptop", "new laptop")
    assert read_info(laptop.layout).alias == "new laptop"
    laptop.quick("node", "rename", "new laptop", "laptop")
    assert "another device is called" in laptop.quick("node", "rename", "laptop", "Old Tablet", code=2).err
    assert "no device 'phone'" in laptop.quick("node", "rename", "phone", "x", code=2).err
    laptop.quick("add", "-t", "a", laptop.file("one.txt"))
    tablet.until_found("a", ["one.txt"])


def test_a_device_that_is_forgotten_gets_and_brings_nothing_any_more(devices: Devices) -> None:
    laptop = devices.first("laptop")
    tablet = devices.join("tablet", laptop)
    tablet.quick("add", "-t", "only", tablet.file("mine.txt"))
    laptop.until_found("only", ["mine.txt"])
    assert "forget it on another one" in laptop.quick("node", "forget", "laptop", code=2).err
    asked = laptop.quick("node", "forget", "tablet", code=2)
    assert "1 file (8 B) are on tablet alone:\n  mine.txt\n" in asked.err
    assert laptop.states() == {"laptop": "here", "tablet": "connected"}
    device = tablet.json("sync")[0]["device_id"]
    laptop.quick("node", "forget", "tablet", "--yes")
    until(lambda: device not in {one["device_id"] for one in laptop.json("sync")[0]["devices"]}, "forgotten")
    assert laptop.states() == {"laptop": "here"}
    laptop.quick("add", "-t", "secret", laptop.file("secret.txt"))
    # Which of the two dials the other follows from their ids, so it may ask again or not; it is not let in.
    until(lambda: tablet.states()["laptop"] != "connected", "cut off")
    assert tablet.found("secret") == []
    refused = laptop.quick("node", "accept", device, "--yes", code=None)
    assert refused.code != 0
    assert laptop.found("only") == ["mine.txt"]


def test_all_goes_on_after_everything_was_ended_and_started_again(devices: Devices) -> None:
    laptop = devices.first("laptop")
    tablet = devices.join("tablet", laptop)
    daemon, syncthing = laptop.daemon(), laptop.syncthing()
    for one in (laptop, tablet):
        one.down()
    assert not process.is_alive(daemon, BOOT)
    assert not process.is_alive(syncthing, BOOT)
    laptop.quick("add", "-t", "offline", laptop.file("a.txt"))
    tablet.quick("add", "-t", "offline", tablet.file("b.txt"))
    for one in (tablet, laptop):
        one.up()
    laptop.until_found("offline", ["a.txt", "b.txt"])
    tablet.until_found("offline", ["a.txt", "b.txt"])


def test_all_goes_on_after_the_daemon_or_syncthing_was_killed(devices: Devices) -> None:
    laptop = devices.first("laptop")
    tablet = devices.join("tablet", laptop)
    before = laptop.syncthing()
    laptop.kill(before)
    laptop.quick("add", "-t", "one", laptop.file("a.txt"))
    tablet.until_found("one", ["a.txt"])
    assert laptop.syncthing() != before
    daemon = laptop.daemon()
    laptop.kill(daemon)
    assert laptop.json("sync", code=1)[0]["daemon"] == "stopped"
    laptop.quick("add", "-t", "two", laptop.file("b.txt"))
    laptop.up()
    assert laptop.daemon() != daemon
    tablet.until_found("two", ["b.txt"])
    laptop.kill(laptop.daemon())
    laptop.kill(laptop.syncthing())
    laptop.up()
    tablet.quick("add", "-t", "three", tablet.file("c.txt"))
    laptop.until_found("three", ["c.txt"])


def test_two_of_one_name_are_told_apart(devices: Devices) -> None:
    laptop = devices.first("laptop")
    other = devices.new("other")
    other.quick("node", "join", laptop.code(), "--alias", "laptop", "--local-only")
    done = laptop.accept("laptop")
    assert "so this one will be laptop-2" in done.err
    laptop.until_states(**{"laptop": "here", "laptop-2": "connected"})
    other.until_states(**{"laptop": "connected", "laptop-2": "here"})
    laptop.quick("add", "-t", "a", laptop.file("one.txt"))
    other.until_found("a", ["one.txt"])
    other.quick("tag", "b", "one.txt")
    laptop.until_found("b", ["one.txt"])


def test_persons_own_syncthings_that_know_each_other_carry_a_library_as_well(devices: Devices, tmp_path: Path) -> None:
    with Cluster(tmp_path, 2) as cluster:
        laptop, tablet = devices.new("laptop"), devices.new("tablet")
        for one, theirs in ((laptop, cluster[0]), (tablet, cluster[1])):
            one.quick("init", "--alias", one.home.name)
            one.quick("sync", "up", "--attach", config_path(theirs.managed.home))
        assert cluster[0].client.device(cluster[1].device_id).name == "n1"
        tablet.quick("node", "join", laptop.code())
        assert cluster[1].device_id in laptop.accept("tablet").out
        laptop.until_states(laptop="here", tablet="connected")
        laptop.quick("add", "-t", "music", laptop.file("a.txt"))
        tablet.until_found("music", ["a.txt"])
        tablet.down()
        tablet.up()
        assert cluster[1].client.device(cluster[1].device_id).name == "n1"
        tablet.quick("node", "forget", "laptop", "--yes")
        until(lambda: len(cluster[1].client.devices()) == 1, "forgotten")


def test_a_persons_own_syncthing_asks_a_stranger_and_keeps_its_name(devices: Devices, tmp_path: Path) -> None:
    laptop, tablet = devices.first("laptop"), devices.new("tablet")
    with Cluster(tmp_path, 1) as cluster:
        tablet.quick("init", "--alias", "tablet")
        tablet.quick("sync", "up", "--attach", config_path(cluster[0].managed.home))
        tablet.quick("node", "join", laptop.code())
        laptop.accept("tablet")
        tablet.until_states(tablet="here", laptop="connected")
        laptop.until_states(tablet="connected", laptop="here")
        tablet.down()
        tablet.up()
        assert cluster[0].client.device(cluster[0].device_id).name == "n0"


def test_one_code_lets_several_ask_and_each_is_asked_about(devices: Devices) -> None:
    laptop = devices.first("laptop")
    code = laptop.code()
    for name in ("tablet", "phone"):
        devices.new(name).quick("node", "join", code, "--alias", name, "--local-only")
    until(lambda: "several devices ask" in laptop.quick("node", "accept", "--yes", code=None).err, "both ask")
    assert laptop.states() == {"laptop": "here"}
    laptop.accept("tablet")
    laptop.accept("phone", "--alias", "old phone")
    laptop.until_states(**{"laptop": "here", "tablet": "connected", "old phone": "connected"})


def test_join_leaves_a_store_with_files_alone(devices: Devices) -> None:
    laptop = devices.first("laptop")
    code = laptop.code()
    other = devices.new("other")
    other.quick("init", "--alias", "other")
    other.quick("add", "-t", "x", other.file("a.txt"))
    toml = (other.store / "store.toml").read_text()
    refused = other.quick("node", "join", code, code=2)
    assert "another library, with 1 file in it. Nothing was changed" in refused.err
    assert (other.store / "store.toml").read_text() == toml
    assert other.found("x") == ["a.txt"]
    assert not (other.store / "syncthing").exists()
    assert "from this very device" in laptop.quick("node", "join", code, code=2).err
    damaged = other.quick("node", "join", code[:-3], code=2)
    assert "typing mistake" in damaged.err
    assert "lyts1-" in other.quick("node", "join", "hello", code=2).err


def test_a_store_that_was_just_made_may_join_and_so_may_one_whose_join_was_cut_short(devices: Devices) -> None:
    laptop = devices.first("laptop")
    tablet = devices.new("tablet")
    tablet.quick("init", "--alias", "tablet")
    broken = tablet.quick(
        "node", "join", laptop.code(), "--local-only", env={"LYTS_SYNCTHING": "/nowhere/syncthing"}, code=3
    )
    assert "Syncthing" in broken.err
    tablet.quick("node", "join", laptop.code(), "--alias", "tab", "--local-only")
    tablet.quick("node", "join", laptop.code(), "--local-only")
    laptop.accept("tab")
    laptop.until_states(laptop="here", tab="connected")
    assert "another library" in tablet.quick("node", "join", devices.first("other").code(), code=2).err


def test_an_invitation_needs_syncing_to_run(devices: Devices) -> None:
    one = devices.new("one")
    one.quick("init", "--alias", "one")
    for words in (("node", "invite"), ("node", "accept")):
        assert "lyts sync up" in one.quick(*words, code=2).err
    assert one.states() == {"one": "here"}
    nothing = one.quick("node")
    assert "node invite" in nothing.err


def test_the_invitation_is_drawn_as_a_qr_code(devices: Devices) -> None:
    laptop = devices.first("laptop")
    lines = laptop("node", "invite", "--qr").out.splitlines()
    drawn, code = lines[:-1], lines[-1]
    assert decode(code).alias == "laptop"
    assert len({len(line) for line in drawn}) == 1
    assert len(drawn[0]) <= 80
    # As a camera would read it: two rows of squares a line, light where something is drawn.
    halves = {"█": (False, False), "▀": (False, True), "▄": (True, False), " ": (True, True)}
    rows = [[halves[ch][half] for ch in line] for line in drawn for half in (0, 1)]
    inner = [row[4:-4] for row in rows[4:] if any(row)]
    import segno

    wanted = segno.make(code.upper(), error="l", micro=False).matrix
    assert inner == [[bool(square) for square in row] for row in wanted]


def test_a_copy_of_a_store_becomes_a_device_of_its_own_that_joins_with_the_bytes_it_has(devices: Devices) -> None:
    laptop, tablet = devices.first("laptop"), devices.new("tablet")
    laptop.quick("add", "-t", "music", laptop.file("song.bin", os.urandom(3 << 20)))
    laptop.down()
    shutil.copytree(laptop.store, tablet.store)
    laptop.up()
    assert "node join" in tablet.quick("node", "here", "--copied", "--alias", "tablet", "--yes").err
    tablet.quick("node", "join", laptop.code(), "--local-only")
    laptop.accept("tablet")
    laptop.until_states(laptop="here", tablet="connected")
    until(lambda: laptop.json("find", "music")[0]["holds"] == ["laptop", "tablet"], "both keep it")
    for one in (laptop, tablet):
        until(lambda one=one: list(one.store.glob("sets/laptop+tablet/data/*/*song.bin")), "in place")
        until(lambda one=one: not list(one.store.glob("sets/*/data/*/.syncthing.*")), "nothing on its way")
        assert one.found("music") == ["song.bin"]
        with connect(one.layout) as syncthing:
            assert syncthing.connections().total.in_bytes < 1 << 20
    tablet.quick("tag", "quiet", "song.bin")
    laptop.until_found("quiet", ["song.bin"])
    laptop.check()
    tablet.check()


def test_a_store_that_was_made_on_another_machine_is_only_looked_at_until_a_person_says_it_moved(
    tmp_path: Path,
) -> None:
    lyts = Lyts(tmp_path / "home")
    lyts.quick("init", "--alias", "laptop")
    lyts.quick("add", "-t", "music", lyts.file("a.txt"))
    toml = lyts.store / "store.toml"
    if 'machine_id = ""' in toml.read_text():
        pytest.skip("NOT TESTED: this machine has no /etc/machine-id")
    there = re.sub('machine_id = ".*"', f'machine_id = "{"0" * 32}"', toml.read_text())
    toml.write_text(there)
    before = {path: path.read_bytes() for path in (lyts.store / "ledgers").rglob("*") if path.is_file()}
    assert lyts.quick("find", "music").lines == ["a.txt"]
    for words in (
        ["tag", "x", "a.txt"],
        ["add", lyts.file("b.txt")],
        ["undo"],
        ["sync", "up"],
        ["node", "rename", "laptop", "x"],
    ):
        assert "lyts node here --moved" in lyts.quick(*words, code=3).err
    assert "made on another machine" in lyts.quick("doctor", code=1).out
    assert {path: path.read_bytes() for path in (lyts.store / "ledgers").rglob("*") if path.is_file()} == before
    assert "--yes" in lyts.quick("node", "here", "--moved", code=2).err
    assert "--moved" in lyts.quick("node", "here", code=2).err
    assert toml.read_text() == there
    lyts.quick("node", "here", "--moved", "--yes")
    lyts.quick("tag", "x", "a.txt")
    assert "nothing to change" in lyts.quick("node", "here", "--moved", code=1).err
    lyts.check()


def test_nothing_is_loaded_of_syncthing_where_nobody_is_asked(tmp_path: Path) -> None:
    lyts = Lyts(tmp_path / "home")
    lyts.quick("init")
    code = (
        "import sys; from shell.main import main; main(['node']);"
        "sys.stderr.write('loaded ' + str([m for m in ('httpx', 'ssl', 'segno') if m in sys.modules]))"
    )
    done = subprocess.run(
        [sys.executable, "-P", "-c", code], env=lyts.env, capture_output=True, text=True, check=False, timeout=60
    )
    assert done.stderr.endswith("loaded []")
    assert os.path.isdir(lyts.store)
