"""BulkData: exact layout, and what is not one."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kmsd.crypto import bulk
from kmsd.kmip.errors import KmipError


def test_the_layout_is_magic_count_and_items_after_their_lengths() -> None:
    assert bulk.build([b"a", b"bc" * 100]) == (b"\x87\x87\x02\x01a\xc8\x01" + b"bc" * 100)


@given(items=st.lists(st.binary(max_size=300), max_size=5))
def test_what_is_built_parses_again(items: list[bytes]) -> None:
    data = bulk.build(items)
    assert bulk.is_bulk(data)
    assert bulk.parse(data) == items


@given(data=st.binary(max_size=40))
def test_random_bytes_are_bulk_or_refused_and_never_worse(data: bytes) -> None:
    candidate = bulk.MAGIC + data
    if bulk.is_bulk(candidate):
        assert bulk.build(bulk.parse(candidate))[:2] == bulk.MAGIC
    else:
        with pytest.raises(KmipError, match="lengths do not add up"):
            bulk.parse(candidate)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x87",
        b"\x87\x86\x00",
        b"plain text",
        b"\x87\x87",
        b"\x87\x87\x01",
        b"\x87\x87\x01\x05abc",
        b"\x87\x87\x00left over",
        b"\x87\x87\xff\xff\xff\xff\x7f",
        b"\x87\x87" + b"\xff" * 9 + b"\x02",
        b"\x87\x87" + b"\x80" * 12,
    ],
)
def test_magic_alone_makes_no_bulk(data: bytes) -> None:
    assert not bulk.is_bulk(data)


def test_what_has_no_magic_does_not_parse() -> None:
    with pytest.raises(KmipError):
        bulk.parse(b"plain text")


def test_a_plaintext_that_parses_to_its_end_is_taken_for_bulk() -> None:
    assert bulk.is_bulk(b"\x87\x87\x01\x02hi")
