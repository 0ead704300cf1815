"""Signatures of every kind of key, over data and over digests."""

from __future__ import annotations

from functools import cache

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import dsa, ec, utils

from kmsd.crypto import generate, pqc, signatures
from kmsd.crypto.digest import context, digest
from kmsd.crypto.keys import PrivateKey
from kmsd.kmip.enums import CryptographicAlgorithm as Algorithm
from kmsd.kmip.enums import DigitalSignatureAlgorithm as Named
from kmsd.kmip.enums import HashingAlgorithm as Hash
from kmsd.kmip.enums import PaddingMethod as Padding
from kmsd.kmip.enums import RecommendedCurve as Curve
from kmsd.kmip.errors import KmipError
from kmsd.kmip.structures import CryptographicParameters as Parameters

MESSAGE = b"The quick brown fox jumps over the lazy dog"
PSS = Parameters(padding_method=Padding.PSS, hashing_algorithm=Hash.SHA256)
KEYS = {
    "RSA": (Algorithm.RSA, 2048, None),
    "P-192": (Algorithm.ECDSA, None, Curve.P192),
    "P-224": (Algorithm.ECDSA, None, Curve.P224),
    "P-256": (Algorithm.ECDSA, None, Curve.P256),
    "P-384": (Algorithm.ECDSA, None, Curve.P384),
    "P-521": (Algorithm.ECDSA, None, Curve.P521),
    "secp256k1": (Algorithm.ECDSA, None, Curve.SECP256K1),
    "Ed25519": (Algorithm.ED25519, None, None),
    "Ed448": (Algorithm.ED448, None, None),
    **{
        row.algorithm.wire_name: (row.algorithm, None, None)
        for row in pqc.PARAMETER_SETS
        if not row.kem
    },
}
HASHING = ["RSA", "P-224", "P-256", "P-384", "P-521", "secp256k1"]


@cache
def key(name: str) -> PrivateKey:
    return generate.generate_pair(*KEYS[name])


def verify(name: str, data: bytes, signature: bytes, parameters: Parameters | None = None) -> bool:
    return signatures.verify(key(name).public_key(), data, signature, parameters)


