"""The shell as a person sees it: in a real pseudo-terminal, with a real store."""

from __future__ import annotations

import os
import shlex
import shutil
import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tagfs.layout import Layout
from tagfs.lock import hold
from tests.support.command import START, Lyts
from tests.support.mounting import eventually, need_fuse
from tests.support.screen import Screen


@pytest.fixture
def lyts(tmp_path: Path) -> Iterator[Lyts]:
    made = Lyts(tmp_path)
    yield made
    made.check()


@pytest.fixture
def songs(lyts: Lyts) -> Lyts:
    for name, tags in (
        ("Blue Kitchen.flac", "music,jazz,flac"),
        ("Blue Moon.flac", "music,flac,live"),
        ("Waltz.ogg", "music,folk"),
        ("letter.txt", "papers"),
    ):
        lyts.quick("add", "--move", "-t", tags, lyts.file(name))
    return lyts


def test_a_first_evening(songs: Lyts) -> None:
    with Screen(songs) as screen:
        screen.prompt("lyts (4) >")
        assert "4 files. Tab completes, help explains, Ctrl-D leaves." in screen.text
        screen.type("cd mus\t\r").prompt("music (3) >")
        screen.type("+fl\t\r").prompt("music+flac (2) >")
        screen.type("ls\r").until("2  Blue Moon.flac").prompt("music+flac (2) >")
        screen.type("tag favourite 1").until("tags Blue Kitchen.flac")
        screen.type("\r").until("tagged 1 file with favourite").prompt("music+flac (2) >")
        screen.type("tag favourite *").until("tags 2 files; 1 has it already")
        screen.type("\r").until("tagged 1 file with favourite; 1 had it already").prompt("music+flac (2) >")
        screen.type("undo").until("takes back: tag favourite")
        screen.type("\r").until("undone: tag favourite").prompt("music+flac (2) >")
        screen.type("cd ..\r").prompt("music (3) >")
        screen.type("cd -\r").prompt("music+flac (2) >")
        screen.type("cd\r").prompt("lyts (4) >")
        screen.type("\x04")
        assert screen.end() == 0
    assert songs.names("favourite") == ["Blue Kitchen.flac"]


def test_tab_offers_what_narrows_with_counts_and_a_name_by_any_part_of_it(songs: Lyts) -> None:
    with Screen(songs) as screen:
        screen.prompt("lyts (4) >")
        screen.type("cd music+\t").until("2 files")
        shown = screen.text
        assert "flac" in shown
        assert "papers" not in shown  # no file of these has it
        assert shown.index("flac") < shown.index("folk")  # the most useful first
        screen.type("\x03").prompt("lyts (4) >")
        screen.type("show ktch\t").until(lambda s: s.line == "lyts (4) > show 'Blue Kitchen.flac'")


def test_a_plus_or_a_comma_takes_the_blank_back_that_tab_put_in(songs: Lyts) -> None:
    with Screen(songs) as screen:
        screen.prompt("lyts (4) >")
        screen.type("cd mus\t").until("cd music")
        screen.type("+ja\t\r").prompt("music+jazz (1) >")
        screen.type("cd pap\t").until("cd papers")
        screen.type(",fol\t\r").prompt("papers,folk (2) >")
        screen.type("tag fol\t").until("tag folk")
        screen.type(",new *\r").until("tagged 2 files with new")
        screen.type("pw\t").until(lambda s: s.line.endswith("> pwd"))
        screen.type("+").until(lambda s: s.line.endswith("> pwd +"))  # a command ends where its blank is


def test_enter_takes_no_completion_beside_rm(songs: Lyts) -> None:
    with Screen(songs) as screen:
        screen.prompt("lyts (4) >")
        screen.type("rm Blu\t").until("Blue Moon.flac")
        screen.type("\t").until(lambda s: s.line == "lyts (4) > rm 'Blue Kitchen.flac'")
        screen.type("\r").until("Enter takes no completion here")
        assert screen.line == "lyts (4) > rm Blu"  # as it was typed
    assert len(songs.names()) == 4


