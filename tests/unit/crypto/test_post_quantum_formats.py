"""Post-quantum keys in their containers, in all the choices that RFC 9935 gives, and malformed."""

from __future__ import annotations

import os
import sys

import pytest
from cryptography.hazmat.primitives import serialization

from kmsd.crypto import der, formats, jwk, mlkem_seed, pqc, pqc_formats, signatures
from kmsd.kmip.enums import CryptographicAlgorithm as Algorithm
from kmsd.kmip.enums import ResultReason
from kmsd.kmip.errors import KmipError

SEED = bytes(range(64))
KEM_512 = pqc.BY_ALGORITHM[Algorithm.ML_KEM_512]
PUBLIC, EXPANDED = mlkem_seed.expand(SEED)


def octets(data: bytes) -> bytes:
    return der.encode(der.OCTET_STRING, data)


@pytest.mark.parametrize(
    "choice",
    [
        der.encode(0x80, SEED),
        octets(EXPANDED),
        der.encode(der.SEQUENCE, octets(SEED), octets(EXPANDED)),
    ],
    ids=["seed", "expanded", "both"],
)
def test_an_ml_kem_key_comes_as_seed_expanded_or_both(choice: bytes) -> None:
    key = formats.load_private_der(der.private_key(KEM_512.oid, choice))
    assert isinstance(key, pqc.SecretKey)
    assert key.data == EXPANDED
    assert key.public_key().public_bytes_raw() == PUBLIC


@pytest.mark.parametrize("algorithm", [row.algorithm for row in pqc.PARAMETER_SETS])
def test_our_containers_are_what_the_library_writes_where_it_can(algorithm: Algorithm) -> None:
    key = pqc.generate(algorithm)
    private, public = pqc_formats.private_der(key), pqc_formats.public_der(key.public_key())
    identifier, _ = der.read_private_key(private)
    assert identifier == der.read_public_key(public)[0] == der.oid(pqc.BY_ALGORITHM[algorithm].oid)
    if not isinstance(key, pqc.SecretKey):
        theirs = key.public_key().public_bytes(
            serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        assert public == theirs


def test_other_containers_are_left_to_the_library() -> None:
    assert pqc_formats.load_private_der(der.private_key("1.2.840.113549.1.1.1", b"")) is None
    assert pqc_formats.load_public_der(der.public_key("1.2.840.113549.1.1.1", b"")) is None
    assert pqc_formats.load_public_der(b"\x30\x00") is None


@pytest.mark.parametrize(
    "content",
    [
        b"",
        octets(b"short"),
        der.encode(0x80, SEED[:-1]),
        der.encode(0x80, SEED)[:-1],
        b"\x05\x00",
        octets(EXPANDED[:-33] + b"\0" + EXPANDED[-32:]),
        octets(bytes(1632)),
    ],
)
def test_a_malformed_private_key_is_an_invalid_field(content: bytes) -> None:
    with pytest.raises(KmipError) as caught:
        formats.load_private_der(der.private_key(KEM_512.oid, content))
    assert caught.value.reason is ResultReason.INVALID_FIELD


@pytest.mark.parametrize("algorithm", [Algorithm.ML_KEM_512, Algorithm.ML_KEM_768])
def test_a_public_key_of_numbers_too_large_is_an_invalid_field(algorithm: Algorithm) -> None:
    size = len(pqc.generate(algorithm).public_key().public_bytes_raw())
    for bad in (b"\xff" * size, bytes(size - 1), bytes(size + 1)):
        with pytest.raises(KmipError) as caught:
            pqc.load_public_raw(algorithm, bad)
        assert caught.value.reason is ResultReason.INVALID_FIELD


def test_a_public_key_is_a_whole_number_of_bytes() -> None:
    good = der.public_key(KEM_512.oid, PUBLIC)
    at = good.index(b"\x00" + PUBLIC[:8])
    assert pqc_formats.load_public_der(good[:at] + b"\x04" + good[at + 1 :]) is None
    with pytest.raises(KmipError):
        formats.load_public_der(good[:at] + b"\x04" + good[at + 1 :])


@pytest.mark.parametrize("size", [0, 1, 127, 128, 255, 256, 65536])
def test_lengths_of_every_form_are_written_and_read(size: int) -> None:
    data = os.urandom(size)
    assert der.decode(octets(data) + b"rest", der.OCTET_STRING) == (data, b"rest")


@pytest.mark.parametrize(
    "bad", [b"", b"\x04", b"\x04\x05abc", b"\x04\x80", b"\x04\x84\0\0\0\1a", b"\x05\x00"]
)
def test_malformed_der_is_an_invalid_field(bad: bytes) -> None:
    with pytest.raises(KmipError, match="DER"):
        der.decode(bad, der.OCTET_STRING)


def test_there_is_no_json_web_key_of_a_post_quantum_key() -> None:
    with pytest.raises(KmipError, match="unsupported KeyFormatType"):
        jwk.export(pqc.generate(Algorithm.ML_DSA_44))


def test_an_ml_kem_512_key_does_not_sign() -> None:
    key = pqc.load_private_raw(Algorithm.ML_KEM_512, SEED)
    for call in (
        lambda: signatures.sign(key, b""),
        lambda: signatures.verify(key.public_key(), b"", b""),
    ):
        with pytest.raises(KmipError, match="ML-KEM is not supported"):
            call()


def test_without_the_package_the_rest_works_and_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    keys = [pqc.generate(Algorithm.ML_DSA_44), pqc.generate(Algorithm.ML_KEM_768)]
    slh = pqc.generate(Algorithm.SLH_DSA_SHA2_128F).public_key()
    pqc._library.cache_clear()
    for name in [name for name in sys.modules if name.startswith("pqcrypto")]:
        monkeypatch.setitem(sys.modules, name, None)
    monkeypatch.setitem(sys.modules, "pqcrypto", None)
    for call in (
        lambda: pqc.generate(Algorithm.SLH_DSA_SHA2_128F),
        lambda: signatures.verify(slh, b"", b""),
    ):
        with pytest.raises(KmipError, match="install the package pqcrypto") as caught:
            call()
        assert caught.value.reason is ResultReason.FEATURE_NOT_SUPPORTED
    for key in keys:
        public = key.public_key()
        described = pqc.row_of(public)
        assert described is not None
        pqc.load_public_raw(described.algorithm, public.public_bytes_raw())
    monkeypatch.undo()
    pqc._library.cache_clear()


def test_a_rust_panic_is_a_refusal_and_an_interrupt_is_not() -> None:
    class PanicException(BaseException):
        pass

    def raising(error: type[BaseException]) -> None:
        raise error

    fenced = pqc._fenced(raising)
    for error in (PanicException, ValueError):
        with pytest.raises(KmipError, match="the post-quantum operation failed"):
            fenced(error)
    with pytest.raises(KeyboardInterrupt):
        fenced(KeyboardInterrupt)
