"""Reading and changing config.xml; which store uses which Syncthing; finding a program; knowing a process again."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from sync.syncthing import process
from sync.syncthing.address import Key
from sync.syncthing.attached import Attached, read_attached, write_attached
from sync.syncthing.errors import BadAddress, BadSettings, NoProgram, TooOld
from sync.syncthing.home import Wishes, changed, device_id_of, read_config
from sync.syncthing.managed import check_listen
from sync.syncthing.process import Started
from sync.syncthing.program import Program, candidates, environment, find
from tagfs.errors import BadRequest
from tagfs.layout import Layout
from tagfs.placement import read_settings

OWN = "AAAAAAA-BBBBBBB"
CONFIG = f"""\
<configuration version="37">
    <folder id="F" path="/p"><future depth="3">kept</future></folder>
    <device id="{OWN}" name="vm"><address>dynamic</address></device>
    <device id="OTHER" name="vm"><address>dynamic</address></device>
    <gui enabled="true" tls="false"><address>127.0.0.1:8384</address><apikey>sesame</apikey></gui>
    <options>
        <listenAddress>default</listenAddress>
        <listenAddress>tcp://0.0.0.0:1</listenAddress>
        <globalAnnounceEnabled>true</globalAnnounceEnabled>
        <urAccepted>0</urAccepted>
        <future>kept</future>
    </options>