def test_tab_and_enter_in_one_go_complete_and_run_only_what_is_harmless(songs: Lyts) -> None:
    with Screen(songs) as screen:
        screen.prompt("lyts (4) >").type("cd pap\t\r").prompt("papers (1) >")
        screen.type("rm lett\t\r").until("once more, if this is what you mean")
        assert screen.line == "papers (1) > rm letter.txt"
        assert len(songs.names()) == 4
        screen.type("\r").until("moved letter.txt to the trash").prompt("papers (0) >")
    songs.quick("undo")


def test_ctrl_c_begins_the_line_anew_and_ctrl_d_leaves(songs: Lyts) -> None:
    with Screen(songs) as screen:
        screen.prompt("lyts (4) >").type("rm -q music").until("moves 3 files to the trash")
        screen.type("\x03").prompt("lyts (4) >")
        screen.type("exit 3\r")
        assert screen.end() == 3
    assert len(songs.names()) == 4


def test_ctrl_c_ends_a_program_and_the_prompt_begins_a_line(songs: Lyts) -> None:
    with Screen(songs) as screen:
        screen.prompt("lyts (4) >")
        screen.type("!echo begun; sleep 1000\r").until(lambda s: "begun" in s.lines)
        screen.type("\x03").prompt("lyts (4) >")
        screen.type("pwd\r").until(lambda s: "/" in s.lines)


def test_history_is_kept_for_the_owner_alone_and_found_again(songs: Lyts) -> None:
    with Screen(songs) as screen:
        screen.prompt("lyts (4) >").type("cd music+jazz\r").prompt("music+jazz (1) >")
        screen.type(" cd papers\r").prompt("papers (1) >")
        screen.type("\x04")
        screen.end()
    path = Path(songs.env["XDG_STATE_HOME"]) / "lyts" / "shell-history"
    assert path.read_text() == "cd music+jazz\n"  # a line that begins with a blank is not kept
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    with Screen(songs) as screen:
        screen.prompt("lyts (4) >").type("\x12jaz").until("cd music+jazz")
        screen.type("\r").until(lambda s: "reverse" not in s.text)
        screen.type("\r").prompt("music+jazz (1) >")
        screen.type("history\r").until("\ncd music+jazz\n")


def test_ten_pasted_lines_wait_for_enter_and_the_first_that_fails_ends_them(songs: Lyts) -> None:
    with Screen(songs, rows=40) as screen:
        screen.prompt("lyts (4) >")
        lines = ["cd music", *[f"tag pasted{n} *" for n in range(8)], "pwd"]
        screen.paste("\n".join(lines)).until("10 commands; the first that fails ends them")
        assert songs.names("name=%") == songs.names()
        screen.type("\r").prompt("music (3) >")
        assert screen.all_text.count("tagged 3 files") == 8
        screen.paste("cd musik\nrm *\ncd").type("\r").until("so the 2 commands after it were not run")
    assert len(songs.names("pasted7")) == 3
    assert len(songs.names()) == 4


def test_a_hostile_name_is_shown_harmless_everywhere(lyts: Lyts) -> None:
    name = "\x1b[31mred\x1b]0;title\x07\u202e.txt"
    lyts.quick("add", "--move", "-t", "odd", lyts.file(name))
    with Screen(lyts) as screen:
        screen.prompt("lyts (1) >").type("ls\r").until("\\x1b[31mred\\x1b]0;title\\x07\\u202e.txt").prompt("lyts (1) >")
        screen.type("rm *").until("moves \\x1b[31mred\\x1b]0;title\\x07\\u202e.txt to the trash")
        screen.type("\x03").prompt("lyts (1) >")
        screen.type("rename \t").until(lambda s: len(s.line) == len("lyts (1) > rename ") + 8)  # by its id
        assert b"\x1b]0;" not in screen.raw
        assert "\u202e".encode() not in screen.raw


def test_a_store_that_changes_beneath_is_seen(songs: Lyts) -> None:
    with Screen(songs) as screen:
        screen.prompt("lyts (4) >").type("cd music\r").prompt("music (3) >")
        songs("add", "--move", "-t", "music,brandnew", songs.file("new.flac"))
        screen.type("cd +brand\t").until("cd +brandnew")
        screen.type("\r").prompt("music+brandnew (1) >")
        songs("untag", "brandnew", "new.flac")
        screen.type("ls\r").until('no tag "brandnew"').prompt("music+brandnew (0) >")
        screen.type("cd ..\r").prompt("music (4) >")


