from __future__ import annotations

import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tagfs.guid import bytes_of_guid, guid_of_bytes, is_guid, new_guid, prefix_digits, short

GUID = "9c0f7be1-5a3e-4b1f-8c2d-0123456789ab"


@given(st.binary(min_size=16, max_size=16))
def test_a_new_guid_is_a_random_uuid_in_its_canonical_spelling(random16: bytes) -> None:
    guid = new_guid(random16)
    parsed = uuid.UUID(guid)
    assert (parsed.version, parsed.variant, str(parsed)) == (4, uuid.RFC_4122, guid)
    assert is_guid(guid)


@given(st.binary(min_size=16, max_size=16))
def test_bytes_and_text_of_a_guid_are_the_same_thing(raw: bytes) -> None:
    assert bytes_of_guid(guid_of_bytes(raw)) == raw


@pytest.mark.parametrize(
    "text", ["", GUID[:-1], GUID + "0", GUID.upper(), GUID.replace("-", ""), "{" + GUID + "}", GUID + "\n"]
)
def test_only_the_one_canonical_spelling_is_a_guid(text: str) -> None:
    assert is_guid(GUID)
    assert not is_guid(text)


@pytest.mark.parametrize(
    ("text", "digits"),
    [
        ("9c0f7be1", "9c0f7be1"),
        ("9C0F7BE1", "9c0f7be1"),
        ("9c0f7be1-5a", "9c0f7be15a"),
        (GUID, GUID.replace("-", "")),
        ("9c0f7be", None),
        ("9c0f-7be", None),
        ("9c0f7beg", None),
        (GUID + "00", None),
        ("--------", None),
        ("9c0f7be1\n", None),
        ("", None),
    ],
)
def test_a_short_id_has_eight_digits_or_more(text: str, digits: str | None) -> None:
    assert prefix_digits(text) == digits


def test_people_see_the_first_eight_digits() -> None:
    assert short(GUID) == "9c0f7be1"
