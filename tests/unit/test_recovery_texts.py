"""What pages say: words, sizes, days, templates; and when they are made."""

from __future__ import annotations

import re
from html import unescape
from pathlib import Path
from string import Template

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tagfs.recovery import due, html, readme, words
from tagfs.recovery.catalog import Counts, Device, manifest_line
from tagfs.recovery.contact import BadSettings, contact_of
from tagfs.recovery.due import Past

ROOT = Path(__file__).resolve().parents[2]
NOTHING = Counts(0, 0, 0, 0, 0, 0, 0, 0)


def test_the_format_in_every_store_is_the_page_in_the_documentation() -> None:
    page = (ROOT / "docs" / "ledger-format.md").read_text(encoding="utf-8")
    assert readme.template("FORMAT.md") == page, "run: python docs/make_reference.py"


def test_both_scripts_are_part_of_the_package() -> None:
    for name in readme.SCRIPTS:
        data = readme.script(name)
        assert data is not None
        assert data.startswith(b"#!")


@pytest.mark.parametrize("name", ["README.md", "README-set.md"])
def test_templates_read_on_their_own(name: str) -> None:
    text = readme.template(name)
    assert Template(text).is_valid()
    assert max(map(len, text.splitlines())) <= 120
    assert len(text.splitlines()) <= 60  # one printed page
    # No word that only somebody knows who knows lyts.
    for_all = text.partition("## For those")[0]
    assert not re.search(r"\b(ledger|GUID|nodeset|node|face|LMDB|FUSE|query|hash|slug|metadata)\b", for_all)
    assert text.startswith("# Read this first")


def test_the_readme_is_one_printed_page_also_when_there_is_much_to_say() -> None:
    devices = [Device(f"{at:08x}-0000-4000-8000-000000000000", f"disk {at}", 0) for at in range(6)]
    counts = Counts(123_456, 10**12, 4321, 10**11, 17, 10**6, 3, 10**5)
    ask = "My sister Eva\n030 1234567"
    text = readme.of_store("laptop", counts, {"disk 1": 4000}, devices, ask, "27 November 2026")
    assert max(map(len, text.splitlines())) <= 120
    assert len(text.splitlines()) <= 75
    assert "> My sister Eva\n> 030 1234567\n" in text
    assert "123,456 files, 1.0 TB" in text


def test_names_of_devices_and_whom_to_ask_are_no_markup() -> None:
    text = readme.of_store("a](x) <b> `c` *d*", NOTHING, {}, [], "# not a heading\n<script>\n- [x](y)", "today")
    assert r"“a\](x) \<b\> \`c\` \*d\*”" in text
    assert "> \\# not a heading\n> \\<script\\>\n> - \\[x\\](y)\n" in text


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (0, "0 bytes"),
        (1, "1 byte"),
        (999, "999 bytes"),
        (1000, "1.0 kB"),
        (9_949, "9.9 kB"),
        (9_999, "10 kB"),
        (999_499, "999 kB"),
        (999_500, "1.0 MB"),
        (4_200_000_000, "4.2 GB"),
        (3 * 10**18, "3000 PB"),
    ],
)
def test_sizes_are_said_as_disks_are_sold(size: int, text: str) -> None:
    assert words.size(size) == text


def test_days_are_said_in_words() -> None:
    assert words.day(1_795_804_673_375) == "27 November 2026"
    assert words.day(-1) == "31 December 1969"
    assert words.day(1 << 62).endswith(" 9987") or words.day(1 << 62)


@given(st.text())
def test_no_text_is_markup_or_hides_something(text: str) -> None:
    made = words.html(text)
    assert not re.search("[<>\"'\x00-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff\ufffe\uffff]", made)
    if not re.search("[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff\ufdd0-\ufdef\ufffe\uffff]", text):
        assert unescape(made) == text
    assert "\n" not in words.markdown(text)