def test_an_index_that_is_gone_is_made_again(songs: Lyts) -> None:
    with Screen(songs) as screen:
        screen.prompt("lyts (4) >").type("cd music\r").prompt("music (3) >")
        shutil.rmtree(songs.store / "index")
        screen.type("ls\r").until("Making the index").until("3  Waltz.ogg").prompt("music (3) >")


def test_a_long_writer_stops_neither_looking_nor_typing(songs: Lyts) -> None:
    with Screen(songs) as screen:
        screen.prompt("lyts (4) >")
        with hold(Layout(str(songs.store)).lock):
            screen.type("cd mus\t\r").prompt("music (3) >")
            screen.type("ls\r").until("3  Waltz.ogg").prompt("music (3) >")
            screen.type("tag late *\r").until("Waiting for another lyts process")
        screen.until("tagged 3 files with late").prompt("music (3) >")


def test_a_command_that_waits_can_be_interrupted_and_leaves_no_lock(songs: Lyts) -> None:
    with Screen(songs) as screen:
        screen.prompt("lyts (4) >")
        with hold(Layout(str(songs.store)).lock):
            screen.type("tag late -q music\r").until("Waiting for another lyts process")
            screen.type("\x03").until("Interrupted.").prompt("lyts (4) >")
        assert songs.quick("tag", "fine", "-q", "music").code == 0
        screen.type("tag fine2 -q music\r").until("tagged 3 files with fine2")
    assert (
        songs.names(
            "late",
        )
        == []
    )


def test_a_broken_config_is_named_by_file_and_line_and_the_shell_starts(songs: Lyts) -> None:
    path = songs.home / ".config" / "lyts" / "config.toml"
    path.parent.mkdir(parents=True)
    path.write_text("[shell]\npagr = 'less'\n[shell.bind]\n'c-nosuch' = 'ls'\n[shell.colors]\ntag = 'nosuch'\n")
    with Screen(songs, columns=200) as screen:
        screen.prompt("lyts (4) >")
        assert f"{path}, line 2: there is no setting 'pagr'; did you mean pager?" in screen.text
        assert f"{path}, line 4: there is no key 'c-nosuch'" in screen.text
        assert f"{path}, line 6: the colour of tag cannot be read" in screen.text
    path.write_text("[shell]\nkeys = \n")
    with Screen(songs, columns=200) as screen:
        screen.prompt("lyts (4) >")
        assert f"{path}, line 2: invalid value; the shell starts with what is usual" in screen.text


def test_keys_of_vi_and_a_key_of_ones_own(songs: Lyts) -> None:
    path = songs.home / ".config" / "lyts" / "config.toml"
    path.parent.mkdir(parents=True)
    path.write_text("[shell]\nkeys = 'vi'\n[shell.bind]\nf2 = 'tags --limit 1'\n")
    with Screen(songs) as screen:
        screen.prompt("lyts (4) >").type("cd musicx\x1bx").until(lambda s: s.line == "lyts (4) > cd music")
        screen.type("\r").prompt("music (3) >")
        screen.type("\x1bOQ").until("3  music").prompt("music (3) >")


def test_a_narrow_terminal_that_is_resized(songs: Lyts) -> None:
    songs.quick("tag", "a rather long tag of several words", "-q", "music")
    with Screen(songs, columns=40, rows=12) as screen:
        screen.prompt("lyts (4) >")
        screen.type("cd 'a rather long tag of several words'\r").until("(3) >")
        assert len(screen.line) <= 40
        screen.resize(100, 30)
        screen.type("cd ..\r").prompt("lyts (4) >")
        screen.type("tag x *").until("tags 4 files: Blue Kitchen.flac, Blue Moon.flac, Waltz.ogg, …")


def test_a_terminal_of_a_few_rows_has_room_for_what_matters(songs: Lyts) -> None:
    with Screen(songs, columns=30, rows=5) as screen:
        screen.prompt("lyts (4) >").type("cd music+\t").until("flac").until(lambda s: "cd music+" in s.text)
        assert "too small" not in screen.text
        screen.type("\t\r").prompt("music+flac (2) >")


