"""Properties of every kind of key: what it signs, wraps or encrypts survives no changed bit."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import cache

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kmsd.crypto import asymmetric, generate, pqc, signatures, wrapping
from kmsd.crypto.keys import PrivateKey
from kmsd.kmip.enums import BlockCipherMode as Mode
from kmsd.kmip.enums import CryptographicAlgorithm as Algorithm
from kmsd.kmip.enums import PaddingMethod as Padding
from kmsd.kmip.enums import RecommendedCurve as Curve
from kmsd.kmip.errors import KmipError
from kmsd.kmip.structures import CryptographicParameters as Parameters

_SMALL = "SLH_DSA_SHA2_128S"
SIGNING = {
    "RSA": (Algorithm.RSA, 2048, None),
    **{
        curve.name: (Algorithm.ECDSA, None, curve)
        for curve in (Curve.P224, Curve.P256, Curve.P384, Curve.P521, Curve.SECP256K1)
    },
    "Ed25519": (Algorithm.ED25519, None, None),
    "Ed448": (Algorithm.ED448, None, None),
    **{
        row.algorithm.name: (row.algorithm, None, None) for row in pqc.PARAMETER_SETS if not row.kem
    },
}
QUICK = [name for name in SIGNING if not name.startswith(("SLH", "ML"))]
SEALING = {
    "RSA OAEP": ("RSA", None),
    "RSA AES": ("RSA", Parameters(padding_method=Padding.NONE)),
    "P256": ("P256", None),
    "P521": ("P521", None),
    "X25519": ("X25519", None),
    "Ed25519": ("Ed25519", None),
}
WRAPPING = [None, Mode.NIST_KEY_WRAP, Mode.AES_KEY_WRAP_PADDING, Mode.GCM]


@cache
def key(name: str) -> PrivateKey:
    if name == "X25519":
        return generate.generate_pair(Algorithm.ECDH, None, Curve.CURVE25519)
    return generate.generate_pair(*SIGNING[name])


@cache
def signed(name: str) -> bytes:
    return signatures.sign(key(name), b"message")


def flip(data: bytes, bit: int) -> bytes:
    changed = bytearray(data)
    changed[bit // 8] ^= 1 << bit % 8
    return bytes(changed)


def accepted(call: Callable[..., bytes], *args: object, **options: bytes) -> bool:
    try:
        call(*args, **options)
    except KmipError:
        return False
    return True


@pytest.mark.parametrize("name", QUICK)
def test_no_single_changed_bit_of_a_signature_verifies(name: str) -> None:
    signature, public = signed(name), key(name).public_key()
    assert signatures.verify(public, b"message", signature)
    for bit in range(8 * len(signature)):
        assert not signatures.verify(public, b"message", flip(signature, bit))


@settings(max_examples=600, deadline=None)
@given(name=st.sampled_from(sorted(SIGNING)), where=st.floats(0, 1, exclude_max=True))
def test_no_drawn_changed_bit_of_any_signature_verifies(name: str, where: float) -> None:
    signature = signed(name)
    changed = flip(signature, int(where * 8 * len(signature)))
    assert not signatures.verify(key(name).public_key(), b"message", changed)


@settings(max_examples=200, deadline=None)
@given(name=st.sampled_from(sorted(SIGNING)), message=st.binary(max_size=200))
def test_whatever_is_signed_verifies_and_only_that(name: str, message: bytes) -> None:
    if name.startswith("SLH"):
        message = b"message"
    signature = signed(name) if message == b"message" else signatures.sign(key(name), message)
    assert signatures.verify(key(name).public_key(), message, signature)
    assert not signatures.verify(key(name).public_key(), message + b"\0", signature)


@pytest.mark.parametrize("way", SEALING)
def test_no_single_changed_bit_of_a_sealed_message_opens(way: str) -> None:
    name, parameters = SEALING[way]
    sealed = asymmetric.encrypt(key(name).public_key(), b"secret key bytes", parameters)
    assert asymmetric.decrypt(key(name), sealed, parameters) == b"secret key bytes"
    step = 7 if name == "RSA" else 1  # a private operation each
    for bit in range(0, 8 * len(sealed), step):
        assert not accepted(asymmetric.decrypt, key(name), flip(sealed, bit), parameters)


@pytest.mark.parametrize("mode", WRAPPING)
def test_no_single_changed_bit_of_a_wrapped_key_unwraps(mode: Mode | None) -> None:
    kek, parameters = os.urandom(32), Parameters(block_cipher_mode=mode)
    wrapped = wrapping.wrap(kek, bytes(range(32)), parameters, aad=b"aad")
    assert wrapping.unwrap(kek, wrapped, parameters, aad=b"aad") == bytes(range(32))
    for bit in range(8 * len(wrapped)):
        assert not accepted(wrapping.unwrap, kek, flip(wrapped, bit), parameters, aad=b"aad")


@settings(max_examples=200, deadline=None)
@given(
    way=st.sampled_from(sorted(SEALING)), data=st.binary(max_size=150), noise=st.binary(max_size=90)
)
def test_random_bytes_do_not_open_and_sealed_ones_do(way: str, data: bytes, noise: bytes) -> None:
    name, parameters = SEALING[way]
    data = data or b"x"  # RFC 5649 wraps a byte at least
    sealed = asymmetric.encrypt(key(name).public_key(), data, parameters)
    assert asymmetric.decrypt(key(name), sealed, parameters) == data
    assert not accepted(asymmetric.decrypt, key(name), noise, parameters)
