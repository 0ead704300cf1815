"""Properties of the table of ciphers: whatever is in it round-trips and refuses changed bits.

Rows are drawn, not parametrized, where hypothesis is at work: pytest-twisted wraps a hypothesis
test once more for each parameter, and fails from the second on.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kmsd.crypto.algorithms import CIPHERS, cipher
from kmsd.crypto.interfaces import Cipher, Decryptor, Encrypted, ReadyCipher
from kmsd.kmip.enums import BlockCipherMode as Mode
from kmsd.kmip.enums import CryptographicAlgorithm as Algorithm
from kmsd.kmip.enums import PaddingMethod as Padding
from kmsd.kmip.errors import KmipError
from kmsd.kmip.structures import CryptographicParameters

REFUSAL = "CRYPTO: decryption failed"
BLOCKS = {Mode.CBC, Mode.ECB}
WRAPS = {Mode.NIST_KEY_WRAP, Mode.AES_KEY_WRAP_PADDING}
PROTECTING = [row for row in CIPHERS if row.aead or row.mode in WRAPS]
ALL = [
    pytest.param(row, id=f"{row.name}-{row.padding.name if row.padding else ''}") for row in CIPHERS
]
ROWS = st.sampled_from(CIPHERS)
EXAMPLES = settings(max_examples=30 * len(CIPHERS))
GUARDED = [pytest.param(row, id=row.name) for row in PROTECTING]


def fitting(row: Cipher, data: bytes) -> bytes:
    """Cut or fill data to what the row can take."""
    if row.mode is Mode.NIST_KEY_WRAP:
        return (data + bytes(16))[: max(16, len(data) // 8 * 8)]
    if row.mode in BLOCKS and row.padding is Padding.NONE:
        return data[: len(data) // 16 * 16]
    if row.mode is Mode.XTS:
        return data.ljust(16, b"x")
    return data or b"x" if row.mode is Mode.AES_KEY_WRAP_PADDING else data


def nonce_for(row: Cipher) -> bytes | None:
    return None if row.server_nonce else os.urandom(row.nonce_size)


def flipped(value: bytes) -> Iterator[bytes]:
    """Every value that differs in one bit."""
    for bit in range(8 * len(value)):
        changed = bytearray(value)
        changed[bit // 8] ^= 1 << bit % 8
        yield bytes(changed)


def answer(ready: ReadyCipher, parts: list[bytes]) -> str:
    """What comes of decrypting ciphertext, nonce, additional data and tag."""
    data, nonce, aad, tag = parts
    try:
        ready.decrypt(data, nonce, aad, tag)
    except KmipError as error:
        return error.message
    return "accepted"


@EXAMPLES
@given(row=ROWS, data=st.binary(max_size=200), aad=st.binary(max_size=40), choice=st.integers(0, 2))
def test_a_row_decrypts_what_it_encrypts_with_every_key_size(
    row: Cipher, data: bytes, aad: bytes, choice: int
) -> None:
    size = sorted(row.key_sizes)[choice % len(row.key_sizes)]
    ready, data = row.prepare(os.urandom(size)), fitting(row, data)
    sealed = ready.encrypt(data, nonce_for(row), aad)
    assert ready.decrypt(sealed.ciphertext, sealed.nonce, aad, sealed.tag) == data
    assert len(sealed.nonce) == row.nonce_size
    assert len(sealed.tag) == row.tag_size


@EXAMPLES
@given(row=ROWS, data=st.binary(max_size=200), cuts=st.lists(st.integers(0, 220), max_size=4))
def test_a_stream_gives_what_one_call_gives(row: Cipher, data: bytes, cuts: list[int]) -> None:
    ready, data = row.prepare(os.urandom(max(row.key_sizes))), fitting(row, data)
    whole = ready.encrypt(data, nonce_for(row), b"aad")
    stream = ready.encryptor(whole.nonce, b"aad")
    *parts, last = pieces(data, cuts)
    out = b"".join(stream.update(part) for part in parts)
    end = stream.finalize(last)
    assert Encrypted(out + end.ciphertext, end.nonce, end.tag) == whole
    reader = ready.decryptor(whole.nonce, b"aad")
    assert read(reader, pieces(whole.ciphertext, cuts), whole.tag) == data


def pieces(data: bytes, cuts: list[int]) -> list[bytes]:
    edges = [0, *sorted(cuts), len(data)]
    return [data[a:b] for a, b in itertools.pairwise(edges)]


def read(stream: Decryptor, parts: list[bytes], tag: bytes) -> bytes:
    *first, last = parts
    return b"".join(stream.update(part) for part in first) + stream.finalize(last, tag)


@pytest.mark.parametrize("row", GUARDED)
def test_every_single_changed_bit_is_refused_in_one_text(row: Cipher) -> None:
    ready = row.prepare(os.urandom(max(row.key_sizes)))
    data = fitting(row, b"attack at dawn")
    sealed = ready.encrypt(data, nonce_for(row), b"aad")
    good = [sealed.ciphertext, sealed.nonce, b"aad" if row.aead else b"", sealed.tag]
    assert answer(ready, good) == "accepted"
    for place, value in enumerate(good):
        for changed in flipped(value):
            assert answer(ready, [*good[:place], changed, *good[place + 1 :]]) == REFUSAL


@pytest.mark.parametrize("row", GUARDED)
def test_another_key_is_refused_in_the_same_text(row: Cipher) -> None:
    size = max(row.key_sizes)
    sealed = row.prepare(os.urandom(size)).encrypt(fitting(row, b"x" * 16), nonce_for(row))
    parts = [sealed.ciphertext, sealed.nonce, b"", sealed.tag]
    assert answer(row.prepare(os.urandom(size)), parts) == REFUSAL


@pytest.mark.parametrize("row", ALL)
def test_a_key_of_another_length_is_refused(row: Cipher) -> None:
    for size in set(range(70)) - row.key_sizes:
        with pytest.raises(KmipError, match="takes a key of"):
            row.prepare(bytes(size))


@pytest.mark.parametrize("row", ALL)
def test_a_ready_key_shows_no_secret(row: Cipher) -> None:
    key = os.urandom(max(row.key_sizes))
    assert key.hex() not in repr(row.prepare(key))
    assert repr(key) not in repr(row.prepare(key))


@given(
    algorithm=st.none() | st.sampled_from(sorted({row.algorithm for row in CIPHERS})),
    mode=st.none() | st.sampled_from(Mode),
    padding=st.none() | st.sampled_from(Padding),
    generation=st.sampled_from([4, 5]),
)
def test_parameters_lead_to_a_row_or_to_a_clear_refusal(
    algorithm: Algorithm | None, mode: Mode | None, padding: Padding | None, generation: int
) -> None:
    parameters = CryptographicParameters(block_cipher_mode=mode, padding_method=padding)
    try:
        row = cipher(algorithm, parameters, generation=generation)
    except KmipError as error:
        reason, words = error.reason.name, error.message
    else:
        assert row in CIPHERS
        return
    assert reason == "UNSUPPORTED_CRYPTOGRAPHIC_PARAMETERS"
    assert "not supported" in words