@pytest.mark.parametrize("env", [{"NO_COLOR": "1"}, {"TERM": "dumb"}], ids=["no-color", "dumb"])
def test_without_colour_all_is_there(songs: Lyts, env: dict[str, str]) -> None:
    with Screen(songs, env=env) as screen:
        screen.until("lyts (4) >").type("cd music\r").until("music (3) >")
        screen.type("cd nosuch\r").until('no tag "nosuch"')
        assert b"\x1b[31m" not in screen.raw
        assert b"38;5" not in screen.raw


def test_without_colour_nothing_stands_there_that_looks_as_if_it_were_typed(songs: Lyts) -> None:
    with Screen(songs, env={"NO_COLOR": "1"}) as screen:
        screen.until("lyts (4) >").type("cd music\r").prompt("music (3) >")
        screen.type("cd mus").until('! no tag "mus"')
        assert screen.line == "music (3) > cd mus"
        screen.type("\x05\r").until('lyts: no tag "mus"')  # Ctrl-E would take what is suggested


def test_completion_as_a_list_for_who_listens(songs: Lyts) -> None:
    path = songs.home / ".config" / "lyts" / "config.toml"
    path.parent.mkdir(parents=True)
    path.write_text("[shell]\ncompletion = 'list'\n")
    with Screen(songs) as screen:
        screen.prompt("lyts (4) >").type("cd music+\t").until("  flac  2 files\n").until("  folk  1 file\n")
        screen.until(lambda s: s.line == "lyts (4) > cd music+")


def test_more_than_the_screen_holds_goes_to_the_pager(songs: Lyts) -> None:
    for n in range(30):
        songs.file(f"many/{n}")
    songs.quick("add", "--move", "-t", "many", str(songs.files / "many"))
    pager = songs.home / "pager"
    pager.write_text("#!/bin/sh\nwc -l\necho paged\n")
    pager.chmod(0o755)
    with Screen(songs, env={"PAGER": str(pager)}) as screen:
        screen.prompt("lyts (34) >").type("ls\r").until("34\npaged").prompt("lyts (34) >")
        screen.type("cd music\r").prompt("music (3) >").type("ls\r").until("3  Waltz.ogg")
        assert screen.text.count("paged") == 1


def test_programs_get_copies_and_with_a_mount_the_files(songs: Lyts) -> None:
    with Screen(songs) as screen:
        screen.prompt("lyts (4) >").type("cd music\r").prompt("music (3) >").type("ls\r").until("3  Waltz.ogg")
        screen.prompt("music (3) >").type("!cat 1 3").until("runs cat with 2 files: Blue Kitchen.flac, Waltz.ogg")
        screen.type("\r").until("Blue Kitchen.flacWaltz.ogg")
        screen.until(lambda s: s.line.endswith("Waltz.oggmusic (3) >"))
        screen.type("!ls -l 3\r").until("-r--------").until("Waltz.ogg")
        screen.prompt("music (3) >").type("!cat *\r").until("Blue Kitchen.flacBlue Moon.flacWaltz.ogg")
        screen.until(lambda s: s.line.endswith("Waltz.oggmusic (3) >"))
        screen.type("show tags *\r").until("lyts: ")  # one file at a time, as outside
        screen.type("\x04")
        screen.end()
    assert not list((songs.home / ".cache" / "lyts" / "copies").iterdir())


def test_the_first_start_says_what_to_do(lyts: Lyts) -> None:
    lyts.file("a.txt")
    with Screen(lyts) as screen:
        screen.until("You have no library yet.").until("add -t music,jazz ~/Music/*.flac").prompt(
            "lyts (no library yet) >"
        )
        screen.type("add -t papers *.txt\r").until("added 1 file").prompt("lyts (1) >")
        screen.type("rm *\r").until("moved a.txt to the trash").prompt("lyts (0) >")
        screen.type("\x04")
        screen.end()
    with Screen(lyts) as screen:
        screen.until("Your library is empty.").prompt("lyts (0) >")


