"""Hostile PKCS#12 files are refused before they cost time; ordinary ones, DER or BER, are not."""

from __future__ import annotations

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import pkcs12
from hypothesis import given
from hypothesis import strategies as st

from kmsd.crypto.der import INTEGER, OCTET_STRING, SEQUENCE, encode
from kmsd.crypto.pkcs12 import load_pkcs12
from kmsd.crypto.pkcs12_limits import MOST_ITERATIONS, check_iterations
from kmsd.kmip.errors import KmipError

KEY = ec.generate_private_key(ec.SECP256R1())


def parameters(iterations: int) -> bytes:
    """PBE parameters: salt and iterations."""
    return encode(
        SEQUENCE,
        encode(OCTET_STRING, b"saltsalt"),
        encode(INTEGER, iterations.to_bytes(iterations.bit_length() // 8 + 1)),
    )


def deep(data: bytes) -> bytes:
    return encode(SEQUENCE, encode(INTEGER, b"\3"), encode(OCTET_STRING, encode(SEQUENCE, data)))


def indefinite(data: bytes) -> bytes:
    """BER: lengths left open, the string in two pieces."""
    pieces = encode(OCTET_STRING, data[:5]) + encode(OCTET_STRING, data[5:])
    return b"\x30\x80" + encode(INTEGER, b"\3") + b"\x24\x80" + pieces + b"\0\0" + b"\0\0"


@pytest.mark.parametrize("place", [lambda data: data, deep, indefinite])
def test_too_many_iterations_are_found_wherever_they_stand(place: object) -> None:
    assert callable(place)
    check_iterations(place(parameters(MOST_ITERATIONS)))
    for iterations in (MOST_ITERATIONS + 1, 2**31 - 1, 2**63 - 1):
        with pytest.raises(KmipError, match="iterations is not opened"):
            check_iterations(place(parameters(iterations)))


def test_the_loader_looks_before_it_iterates() -> None:
    with pytest.raises(KmipError, match="iterations is not opened"):
        load_pkcs12(deep(parameters(2**31 - 1)))


@pytest.mark.parametrize("rounds", [1, 2048, 600_000])
def test_an_ordinary_file_is_opened(rounds: int) -> None:
    encryption = (
        serialization.PrivateFormat.PKCS12.encryption_builder()
        .kdf_rounds(rounds)
        .key_cert_algorithm(pkcs12.PBES.PBESv2SHA256AndAES256CBC)
        .build(b"secret")
    )
    data = pkcs12.serialize_key_and_certificates(b"name", KEY, None, None, encryption)
    assert load_pkcs12(data, b"secret").private_key.public_key() == KEY.public_key()


@given(data=st.binary(max_size=200))
def test_any_bytes_are_refused_or_pass_and_nothing_worse(data: bytes) -> None:
    for candidate in (data, b"\x30\x80" + data, deep(data)):
        try:
            check_iterations(candidate)
        except KmipError as error:
            words = error.message
        else:
            continue
        assert words.startswith("invalid KeyMaterial")


def test_elements_nested_beyond_reason_are_refused() -> None:
    data = b""
    for _ in range(200):
        data = encode(SEQUENCE, data)
    for nested in (data, b"\x30\x80" * 100_000):
        with pytest.raises(KmipError, match="not a PKCS#12"):
            check_iterations(nested)