</configuration>
"""


def written(folder: Path, text: str = CONFIG) -> str:
    path = folder / "config.xml"
    path.write_text(text, encoding="utf-8")
    return str(path)


def option(text: bytes, name: str) -> list[str | None]:
    return [one.text for one in ET.fromstring(text).iterfind(f"options/{name}")]


# -- config.xml ---------------------------------------------------------------------


def test_a_config_is_read(tmp_path: Path) -> None:
    found = read_config(written(tmp_path))
    assert (str(found.address), found.key) == ("http://127.0.0.1:8384", Key("sesame"))
    assert found.listen == ("default", "tcp://0.0.0.0:1")
    assert not found.local_only
    assert "sesame" not in repr(found)


@pytest.mark.parametrize(
    ("before", "after", "says"),
    [
        ("<apikey>sesame</apikey>", "", "no API key"),
        ("<apikey>sesame</apikey>", "<apikey> </apikey>", "no API key"),
        ('<gui enabled="true"', '<gui enabled="false"', "turned off"),
        ("<configuration", "<other", "damaged"),
        ("</configuration>", "", "damaged"),
        ("configuration", "html", "not one of Syncthing's"),
        ("<configuration", "<!DOCTYPE x [<!ENTITY a 'aa'>]><configuration", "not one of Syncthing's"),
    ],
)
def test_a_config_that_does_not_serve_is_said_by_name(tmp_path: Path, before: str, after: str, says: str) -> None:
    path = written(tmp_path, CONFIG.replace(before, after))
    with pytest.raises(BadSettings, match=says) as caught:
        read_config(path)
    assert path in str(caught.value)
    assert "sesame" not in str(caught.value)


def test_a_config_that_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(BadSettings, match="cannot be read"):
        read_config(str(tmp_path / "config.xml"))


def test_a_gui_that_is_on_another_machine_is_refused(tmp_path: Path) -> None:
    path = written(tmp_path, CONFIG.replace("127.0.0.1:8384", "192.0.2.7:8384"))
    with pytest.raises(BadAddress, match=r"not on this machine"):
        read_config(path)
    with pytest.raises(BadAddress, match=r"https only"):
        read_config(path, remote_allowed=True)


def test_it_reports_nothing_and_upgrades_nothing_whatever_is_wished() -> None:
    text = changed("c", CONFIG.encode(), OWN, Wishes())
    assert option(text, "urAccepted") == ["-1"]
    assert option(text, "crashReportingEnabled") == ["false"]
    assert option(text, "autoUpgradeIntervalH") == ["0"]
    assert option(text, "startBrowser") == ["false"]
    assert option(text, "reconnectionIntervalS") == ["5"]
    # What is not wished otherwise stays.
    assert option(text, "globalAnnounceEnabled") == ["true"]
    assert option(text, "listenAddress") == ["default", "tcp://0.0.0.0:1"]
    assert option(text, "future") == ["kept"]
    assert ET.fromstring(text).findtext("folder/future") == "kept"
    assert ET.fromstring(text).findtext("gui/apikey") == "sesame"


def test_local_only_turns_off_all_ways_of_being_found_and_back_on() -> None:
    ways = ("globalAnnounceEnabled", "localAnnounceEnabled", "relaysEnabled", "natEnabled", "announceLANAddresses")
    off = changed("c", CONFIG.encode(), OWN, Wishes(local_only=True, listen=("tcp://127.0.0.1:2",)))
    assert [option(off, way) for way in ways] == [["false"]] * 5
    assert option(off, "stunKeepaliveStartS") == ["0"]
    assert option(off, "listenAddress") == ["tcp://127.0.0.1:2"]
    on = changed("c", off, OWN, Wishes(local_only=False))
    assert [option(on, way) for way in ways] == [["true"]] * 5


def test_changing_again_changes_nothing() -> None:
    wishes = Wishes("laptop", 1234, True, ("tcp://127.0.0.1:2",))
    once = changed("c", CONFIG.encode(), OWN, wishes)
    assert changed("c", once, OWN, wishes) == once
    assert changed("c", once, OWN, Wishes()) == once


def test_only_the_own_device_gets_the_name() -> None:
    text = changed("c", CONFIG.encode(), OWN, Wishes(name='Ada\'s <"laptop">'))
    assert [one.get("name") for one in ET.fromstring(text).iterfind("device")] == ['Ada\'s <"laptop">', "vm"]


@pytest.mark.parametrize("text", ["", "garbage", "-----BEGIN CERTIFICATE-----\n!!\n-----END CERTIFICATE-----", "ä"])
def test_a_certificate_that_is_none_is_said(tmp_path: Path, text: str) -> None:
    (tmp_path / "cert.pem").write_text(text, encoding="utf-8")
    with pytest.raises(BadSettings, match=r"cert\.pem"):
        device_id_of(str(tmp_path))


@pytest.mark.parametrize(
    "given", ["", "22000", "tcp://", "tcp://127.0.0.1", "tcp://x:0", "tcp://x:65536", "http://x:1"]
)
def test_an_address_to_listen_on_that_is_none_is_refused(given: str) -> None:
    with pytest.raises(BadRequest, match="tcp://127"):
        check_listen(given)


# -- sync.toml ------------------------------------------------------------------------


@pytest.mark.parametrize(
    "attached",
    [
        Attached(config='/home/ada/a "strange" \\ path\x7f/ü/config.xml'),
        Attached(url="http://127.0.0.1:8384", key=Key('k"e\\y')),
        Attached(url="https://nas.example.org:8384", key=Key("k"), remote=True),
    ],
)
def test_what_a_store_is_attached_to_is_read_as_written_and_kept_private(tmp_path: Path, attached: Attached) -> None:
    layout = Layout(str(tmp_path))
    draft = Path(layout.sync_settings + ".new")
    draft.write_text("left by a crash")
    draft.chmod(0o644)
    write_attached(layout, attached)
    assert read_attached(layout) == attached
    assert os.stat(layout.sync_settings).st_mode & 0o777 == 0o600
    assert os.listdir(tmp_path) == ["sync.toml"]
    write_attached(layout, None)
    write_attached(layout, None)
    assert read_attached(layout) is None


def test_what_else_a_person_wrote_there_stays(tmp_path: Path) -> None:
    layout = Layout(str(tmp_path))
    path = Path(layout.sync_settings)
    mine = "# mine\n[placement]\n# two of each\nmin_copies = 2"
    path.write_text(mine)
    for url in ("http://127.0.0.1:1", "http://127.0.0.1:2"):
        write_attached(layout, Attached(url=url, key=Key("k")))
        found = read_attached(layout)
        assert found is not None
        assert found.url == url
        assert read_settings(layout).min_copies == 2
        assert path.read_text().count("[syncthing]") == 1
    write_attached(layout, None)
    assert read_attached(layout) is None
    assert path.read_text() == mine + "\n"


@pytest.mark.parametrize(
    "text",
    [
        "[syncthing",
        "syncthing = 3",
        '[syncthing]\nurl = 3\napi_key = "s3cret"',
        '[syncthing]\nurl = "http://127.0.0.1:1"',
        b"\xff",
    ],
)
def test_damaged_settings_are_said_without_the_key(tmp_path: Path, text: str | bytes) -> None:
    layout = Layout(str(tmp_path))
    Path(layout.sync_settings).write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(BadSettings, match=r"sync\.toml") as caught:
        read_attached(layout)
    assert "s3cret" not in str(caught.value)


def test_settings_of_other_things_attach_nothing(tmp_path: Path) -> None:
    layout = Layout(str(tmp_path))
    Path(layout.sync_settings).write_text("[placement]\ndefault = 'here'\n")
    assert read_attached(layout) is None


# -- the program ----------------------------------------------------------------------


def script(folder: Path, says: str, code: int = 0) -> str:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "syncthing"
    path.write_text(f"#!/bin/sh\necho '{says}'\nexit {code}\n")
    path.chmod(0o755)
    return str(path)


def test_the_one_that_is_named_counts_and_no_other(tmp_path: Path) -> None:
    named = script(tmp_path / "named", "syncthing v1.30.0 x")
    script(tmp_path / "path", "syncthing v1.29.0 x")
    environ = {"PATH": str(tmp_path / "path"), "LYTS_SYNCTHING": named}
    assert find(environ) == Program(named, "v1.30.0", (1, 30))
    assert list(candidates(environ | {"LYTS_SYNCTHING": "/nope"})) == ["/nope"]
    with pytest.raises(NoProgram, match="/nope does not run"):
        find(environ | {"LYTS_SYNCTHING": "/nope"})


def test_one_on_the_path_that_is_new_enough_is_taken(tmp_path: Path) -> None:
    found = script(tmp_path, "syncthing v2.0.1 x")
    assert find({"PATH": str(tmp_path)}) == Program(found, "v2.0.1", (2, 0))


@pytest.mark.parametrize("says", ["syncthing v1.19.2 x", "syncthing v1.26.9 x", "syncthing v0.14.43 x"])
def test_one_that_is_too_old_is_said_with_its_version(tmp_path: Path, says: str) -> None:
    named = script(tmp_path, says)
    with pytest.raises(TooOld, match=says.split()[1]) as caught:
        find({"LYTS_SYNCTHING": named})
    assert named in str(caught.value)


@pytest.mark.parametrize(("says", "code"), [("hello", 0), ("", 0), ("syncthing v1.29.0", 1)])
def test_one_that_is_something_else_is_said(tmp_path: Path, says: str, code: int) -> None:
    with pytest.raises(NoProgram, match="is not Syncthing"):
        find({"LYTS_SYNCTHING": script(tmp_path, says, code)})


def test_command_lines_are_those_of_the_version() -> None:
    old, new = Program("st", "v1.29.5", (1, 29)), Program("st", "v2.0.1", (2, 0))
    assert old.generate("/h")[1:] == ["generate", "--home=/h", "--no-default-folder", "--skip-port-probing"]
    assert new.generate("/h")[1:] == ["generate", "--home=/h", "--no-port-probing"]
    common = ["serve", "--home=/h", "--no-browser", "--no-restart", "--no-upgrade"]
    assert old.serve("/h")[1:] == [*common, "--no-default-folder", "--skip-port-probing"]
    assert new.serve("/h")[1:] == [*common, "--no-port-probing"]


def test_nothing_of_a_persons_own_syncthing_reaches_ours() -> None:
    given = {"PATH": "/bin", "HOME": "/h", "STHOMEDIR": "/theirs", "STGUIAPIKEY": "k", "STTRACE": "all", "ST_X": "y"}
    assert environment(given) == {
        "PATH": "/bin", "HOME": "/h", "ST_X": "y", "STNOUPGRADE": "1", "STMONITORED": "yes"
    }  # fmt: skip


# -- the process ----------------------------------------------------------------------


@pytest.fixture
def sleeper() -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-c", "import sys; sys.stdin.read()"], stdin=subprocess.PIPE)


def ended(child: subprocess.Popen[bytes]) -> int:
    assert child.stdin is not None
    child.stdin.close()
    return child.wait(60)


def test_a_process_is_known_again_and_ended(sleeper: subprocess.Popen[bytes]) -> None:
    began = process.began(sleeper.pid)
    assert began is not None
    noted = Started(sleeper.pid, began, "boot")
    assert process.is_alive(noted, "boot")
    assert not process.end(noted, "boot", None, 0)
    assert process.end(noted, "boot", signal.SIGTERM, 60)
    # It has ended and nobody has asked how yet: it counts as gone.
    assert not process.is_alive(noted, "boot")
    assert process.end(noted, "boot", signal.SIGTERM, 60)
    assert ended(sleeper) == -signal.SIGTERM


def test_a_number_that_another_process_has_by_now_is_left_alone(sleeper: subprocess.Popen[bytes]) -> None:
    began = process.began(sleeper.pid) or 0
    for other in (Started(sleeper.pid, began - 1, "boot"), Started(sleeper.pid, began, "earlier boot"),
                  Started(sleeper.pid, 0, "boot")):  # fmt: skip
        assert not process.is_alive(other, "boot")
        assert process.end(other, "boot", signal.SIGKILL, 0)
    assert sleeper.poll() is None
    assert ended(sleeper) == 0


def test_a_note_is_read_as_written_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "note"
    assert process.read_note(str(path)) is None
    process.write_note(str(path), Started(7, 8, "boot"))
    assert process.read_note(str(path)) == Started(7, 8, "boot")
    assert path.stat().st_mode & 0o777 == 0o600
    for damaged in (b"", b"7", b"7 8", b"x 8 boot", b"7 8 boot more", b"\xff 8 boot"):
        path.write_bytes(damaged)
        assert process.read_note(str(path)) is None


def test_what_is_started_detached_is_nobodys_child_and_writes_to_the_log(tmp_path: Path) -> None:
    log = tmp_path / "log"
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    words = ["/bin/sh", "-c", 'umask; echo "$1" >&2; read x < "$2"', "sh", "it is 'me'; $0", str(fifo)]
    started = process.start_detached(words, os.environ, str(log), "b")
    assert process.is_alive(started, "b")
    with pytest.raises(ChildProcessError):
        os.waitpid(started.pid, 0)
    fifo.write_text("go\n")
    assert process.end(started, "b", None, 60)
    assert log.read_text() == "0077\nit is 'me'; $0\n"
    assert log.stat().st_mode & 0o777 == 0o600
