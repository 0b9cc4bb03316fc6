"""`lyts reduce`, `restore`, `where`, `why`, `sync rule`, `sync apply` as a person types them; no Syncthing runs."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tagfs.glossary import NODE_THING
from tagfs.store import Store
from tests.support.command import Lyts

TABLET = "22222222-0000-4000-8000-000000000002"
SERVER = "33333333-0000-4000-8000-000000000003"


@pytest.fixture
def lyts(tmp_path: Path) -> Iterator[Lyts]:
    one = Lyts(tmp_path / "home")
    one.quick("init", "--alias", "laptop")
    with Store(str(one.store)) as store:

        def introduce(change) -> None:  # type: ignore[no-untyped-def]
            change.unasked = True
            for guid, alias in ((TABLET, "tablet"), (SERVER, "server")):
                change.about("node", NODE_THING, guid, alias=alias)

        store.act(introduce)
    yield one
    one.check()


def add(lyts: Lyts, name: str, *tags: str, size: int = 1000) -> None:
    lyts.quick("add", "-t", ",".join(tags), lyts.file(name, name.ljust(size, ".")))


def holds(lyts: Lyts, name: str) -> list[str]:
    found: list[str] = lyts.json("where", name)[0]["holds"]
    return found


# -- reduce and restore


def test_restore_and_reduce_say_what_moves_and_which_device_to_connect(lyts: Lyts) -> None:
    add(lyts, "film.mkv", "video", size=4_000_000)
    done = lyts.quick("restore", "--nodes", "tablet,server", "film.mkv")
    assert done.lines == [
        "server gets film.mkv, 4.0 MB",
        "tablet gets film.mkv, 4.0 MB",
        "it is then kept by 3 devices",
    ]
    assert "lyts sync up" in done.err
    assert "Nothing moves until server and tablet are connected." in done.err.replace(
        "tablet and server", "server and tablet"
    )
    assert holds(lyts, "film.mkv") == ["laptop", "server", "tablet"]
    done = lyts.quick("reduce", "--nodes", "laptop", "--nodes", "server", "film.mkv")
    assert done.lines == [
        "laptop lets go of film.mkv; 4.0 MB will be free there",
        "server lets go of film.mkv; 4.0 MB will be free there",
        "it is then kept by 1 device",
    ]
    assert holds(lyts, "film.mkv") == ["tablet"]
    # The bytes are where they were: nobody has proven to have them.
    (here,) = lyts.json("where", "film.mkv")[0]["here"]
    assert (here["state"], here["nodes"]) == ("stray", ["laptop"])
    assert os.path.getsize(here["path"]) == 4_000_000


def test_this_device_is_meant_where_none_is_named(lyts: Lyts) -> None:
    add(lyts, "song", "music")
    lyts.quick("restore", "--nodes", "tablet", "song")
    lyts.quick("reduce", "song")
    assert holds(lyts, "song") == ["tablet"]
    lyts.quick("restore", "song")
    assert holds(lyts, "song") == ["laptop", "tablet"]


def test_the_last_holder_stays_and_the_others_go(lyts: Lyts) -> None:
    add(lyts, "only", "music")
    add(lyts, "both", "music")
    refused = lyts.quick("reduce", "only", code=1)
    assert (refused.out, refused.err) == (
        "", "1 file is left as it is, since nobody else would keep the bytes: only.\n"
    )  # fmt: skip
    lyts.quick("restore", "--nodes", "tablet", "both")
    done = lyts.quick("reduce", "-q", "music")
    assert done.lines[0] == "laptop lets go of both; 1.0 kB will be free there"
    assert "nobody else would keep the bytes: only" in done.err
    assert (holds(lyts, "only"), holds(lyts, "both")) == (["laptop"], ["tablet"])
    assert lyts.quick("reduce", "--nodes", "laptop,tablet,server", "-q", "music", code=1).out == ""
    assert (holds(lyts, "only"), holds(lyts, "both")) == (["laptop"], ["tablet"])


def test_what_is_so_already_is_no_error_and_no_action(lyts: Lyts) -> None:
    add(lyts, "song", "music")
    before = lyts.json("log")
    for words in (("restore",), ("reduce", "--nodes", "tablet"), ("restore", "--nodes", "laptop")):
        assert lyts.quick(*words, "song").err == "1 file is so already.\n"
    assert lyts.json("log") == before


def test_a_dry_run_counts_and_changes_nothing(lyts: Lyts) -> None:
    for n in range(3):
        add(lyts, f"f{n}", "video", size=2000)
    lyts.quick("restore", "--nodes", "tablet", "-q", "video")
    lyts.quick("restore", "--nodes", "server", "f0")
    before = lyts.json("log"), [holds(lyts, f"f{n}") for n in range(3)]
    done = lyts.quick("reduce", "-q", "video", "--dry-run")
    assert done.lines == [
        "laptop would let go of 3 files; 6.0 kB would be free there",
        "each would then be kept by 1 device at least",
    ]
    lyts.quick("restore", "--nodes", "server", "-q", "video", "--dry-run")
    assert (lyts.json("log"), [holds(lyts, f"f{n}") for n in range(3)]) == before


def test_wrong_use_changes_nothing(lyts: Lyts) -> None:
    add(lyts, "song", "music")
    assert "there are laptop, server, tablet" in lyts.quick("restore", "--nodes", "phone", "song", code=2).err
    assert "no file is named" in lyts.quick("reduce", code=2).err
    lyts.quick("reduce", "-q", "nothing", code=1)
    lyts.quick("restore", "nothing", code=1)


def test_undo_and_redo_of_placement(lyts: Lyts) -> None:
    add(lyts, "a", "music")
    add(lyts, "b", "music")
    lyts.quick("restore", "--nodes", "tablet", "-q", "music")
    lyts.quick("reduce", "-q", "music")
    assert lyts.quick("undo").out == "undone: reduce (2 files)\n"
    assert holds(lyts, "a") == ["laptop", "tablet"]
    assert lyts.quick("undo").out == "undone: restore (2 files)\n"
    assert holds(lyts, "b") == ["laptop"]
    lyts.quick("redo")
    lyts.quick("redo")
    assert holds(lyts, "b") == ["tablet"]


def test_fewer_copies_than_wanted_are_told(lyts: Lyts) -> None:
    (lyts.store / "sync.toml").write_text("[placement]\nmin_copies = 2\n")
    add(lyts, "a", "music")
    lyts.quick("restore", "--nodes", "tablet,server", "a")
    assert "min_copies" not in lyts.quick("reduce", "--nodes", "server", "a").err
    assert "1 file: fewer copies than the 2 devices that min_copies asks for." in lyts.quick("reduce", "a").err
    assert "fewer devices than the 2" in lyts.quick("where", "a").out
    add(lyts, "b", "music")
    found = [one for one in lyts.json("doctor", code=None) if one["topic"] == "copies"]
    assert [(one["level"], one["what"]) for one in found] == [
        ("note", "2 files are kept by fewer than 2 devices: a, b")
    ]  # fmt: skip
    lyts.quick("restore", "--nodes", "laptop,tablet", "-q", "music")
    (one,) = [one for one in lyts.json("doctor", code=None) if one["topic"] == "copies"]
    assert one["level"] == "ok"


def test_settings_that_make_no_sense_are_named(lyts: Lyts) -> None:
    add(lyts, "a", "music")
    (lyts.store / "sync.toml").write_text("[placement]\nmin_copies = 'many'\n")
    assert "min_copies is to be a number" in lyts.quick("reduce", "a", code=3).err
    assert any(
        one["level"] == "problem" and "min_copies" in one["what"] for one in lyts.json("doctor", code=1)
    )  # fmt: skip
    (lyts.store / "sync.toml").write_text("[placement]\ndefault = ['phone']\n")
    assert any("'phone'" in one["what"] for one in lyts.json("doctor", code=None))
    (lyts.store / "sync.toml").unlink()


# -- where and why


def test_where_and_why_name_who_chose(lyts: Lyts) -> None:
    add(lyts, "song", "music")
    assert lyts.json("where", "song")[0]["placed"]["how"] == "born"
    lyts.quick("restore", "--nodes", "tablet", "song")
    (placed,) = (one["placed"] for one in lyts.json("why", "song"))
    assert (placed["how"], placed["node"], placed["rules"]) == ("hand", "laptop", [])
    assert placed["action"] == lyts.json("log")[0]["action"]
    assert re.search(r"kept by laptop, tablet: chosen by hand, .* on laptop", lyts.quick("why", "song").out)
    lyts.quick("undo", placed["action"])
    assert lyts.json("where", "song")[0]["placed"]["how"] == "undo"
    (one,) = lyts.json("where", "song")
    assert {key: one[key] for key in ("knows", "unknown_to", "proven", "moving", "connected", "waits")} == {
        "knows": ["laptop", "server", "tablet"], "unknown_to": [], "proven": [], "moving": [], "connected": None,
        "waits": [],
    }  # fmt: skip
    assert [here["state"] for here in one["here"]] == ["in place"]
    lyts.quick("where", "nothing", code=1)


# -- rules


def test_rules_act_on_new_files_and_are_named(lyts: Lyts) -> None:
    assert "There is no rule" in lyts.quick("sync", "rule").err
    lyts.quick("sync", "rule", "add", "video+size=3kB..", "--holds", "server")
    lyts.quick("sync", "rule", "add", "type=video", "or", "photo", "--holds", "tablet,laptop")
    add(lyts, "short", "video")
    add(lyts, "long", "video", size=3000)
    add(lyts, "long.mkv", "video", size=3000)
    assert (holds(lyts, "short"), holds(lyts, "long")) == (["laptop"], ["server"])
    assert holds(lyts, "long.mkv") == ["laptop", "server", "tablet"]
    assert "by the rules for type=video or photo and video+size=3kB.." in lyts.quick("why", "long.mkv").out.replace(
        "video+size=3kB.. and type=video or photo", "type=video or photo and video+size=3kB.."
    )
    assert [(one["query"], one["holds"], one["files"]) for one in lyts.json("sync", "rule", "list")] == [
        ("type=video or photo", ["laptop", "tablet"], 1), ("video+size=3kB..", ["server"], 2),
    ]  # fmt: skip
    done = lyts.quick("sync", "rule", "add", "video size=3kB..", "--holds", "tablet")
    assert "(it was server)" in done.out
    assert len(lyts.json("sync", "rule")) == 2
    lyts.quick("sync", "rule", "rm", "size=3kB.. and video")
    lyts.quick("sync", "rule", "rm", "size=3kB.. and video", code=1)
    assert len(lyts.json("sync", "rule")) == 1
    assert holds(lyts, "long") == ["server"]  # and stays there
    lyts.quick("undo")
    assert [one["holds"] for one in lyts.json("sync", "rule")] == [["laptop", "tablet"], ["tablet"]]


def test_apply_skips_what_a_person_placed(lyts: Lyts) -> None:
    for name in ("a", "b", "c", "song"):
        add(lyts, name, "music" if name == "song" else "video", size=1000)
    lyts.quick("restore", "--nodes", "tablet", "b")
    assert "No rule" in lyts.quick("sync", "apply", code=1).err
    lyts.quick("sync", "rule", "add", "video", "--holds", "server")
    would = lyts.quick("sync", "apply", "--dry-run")
    assert would.lines == [
        "laptop would let go of 2 files; 2.0 kB would be free there",
        "server would get 2 files, 2.0 kB",
        "each would then be kept by 1 device at least",
    ]
    assert "1 file is left as it is: a person chose who keeps it." in would.err
    assert holds(lyts, "a") == ["laptop"]
    lyts.quick("sync", "apply")
    found = {name: holds(lyts, name) for name in ("a", "b", "c", "song")}
    assert found == {"a": ["server"], "b": ["laptop", "tablet"], "c": ["server"], "song": ["laptop"]}
    assert lyts.json("why", "a")[0]["placed"]["rules"] == ["video"]
    # Undone, they count as placed by nobody: the rule may act again.
    assert lyts.quick("undo").out == "undone: place by rule (2 files)\n"
    assert holds(lyts, "a") == ["laptop"]
    lyts.quick("sync", "apply")
    assert holds(lyts, "a") == ["server"]
    # A reduce that was undone is nobody's choice either; one that stands is.
    lyts.quick("restore", "c")
    lyts.quick("undo")
    lyts.quick("sync", "rule", "add", "video", "--holds", "tablet")
    lyts.quick("sync", "apply")
    assert (holds(lyts, "a"), holds(lyts, "b"), holds(lyts, "c")) == (["tablet"], ["laptop", "tablet"], ["tablet"])


def test_apply_asks_before_it_moves_many(lyts: Lyts) -> None:
    for n in range(22):
        add(lyts, f"f{n}", "video", size=10)
    lyts.quick("sync", "rule", "add", "video", "--holds", "server")
    refused = lyts.quick("sync", "apply", code=2)
    assert "This places 22 files anew." in refused.err
    assert holds(lyts, "f1") == ["laptop"]
    assert "server gets 22 files" in lyts.quick("sync", "apply", "--yes").out
    assert holds(lyts, "f1") == ["server"]


def test_rules_that_cannot_be_are_refused(lyts: Lyts) -> None:
    assert "phone" in lyts.quick("sync", "rule", "add", "video", "--holds", "phone", code=2).err
    assert "holds" in lyts.quick("sync", "rule", "add", "holds=laptop", "--holds", "server", code=2).err
    lyts.quick("sync", "rule", "add", "video+(", "--holds", "server", code=2)
    lyts.quick("sync", "rule", "add", "video", "--holds", ",", code=2)
    assert lyts.json("sync", "rule") == []


def test_the_default_says_where_other_files_go(lyts: Lyts) -> None:
    (lyts.store / "sync.toml").write_text("[placement]\ndefault = 'here, server'\n")
    add(lyts, "song", "music")
    assert holds(lyts, "song") == ["laptop", "server"]


# -- fsck


def test_fsck_tells_bytes_on_their_way_from_bytes_that_are_lost(lyts: Lyts) -> None:
    add(lyts, "a", "music")
    lyts.quick("restore", "--nodes", "tablet", "a")
    (here,) = lyts.json("where", "a")[0]["here"]
    aside = here["path"] + ".aside"
    os.rename(here["path"], lyts.store / "scratch" / os.path.basename(aside))
    assert [one["kind"] for one in lyts.json("fsck", code=1)] == ["bytes-awaited"]
    lyts.quick("reduce", "a")
    assert lyts.json("fsck") == []
    lyts.quick("undo")
    lyts.quick("undo")
    os.rename(lyts.store / "scratch" / os.path.basename(aside), here["path"])
