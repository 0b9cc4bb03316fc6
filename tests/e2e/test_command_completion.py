"""Completion by Tab, as the shells ask for it."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from shell.making import default_alias
from tests.support.command import START, Lyts


@pytest.fixture
def lyts(tmp_path: Path) -> Lyts:
    made = Lyts(tmp_path)
    for name, tags in (
        ("Blue Kitchen.flac", "music,jazz,flac,year=1959"),
        ("Blue Moon.flac", "music,live,flac,year=1962"),
        ("it's $5 & more.txt", "rock & roll"),
    ):
        made.quick("add", "--move", "-t", tags, made.file(name))
    return made


def fish(lyts: Lyts, line: str) -> list[str]:
    """What is offered at the end of a line, without the help beside it."""
    word = "" if line.endswith(" ") else line.rpartition(" ")[2]
    env = {"_LYTS_COMPLETE": "fish_complete", "COMP_WORDS": line, "COMP_CWORD": word}
    out = lyts(env=env).lines
    return [item.partition(",")[2].partition("\t")[0] for item in out if item.startswith("plain,")]


def bash(lyts: Lyts, *words: str) -> list[str]:
    """What is offered for the last of bash's words."""
    env = {"_LYTS_COMPLETE": "bash_complete", "COMP_WORDS": "\n".join(words), "COMP_CWORD": str(len(words) - 1)}
    return [item.partition(",")[2] for item in lyts(env=env).lines if item.startswith("plain,")]


@pytest.mark.parametrize(
    ("line", "offered"),
    [
        ("lyts re", ["rename", "redo", "reduce", "restore", "readme", "reindex", "recover"]),
        ("lyts find mu", ["music"]),
        ("lyts find music+", ["jazz", "live", "year=1959", "year=1962"]),
        ("lyts find music+-l", ["live"]),
        ("lyts find music,j", ["jazz"]),
        ("lyts find year=", ["1959", "1962"]),
        ("lyts find ye", ["year="]),
        ("lyts find si", ["size="]),
        ("lyts find --so", ["--sort"]),
        ("lyts find --sort ", ["name", "size", "added", "modified", "ext"]),
        ("lyts export mu", ["music"]),
        ("lyts export --layout ", ["tags", "flat", "date", "from"]),
        ("lyts tag mu", ["music"]),
        ("lyts tag jazz,mu", ["music"]),
        ("lyts tag si", []),
        ("lyts tag x Blue", ["Blue Kitchen.flac", "Blue Moon.flac"]),
        ("lyts tags ", ["rename", "merge", "imply", "alias", "rm", "make", "flac"]),
        ("lyts tags ren", ["rename"]),
        ("lyts tags rename mu", ["music"]),
        ("lyts show no", ["notes"]),
        ("lyts show Blue", ["Blue Kitchen.flac", "Blue Moon.flac"]),
        ("lyts help re", []),
        ("lyts nosuch ", []),
        ("lyts find nosuch+", []),
        ("lyts find 'music+(j", ["jazz"]),
    ],
)
def test_what_is_offered(lyts: Lyts, line: str, offered: list[str]) -> None:
    found = fish(lyts, line)
    head = line.rpartition(" ")[2]
    if offered and ("+" in head or "," in head or "=" in head):
        head = head.lstrip("'")
        cut = max(head.rfind(ch) for ch in "+,=-(") + 1
        offered = [head[:cut] + one for one in offered]
    if line.endswith(" "):
        assert found[: len(offered)] == offered
    else:
        assert found == offered


def test_where_a_folder_is_meant_the_shell_completes_it(lyts: Lyts) -> None:
    env = {"_LYTS_COMPLETE": "fish_complete", "COMP_WORDS": "lyts export music ./", "COMP_CWORD": "./"}
    assert lyts(env=env).lines == ["dir,./"]


def test_devices_are_offered_each_once(lyts: Lyts) -> None:
    name = default_alias()
    assert fish(lyts, f"lyts reduce --nodes {name[:1]}") == [name]
    assert fish(lyts, "lyts restore --nodes other,") == [f"other,{name}"]
    assert fish(lyts, f"lyts restore --nodes {name},") == []


def test_bash_parts_words_at_equal_signs_and_wants_quotes(lyts: Lyts) -> None:
    assert bash(lyts, "lyts", "find", "year", "=", "19") == ["1959", "1962"]
    assert bash(lyts, "lyts", "find", "year", "=") == ["1959", "1962"]
    assert bash(lyts, "lyts", "tag", "x", "Blue") == ["Blue\\ Kitchen.flac", "Blue\\ Moon.flac"]
    assert bash(lyts, "lyts", "tag", "x", "Blue\\ K") == ["Blue\\ Kitchen.flac"]
    assert bash(lyts, "lyts", "tag", "x", "'Blue K") == ["Blue Kitchen.flac"]
    assert bash(lyts, "lyts", "tag", "x", "it") == ["it\\'s\\ \\$5\\ \\&\\ more.txt"]


def test_scripts_are_understood_by_their_shells(lyts: Lyts) -> None:
    for shell in ("bash", "zsh", "fish"):
        text = lyts.quick("completion", shell).out
        assert "_LYTS_COMPLETE" in text
        if shutil.which(shell) is None:
            continue
        subprocess.run([shell, "-n"], input=text, text=True, check=True, capture_output=True, timeout=60)


def test_bash_completes_in_earnest(lyts: Lyts) -> None:
    bash_path = shutil.which("bash")
    if bash_path is None:
        pytest.skip("there is no bash")
    program = lyts.home / "bin" / "lyts"
    program.parent.mkdir()
    program.write_text(f"#!{START[0]} -P\nimport sys\nfrom shell.main import main\nsys.exit(main())\n")
    program.chmod(0o755)
    script = lyts.quick("completion", "bash").out + (
        "COMP_WORDS=(lyts tag x 'Blue\\ Ki') COMP_CWORD=3 COMPREPLY=()\n"
        "_lyts_completion lyts 2>/dev/null\nprintf '%s\\n' \"${COMPREPLY[@]}\"\n"
    )
    env = lyts.env | {"PATH": f"{program.parent}:{lyts.env['PATH']}"}
    done = subprocess.run([bash_path, "-c", script], env=env, capture_output=True, text=True, check=False, timeout=60)
    assert done.stdout == "Blue\\ Kitchen.flac\n", done


def test_completion_makes_no_store_and_no_index_and_says_nothing(lyts: Lyts) -> None:
    env = {"_LYTS_COMPLETE": "fish_complete", "COMP_WORDS": "lyts find m", "COMP_CWORD": "m"}
    nowhere = lyts(env=env | {"LYTS_STORE": str(lyts.home / "none")})
    assert (nowhere.out.strip(), nowhere.err) == ("", "")
    assert not (lyts.home / "none").exists()
    shutil.rmtree(lyts.store / "index")
    assert lyts(env=env).err == ""
    assert not (lyts.store / "index").exists()


def test_unknown_question_of_a_shell_is_answered_with_nothing(lyts: Lyts) -> None:
    done = lyts(env={"_LYTS_COMPLETE": "tcsh_complete"}, code=1)
    assert (done.out, done.err) == ("", "")