def test_a_row_gives_its_name_back() -> None:
    for name in ("a.txt", "a <b> & 'c' \"d\" (e).txt", " (f) "):
        assert html.name_in(html.short_row("x/y", name, "", "", "").encode()) == name
        assert html.name_in(html.short_row("", name, "", "", "on laptop").encode()) == name


def test_a_page_that_ends_a_script_or_a_comment_is_still_text() -> None:
    page = html.page("</title><script>", [("a b.html", "</a>")], ["<p>x</p>"]).decode()
    assert "<script" not in page
    assert 'href="a%20b.html"' in page
    assert html.is_ours(page.encode()[:400])


def test_names_with_a_line_break_or_a_backslash_stand_in_the_manifest_as_sha256sum_writes_them() -> None:
    assert manifest_line("ab", "data/x y") == b"ab  data/x y\n"
    assert manifest_line("ab", "data/x\ny\\z") == b"\\ab  data/x\\ny\\\\z\n"


def test_whom_to_ask_is_read_from_the_settings(tmp_path: Path) -> None:
    environ = {"XDG_CONFIG_HOME": str(tmp_path)}
    assert contact_of(environ) == ""
    settings = tmp_path / "lyts" / "config.toml"
    settings.parent.mkdir()
    for text, said in (('theme = "dark"\n', ""), ('[readme]\ncontact = "Eva"\n', "Eva"), ("[readme]\n", "")):
        settings.write_text(text)
        assert contact_of(environ) == said
    for text in ("[readme]\ncontact = 3\n", "[readme\n[readme]", "readme = 1 # [readme]"):
        settings.write_text(text)
        with pytest.raises(BadSettings, match=r"config\.toml"):
            contact_of(environ)


# -- when ---------------------------------------------------------------------------------------


def test_the_root_is_due_a_minute_after_it_was_made_when_something_changed() -> None:
    past = Past()
    due.meet(past, "one", 5_000)
    assert due.root_due_ms(past, "") == 60_000  # never made: at once, whatever the clock says
    due.made(past, "", 1_000_000, 1_000_500, "one")
    assert due.root_due_ms(past, "") is None
    due.meet(past, "two", 1_010_000)
    assert due.root_due_ms(past, "") == 1_060_000


def test_making_takes_no_more_than_a_twentieth_of_the_time() -> None:
    past = Past()
    due.made(past, "", 1_000_000, 1_060_000, "one")
    due.meet(past, "two", 1_070_000)
    assert due.root_due_ms(past, "") == 1_000_000 + 20 * 60_000
    assert due.set_due_ms(past, "") == 1_000_000 + 3_600_000


def test_the_lists_of_a_set_wait_for_ten_quiet_minutes_and_for_the_hour() -> None:
    past = Past()
    due.meet(past, "one", 1_000)
    assert due.set_due_ms(past, "") == 601_000
    due.meet(past, "one", 500_000)
    assert due.set_due_ms(past, "") == 601_000
    due.meet(past, "two", 600_000)
    assert due.set_due_ms(past, "") == 1_200_000
    due.made(past, "", 1_200_000, 1_200_100, "two")
    assert due.set_due_ms(past, "") is None
    due.meet(past, "three", 1_300_000)
    assert due.set_due_ms(past, "") == 4_800_000


def test_what_may_be_named_no_more_waits_for_nothing() -> None:
    past = Past()
    due.made(past, "", 1_000_000, 1_000_100, "one")
    due.meet(past, "two", 1_001_000)
    assert due.root_due_ms(past, "secret") == 1_002_000
    assert due.set_due_ms(past, "secret") == 1_060_000


def test_a_clock_that_was_set_back_puts_nothing_off() -> None:
    past = Past()
    due.made(past, "", 9_000_000, 9_000_100, "one")
    due.meet(past, "two", 9_100_000)
    due.meet(past, "two", 1_000_000)
    assert due.root_due_ms(past, "") == 1_060_000
    assert due.set_due_ms(past, "") == 1_000_000 + 3_600_000
