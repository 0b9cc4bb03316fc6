"""The texts of `README.md`: for someone who has never heard of this. Pure, but for the templates it reads.

Every number in it was counted a moment before. What a person wrote (names of devices, whom to
ask) is put in so that it cannot be taken for markup.

The page of a set has no numbers and no dates: it is written once, and again when the devices
change, and what it says is to be true for as long as that.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from importlib import resources
from string import Template
from textwrap import fill

from tagfs.recovery import words
from tagfs.recovery.catalog import Counts, Device

SCRIPTS = ("recover.sh", "recover.py")
FORMAT = "FORMAT.md"
WIDTH = 118
_NOBODY = (
    "Nothing was written down here. Ask the person whose files these are, or whoever helps them with computers: "
    "show them this page."
)


def template(name: str) -> str:
    """A template as it stands in the package."""
    return resources.files("tagfs.recovery").joinpath("templates", name).read_text(encoding="utf-8")


def script(name: str) -> bytes | None:
    """One of the scripts that are laid beside the pages."""
    found = resources.files("tagfs.recovery").joinpath("scripts", name)
    return found.read_bytes() if found.is_file() else None


def quoted(names: Iterable[str]) -> str:
    """Names of devices in a sentence: “laptop” and “black USB disk, study”."""
    return words.listed([f"“{words.markdown(name)}”" for name in names])


def of_store(
    device: str, counts: Counts, away: Mapping[str, int], others: Sequence[Device], contact: str, day: str
) -> str:
    """The page at the root of a store.

    Args:
        device: the name of the device that it is on.
        away: name of a device -> how many of the files that are not here it has.
        others: the other devices of the library.
    """
    return Template(template("README.md")).substitute(
        device=quoted([device]),
        here=_here(counts),
        missing=_missing(counts, away, others),
        # What was thrown away and what is left over comes out too; what is kept of earlier versions is not counted.
        room=words.size(counts.here_bytes + counts.removed_bytes + counts.others_bytes),
        contact=_contact(contact),
        layout=_filled(
            "`sets` has the files, `manifest-sha256.txt` their checksums, `ledgers` all that is known about them, "
            "`keep` bytes of earlier versions. `index`, `text` and `scratch` can be made again. `FORMAT.md` says how "
            f"all of it is written down: plain text. This page was written on {day}; it is written anew when "
            "something changes."
        ),
    )


def of_set(members: Collection[str], others: Collection[str], contact: str) -> str:
    """The page of a set's folder. `others`: the names of devices of the library that are not in the set."""
    names = sorted(members)
    alone = len(names) == 1
    which = "the files that are on one device only" if alone else "the files that just these devices share"
    if others:
        known = f"More files of the same person may be on {quoted(sorted(others))}. Look for {_these(len(others))}."
    else:
        known = "No other device was known when this page was written."
    if not alone:
        known = f"Each of {quoted(names)} has a copy of this folder, perhaps a newer one. {known}"
    return Template(template("README-set.md")).substitute(
        devices=quoted(names), which=which, missing=_filled(known), contact=_contact(contact)
    )


def _filled(text: str, hang: str = "") -> str:
    """A paragraph as it stands in the template: readable also where nothing breaks lines."""
    return fill(text, WIDTH, subsequent_indent=hang, break_long_words=False, break_on_hyphens=False)


def _these(number: int) -> str:
    return "that device" if number == 1 else "those devices"


def _here(counts: Counts) -> str:
    here = (
        f"**{words.count(counts.here, 'file')}, {words.size(counts.here_bytes)}.** They are in the folder `sets`. "
        "Their names there begin with a long number; the list says what they are really called."
    )
    items = []
    if counts.removed:
        items.append(
            f"- {words.count(counts.removed, 'more file')} ({words.size(counts.removed_bytes)}) had been thrown away, "
            f"or {'waits' if counts.removed == 1 else 'wait'} to be removed. "
            f"{'It is' if counts.removed == 1 else 'They are'} still in `sets`, and not in the list."
        )
    if counts.others:
        items.append(
            f"- {words.count(counts.others, 'other piece')} of data ({words.size(counts.others_bytes)}) in `sets` "
            f"{_is(counts.others)} no file of the list: second copies, or what was left over."
        )
    return _filled(here) + ("\n\n" + "\n".join(_filled(item, "  ") for item in items) if items else "")


def _is(number: int) -> str:
    return "is" if number == 1 else "are"


def _missing(counts: Counts, away: Mapping[str, int], others: Sequence[Device]) -> str:
    if counts.missing:
        said = (
            f"**{words.count(counts.missing, 'file')} ({words.size(counts.missing_bytes)})** {_is(counts.missing)} "
            "known here by name, but the bytes are on other devices. `index.html` says which. Look for these devices: "
            "each has a folder like this one."
        )
    elif others:
        said = "Every file that is known here is here. These devices belong to the same person:"
    else:
        said = "Every file that is known here is here. No other device is known."
    items = []
    for one in sorted(others, key=lambda one: (one.name, one.guid)):
        seen = f"last heard of on {words.day(one.seen_ms)}" if one.seen_ms else "never heard of since it was added"
        has = f", has {words.number(away[one.name])} of them" if away.get(one.name) else ""
        items.append(_filled(f"- {quoted([one.name])}{has} ({seen})", "  "))
    return _filled(said) + ("\n\n" + "\n".join(items) if items else "")


def _contact(contact: str) -> str:
    said = [words.markdown(line.strip()) for line in contact.strip().splitlines()]
    return "\n".join(f"> {line}".rstrip() for line in said) if said else _filled(_NOBODY)
