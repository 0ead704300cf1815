"""Encryption on this side: the ciphers that flow equal those of the library in one piece."""

from __future__ import annotations

import contextlib
import io
import os
from typing import Any

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM, AESGCMSIV, ChaCha20Poly1305
from hypothesis import given, settings
from hypothesis import strategies as st

from kmsd.cli import leb128
from kmsd.cli.ciphers import DATA_ALGORITHMS, HELD_BYTES
from kmsd.cli.errors import CommandFailed

LIBRARY: dict[str, Any] = {
    "aes-gcm": AESGCM,
    "aes-gcm-siv": AESGCMSIV,
    "chacha20-poly1305": ChaCha20Poly1305,
}
pieces = st.lists(st.binary(max_size=200), max_size=8)


@given(name=st.sampled_from([*LIBRARY]), parts=pieces, aad=st.binary(max_size=40))
@settings(max_examples=200, deadline=None)
def test_pieces_make_the_whole(name: str, parts: list[bytes], aad: bytes) -> None:
    """However data is cut into pieces, the ciphertext and tag are the library's, and the pieces of
    the ciphertext decrypt to it.
    """
    row = DATA_ALGORITHMS[name]
    key, nonce = os.urandom(row.key_bytes), os.urandom(row.nonce_bytes)
    flow = row.encrypting(key, nonce, aad)
    sealed = b"".join(map(flow.update, parts))
    rest, tag = flow.finish()
    assert sealed + rest + tag == LIBRARY[name](key).encrypt(nonce, b"".join(parts), aad)
    back = row.decrypting(key, nonce, aad)
    opened = b"".join(back.update(bytes([each])) for each in sealed + rest)
    assert opened + back.finish(tag)[0] == b"".join(parts)


@given(
    name=st.sampled_from([*LIBRARY]),
    data=st.binary(max_size=100),
    position=st.integers(0, 1000),
    aad=st.binary(max_size=9),
)
@settings(max_examples=200, deadline=None)
def test_any_changed_bit_is_noticed(name: str, data: bytes, position: int, aad: bytes) -> None:
    """A bit flipped in ciphertext, tag, nonce or authenticated data is refused."""
    row = DATA_ALGORITHMS[name]
    key, nonce = os.urandom(row.key_bytes), os.urandom(row.nonce_bytes)
    flow = row.encrypting(key, nonce, aad)
    sealed = flow.update(data)
    rest, tag = flow.finish()
    parts = [bytearray(each) for each in (nonce, aad, sealed + rest, tag)]
    where = position % sum(map(len, parts))
    for part in parts:
        if where < len(part):
            part[where] ^= 1 << position % 8
            break
        where -= len(part)
    nonce, aad, sealed, tag = map(bytes, parts)
    back = row.decrypting(key, nonce, aad)
    back.update(sealed)
    with pytest.raises(CommandFailed, match="cannot be decrypted"):
        back.finish(tag)


@pytest.mark.parametrize("tag", [b"", bytes(4), bytes(12), bytes(15)])
@pytest.mark.parametrize("name", LIBRARY)
def test_a_short_tag_is_no_tag(name: str, tag: bytes) -> None:
    """A tag that was cut is refused, however little is left of it."""
    row = DATA_ALGORITHMS[name]
    flow = row.decrypting(bytes(row.key_bytes), bytes(row.nonce_bytes), b"")
    with pytest.raises(CommandFailed):
        flow.finish(tag)


def test_what_must_be_held_is_bounded() -> None:
    """An algorithm that needs all data at once refuses more than it may hold."""
    flow = DATA_ALGORITHMS["aes-gcm-siv"].encrypting(bytes(32), bytes(12), b"")
    flow.update(bytes(HELD_BYTES))
    with pytest.raises(CommandFailed, match="MiB"):
        flow.update(b"x")


# Lengths


@given(items=st.lists(st.binary(max_size=300), max_size=20))
def test_lists_survive(items: list[bytes]) -> None:
    """What is written as a list is read as the same."""
    assert leb128.unlisted(leb128.listed(items)) == items


@given(part=st.binary(max_size=70_000), rest=st.binary(max_size=10))
@settings(deadline=None)
def test_parts_survive(part: bytes, rest: bytes) -> None:
    """A part after its length is read from bytes and from a file, up to its end."""
    data = leb128.prefixed(part) + rest
    assert leb128.split(data) == (part, rest)
    file = io.BytesIO(data)
    assert leb128.read_part(file) == part
    assert file.read() == rest


@given(data=st.binary(max_size=40))
def test_malformed_lengths_are_refused(data: bytes) -> None:
    """Any bytes either hold a part or are refused in words."""
    with contextlib.suppress(CommandFailed):
        assert leb128.split(data)[0] in data
    with contextlib.suppress(CommandFailed):
        assert leb128.read_part(io.BytesIO(data)) in data