def test_help_for_everything_with_examples(songs: Lyts) -> None:
    with Screen(songs, rows=60, env={"PAGER": "cat"}) as screen:
        screen.prompt("lyts (4) >").type("help\r").until(
            lambda s: "Only in the shell" in s.all_text and "tag favourite 3-7" in s.all_text
        )
        screen.prompt("lyts (4) >").type("help cd\r").until("cd --saved evening")
        screen.prompt("lyts (4) >").type("help !\r").until("!mpv 3-7")
        screen.prompt("lyts (4) >").type("help tag\r").until("lyts tag favourite -q music+jazz")
        screen.prompt("lyts (4) >").type("cdd\r").until("there is no command 'cdd'; did you mean cd")


def test_words_found_by_search_are_numbered_and_its_index_may_go(songs: Lyts) -> None:
    with Screen(songs) as screen:
        screen.prompt("lyts (4) >").type("search kitchen\r").until("1  ").prompt("lyts (4) >")
        screen.type("tag found 1\r").until("tagged 1 file with found").prompt("lyts (4) >")
        shutil.rmtree(songs.store / "text")
        screen.type("search waltz\r").until("Waltz.ogg").prompt("lyts (4) >")
    assert songs.names("found") == ["Blue Kitchen.flac"]


def test_notes_are_written_in_an_editor(songs: Lyts) -> None:
    editor = songs.home / "editor"
    editor.write_text("#!/bin/sh\necho 'for the wedding' > \"$1\"\n")
    editor.chmod(0o755)
    with Screen(songs, env={"EDITOR": str(editor)}) as screen:
        screen.prompt("lyts (4) >").type("ls\r").until("4  letter.txt").prompt("lyts (4) >")
        screen.type("notes 3\r").until("wrote notes to Waltz.ogg").prompt("lyts (4) >")
        screen.type("show notes 3\r").until("\nfor the wedding\n")


def test_in_a_mount_programs_and_open_get_the_files_themselves(songs: Lyts) -> None:
    need_fuse()
    opener = songs.home / "opener"
    opener.write_text('#!/bin/sh\necho "opened $1"\n')
    opener.chmod(0o755)
    path = songs.home / ".config" / "lyts" / "config.toml"
    path.parent.mkdir(parents=True)
    path.write_text(f"[shell]\nopener = '{opener}'\n")
    at = songs.home / "lyts"
    try:
        with Screen(songs, columns=200) as screen:
            screen.prompt("lyts (4) >").type("ls\r").until("4  letter.txt").prompt("lyts (4) >")
            screen.type("open 3\r").until("Opening copies, to look at only").until("/Waltz.ogg").prompt("lyts (4) >")
            screen.type("mount\r").until(f"your library is in {at}").prompt("lyts (4) >")
            screen.type("open 3\r").until(f"opened {at}/all/Waltz.ogg").prompt("lyts (4) >")
            screen.type("!echo more >> 4; echo 4\r").until(f"{at}/all/letter.txt").prompt("lyts (4) >")
            screen.type("umount\r").until(lambda s: s.text.count("> umount") and s.line == "lyts (4) >")
    finally:
        subprocess.run(["fusermount3", "-uzq", "--", str(at)], check=False, timeout=60)
    assert songs("shell", "-c", "ls papers; !cat 1").lines[-1].endswith("letter.txtmore")


def test_in_tmux(songs: Lyts, tmp_path: Path) -> None:
    if shutil.which("tmux") is None:
        pytest.skip("NOT TESTED: there is no tmux")
    program = tmp_path / "run"
    program.write_text(f"#!/bin/sh\nexec {' '.join(map(shlex.quote, START))}\n")
    program.chmod(0o755)
    tmux = ["tmux", "-S", str(tmp_path / "socket"), "-f", os.devnull]

    def run(*words: str) -> str:
        return subprocess.run([*tmux, *words], env=songs.env, capture_output=True, text=True, check=True).stdout

    def until(wanted: str) -> None:
        eventually(lambda: wanted in run("capture-pane", "-p"))

    run("new-session", "-d", "-x", "80", "-y", "24", str(program))
    try:
        until("lyts (4) >")
        run("send-keys", "cd mus", "Tab", "Enter")
        until("music (3) >")
        run("send-keys", "rm *")
        until("moves 3 files to the trash")
        run("send-keys", "C-c")
        run("resize-window", "-x", "50", "-y", "15")
        run("send-keys", "ls", "Enter")
        until("3  Waltz.ogg\nmusic (3) >")
        assert "Traceback" not in run("capture-pane", "-p")
    finally:
        run("kill-server")