@pytest.mark.parametrize("name", KEYS)
def test_a_signature_verifies_and_each_change_to_it_or_the_data_does_not(name: str) -> None:
    signature = signatures.sign(key(name), MESSAGE)
    assert verify(name, MESSAGE, signature)
    assert not verify(name, MESSAGE + b"!", signature)
    assert not verify(name, MESSAGE, b"")
    for at in range(0, len(signature), max(1, len(signature) // 60)):
        changed = signature[:at] + bytes((signature[at] ^ 1,)) + signature[at + 1 :]
        assert not verify(name, MESSAGE, changed)


@pytest.mark.parametrize("name", HASHING)
@pytest.mark.parametrize(
    "hashing", [Hash.SHA1, Hash.SHA224, Hash.SHA256, Hash.SHA384, Hash.SHA512, Hash.SHA3_256]
)
def test_signing_a_digest_is_signing_what_has_it(name: str, hashing: Hash) -> None:
    parameters = Parameters(hashing_algorithm=hashing)
    hashed = digest(hashing, MESSAGE)
    signature = signatures.sign(key(name), b"", parameters, digested=hashed)
    assert verify(name, MESSAGE, signature, parameters)
    whole = signatures.sign(key(name), MESSAGE, parameters)
    public = key(name).public_key()
    assert signatures.verify(public, b"", whole, parameters, digested=hashed)
    assert not signatures.verify(public, b"", whole, parameters, digested=bytes(len(hashed)))


@pytest.mark.parametrize("name", HASHING)
def test_a_digest_tells_its_hash_function_by_its_length(name: str) -> None:
    signature = signatures.sign(key(name), b"", digested=digest(Hash.SHA384, MESSAGE))
    assert verify(name, MESSAGE, signature, Parameters(hashing_algorithm=Hash.SHA384))


@pytest.mark.parametrize("name", HASHING)
def test_a_digest_of_a_wrong_length_is_refused(name: str) -> None:
    for parameters in (None, Parameters(hashing_algorithm=Hash.SHA256)):
        with pytest.raises(KmipError, match="wrong length"):
            signatures.sign(key(name), b"", parameters, digested=b"x" * 31)
        with pytest.raises(KmipError, match="wrong length"):
            signatures.verify(key(name).public_key(), b"", b"x", parameters, digested=b"x" * 31)


@pytest.mark.parametrize("name", HASHING)
def test_a_stream_is_hashed_first(name: str) -> None:
    parameters = Parameters(hashing_algorithm=Hash.SHA512)
    hashing = signatures.hash_of(key(name), parameters)
    assert hashing is Hash.SHA512
    stream = context(hashing)
    stream.update(MESSAGE[:10])
    copied = stream.copy()
    stream.update(b"something else")
    signature = signatures.sign(key(name), b"", parameters, digested=copied.finalize(MESSAGE[10:]))
    assert verify(name, MESSAGE, signature, parameters)


@pytest.mark.parametrize("name", ["Ed25519", "Ed448", "MLDSA_44", "SLHDSA_SHA2_128f"])
def test_what_signs_whole_messages_takes_no_digest(name: str) -> None:
    assert signatures.hash_of(key(name)) is None
    with pytest.raises(KmipError, match="signs data and not digests"):
        signatures.sign(key(name), b"", digested=bytes(32))


def test_rsa_signs_with_pkcs1_unless_pss_is_asked_for() -> None:
    plain = signatures.sign(key("RSA"), MESSAGE)
    assert verify("RSA", MESSAGE, plain, Parameters(padding_method=Padding.PKCS1V15))
    assert not verify("RSA", MESSAGE, plain, PSS)
    named = Parameters(digital_signature_algorithm=Named.RSASSAPSS, hashing_algorithm=Hash.SHA256)
    assert verify("RSA", MESSAGE, signatures.sign(key("RSA"), MESSAGE, named), PSS)


@pytest.mark.parametrize(
    ("named", "hashing"),
    [
        (Named.SHA1_WITH_RSA_ENCRYPTION, Hash.SHA1),
        (Named.SHA256_WITH_RSA_ENCRYPTION, Hash.SHA256),
        (Named.SHA384_WITH_RSA_ENCRYPTION, Hash.SHA384),
        (Named.SHA512_WITH_RSA_ENCRYPTION, Hash.SHA512),
        (Named.SHA3_256_WITH_RSA_ENCRYPTION, Hash.SHA3_256),
    ],
)
def test_a_named_rsa_signature_is_pkcs1_over_its_hash(named: Named, hashing: Hash) -> None:
    signature = signatures.sign(key("RSA"), MESSAGE, Parameters(digital_signature_algorithm=named))
    assert verify("RSA", MESSAGE, signature, Parameters(hashing_algorithm=hashing))


def test_a_pss_salt_is_as_long_as_asked_for_and_found_by_itself() -> None:
    for salt in (0, 20, 32, 222):
        parameters = Parameters(
            padding_method=Padding.PSS, hashing_algorithm=Hash.SHA256, salt_length=salt
        )
        signature = signatures.sign(key("RSA"), MESSAGE, parameters)
        assert verify("RSA", MESSAGE, signature, parameters)
        assert verify("RSA", MESSAGE, signature, PSS)
        other = Parameters(
            padding_method=Padding.PSS, hashing_algorithm=Hash.SHA256, salt_length=11
        )
        assert not verify("RSA", MESSAGE, signature, other)
    with pytest.raises(KmipError, match="wrong length"):
        signatures.sign(
            key("RSA"), MESSAGE, Parameters(padding_method=Padding.PSS, salt_length=223)
        )


def test_pss_over_md5_signs_as_a_client_of_the_product_expects() -> None:
    parameters = Parameters(padding_method=Padding.PSS, hashing_algorithm=Hash.MD5)
    assert verify("RSA", MESSAGE, signatures.sign(key("RSA"), MESSAGE, parameters), parameters)


def test_another_signature_algorithm_than_the_keys_is_refused() -> None:
    for name, named in (
        ("RSA", Named.ECDSA_WITH_SHA256),
        ("P-256", Named.RSASSAPSS),
        ("Ed25519", Named.ECDSA_WITH_SHA256),
        ("RSA", Named.MD2_WITH_RSA_ENCRYPTION),
    ):
        with pytest.raises(KmipError, match="does not fit the key"):
            signatures.sign(key(name), MESSAGE, Parameters(digital_signature_algorithm=named))


def test_an_unknown_hash_function_is_not_supported() -> None:
    for name in ("RSA", "P-256"):
        with pytest.raises(KmipError, match="Tiger is not supported"):
            signatures.sign(key(name), MESSAGE, Parameters(hashing_algorithm=Hash.TIGER))


def test_p256_signs_as_rfc_6979_says() -> None:
    known = ec.derive_private_key(
        0xC9AFA9D845BA75166B5C215767B1D6934E50C3DB36E89B127B8A622B120F6721, ec.SECP256R1()
    )
    r, s = utils.decode_dss_signature(signatures.sign(known, b"sample"))
    assert r == 0xEFD48B2AACB6A8FD1140DD9CD45E81D69D2C877B56AAF991C34D0EA84EAF3716
    assert s == 0xF7CB1C942D657C41D436C7A1B6E29F65F3E900DBB9AFF4064DC4AB2F843ACDA8


def test_secp256k1_signs_deterministically_with_the_smaller_s() -> None:
    order = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
    for number in range(20):
        message = bytes((number,))
        signature = signatures.sign(key("secp256k1"), message)
        assert signature == signatures.sign(key("secp256k1"), message)
        assert utils.decode_dss_signature(signature)[1] <= order // 2
        assert verify("secp256k1", message, signature)


def test_old_dsa_signatures_verify_and_none_are_made() -> None:
    private = dsa.generate_private_key(2048)
    signature = private.sign(MESSAGE, hashes.SHA256())
    public = private.public_key()
    named = Parameters(digital_signature_algorithm=Named.DSA_WITH_SHA256)
    assert signatures.verify(public, MESSAGE, signature, named)
    assert signatures.verify(public, b"", signature, digested=digest(Hash.SHA256, MESSAGE))
    assert not signatures.verify(public, b"other", signature, named)
    with pytest.raises(KmipError, match="signing with a key of DSA is not supported"):
        signatures.sign(private, MESSAGE)


def test_keys_for_agreement_do_not_sign() -> None:
    agreeing = generate.generate_pair(Algorithm.ECDH, None, Curve.CURVE25519)
    with pytest.raises(KmipError, match="not supported"):
        signatures.sign(agreeing, MESSAGE)
    with pytest.raises(KmipError, match="not supported"):
        signatures.verify(agreeing.public_key(), MESSAGE, b"")
