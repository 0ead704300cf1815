"""Encryption to public keys: RSA, the product's ECIES, sealed boxes, ML-KEM."""

from __future__ import annotations

import importlib
import json
from base64 import b64decode
from functools import cache
from pathlib import Path

import nacl.public
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa, x448, x25519

from kmsd.crypto import asymmetric, generate, mlkem_seed, pqc, signatures
from kmsd.crypto.ec import agree, ecies_decrypt, ecies_encrypt, seal
from kmsd.crypto.keys import CURVES
from kmsd.kmip.enums import CryptographicAlgorithm as Algorithm
from kmsd.kmip.enums import HashingAlgorithm as Hash
from kmsd.kmip.enums import PaddingMethod as Padding
from kmsd.kmip.enums import RecommendedCurve as Curve
from kmsd.kmip.enums import ResultReason
from kmsd.kmip.errors import KmipError
from kmsd.kmip.structures import CryptographicParameters as Parameters

REFUSAL = r"^CRYPTO: decryption failed$"
ECIES_CURVES = [Curve.P192, Curve.P224, Curve.P256, Curve.P384, Curve.P521]
DATA = b"a data encryption key of 32 byte"


@cache
def rsa_key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(65537, 2048)


RSA_WAYS = {
    "default": None,
    **{
        f"OAEP {hashing.name}": Parameters(padding_method=Padding.OAEP, hashing_algorithm=hashing)
        for hashing in (Hash.SHA1, Hash.SHA224, Hash.SHA256, Hash.SHA384, Hash.SHA512)
    },
    "OAEP with another mask": Parameters(
        padding_method=Padding.OAEP,
        hashing_algorithm=Hash.SHA384,
        mask_generator_hashing_algorithm=Hash.SHA256,
    ),
    "OAEP with a label": Parameters(padding_method=Padding.OAEP, p_source=b"label"),
    "PKCS#1 v1.5": Parameters(padding_method=Padding.PKCS1V15),
    "hybrid by algorithm": Parameters(cryptographic_algorithm=Algorithm.AES),
    "hybrid by padding": Parameters(padding_method=Padding.NONE),
}


@pytest.mark.parametrize("way", RSA_WAYS)
def test_rsa_decrypts_what_it_encrypts(way: str) -> None:
    sealed = asymmetric.encrypt(rsa_key().public_key(), DATA, RSA_WAYS[way])
    assert asymmetric.decrypt(rsa_key(), sealed, RSA_WAYS[way]) == DATA


def test_the_default_is_oaep_with_sha256_as_is_the_mask() -> None:
    explicit = Parameters(
        padding_method=Padding.OAEP,
        hashing_algorithm=Hash.SHA256,
        mask_generator_hashing_algorithm=Hash.SHA256,
    )
    sealed = asymmetric.encrypt(rsa_key().public_key(), DATA)
    assert asymmetric.decrypt(rsa_key(), sealed, explicit) == DATA


def test_the_hybrid_is_an_oaep_key_and_an_rfc5649_wrap() -> None:
    data = b"x" * 1001
    way = RSA_WAYS["hybrid by algorithm"]
    sealed = asymmetric.encrypt(rsa_key().public_key(), data, way)
    assert len(sealed) == 256 + 1008 + 8
    assert asymmetric.decrypt(rsa_key(), sealed, way) == data
    for changed in (sealed[:-1], b"\0" + sealed[1:], sealed[:255], sealed[:300] + b"\0" * 972):
        with pytest.raises(KmipError, match=REFUSAL):
            asymmetric.decrypt(rsa_key(), changed, way)


def test_a_hybrid_key_of_another_length_is_refused_like_any_other() -> None:
    way = Parameters(padding_method=Padding.OAEP)
    short = asymmetric.encrypt(rsa_key().public_key(), b"k" * 16, way)
    with pytest.raises(KmipError, match=REFUSAL):
        asymmetric.decrypt(rsa_key(), short + bytes(24), RSA_WAYS["hybrid by padding"])


def test_too_much_data_says_so() -> None:
    with pytest.raises(KmipError, match="data too large for RSA-2048"):
        asymmetric.encrypt(rsa_key().public_key(), bytes(191))


@pytest.mark.parametrize("change", [b"\xff" * 256, b"", b"x" * 255, bytes(256)])
def test_a_wrong_oaep_ciphertext_is_refused_in_one_text(change: bytes) -> None:
    with pytest.raises(KmipError, match=REFUSAL) as caught:
        asymmetric.decrypt(rsa_key(), change)
    assert caught.value.reason is ResultReason.CRYPTOGRAPHIC_FAILURE


def test_pkcs1_rejects_implicitly() -> None:
    way = RSA_WAYS["PKCS#1 v1.5"]
    sealed = asymmetric.encrypt(rsa_key().public_key(), DATA, way)
    for at in range(0, 256, 16):
        wrong = sealed[:at] + bytes((sealed[at] ^ 1,)) + sealed[at + 1 :]
        try:
            first = asymmetric.decrypt(rsa_key(), wrong, way)
        except KmipError:
            continue  # beyond the modulus: public knowledge
        assert first != DATA
        assert asymmetric.decrypt(rsa_key(), wrong, way) == first


@pytest.mark.parametrize(
    "parameters",
    [
        Parameters(padding_method=Padding.PSS),
        Parameters(padding_method=Padding.OAEP, hashing_algorithm=Hash.MD5),
        Parameters(padding_method=Padding.OAEP, hashing_algorithm=Hash.WHIRLPOOL),
        Parameters(padding_method=Padding.OAEP, hashing_algorithm=Hash.SHA3_256),
    ],
)
def test_other_rsa_encryptions_are_not_supported(parameters: Parameters) -> None:
    for function, key in ((asymmetric.encrypt, rsa_key().public_key()),):
        with pytest.raises(KmipError, match="not supported"):
            function(key, DATA, parameters)
    with pytest.raises(KmipError, match="not supported"):
        asymmetric.decrypt(rsa_key(), bytes(256), parameters)


@pytest.mark.parametrize(
    ("curve", "expected"),
    [
        (
            Curve.P256,
            (
                "0397df2b184db1669393cbe1b23b2df47f10d2122815024432241a6b5668f3676f1d7ff3c6f258c80e"
                "97d076c1b92f635bfbd8ba55"
            ),
        ),
        (
            Curve.P384,
            (
                "02d1c602680ae06f63ee0b377bcdfe0bd57687f941f8ab474739f48412198a4eaf8e89529651315df0"
                "2a9f2ea137e9331231947750f8d8d351c10f26de79e66fb75f25b5ae"
            ),
        ),
    ],
)
def test_ecies_is_laid_out_as_the_products_formula_says(curve: Curve, expected: str) -> None:
    key = ec.derive_private_key(0x0123456789ABCDEF0123456789ABCDEF, CURVES[curve])
    ephemeral = ec.derive_private_key(0x1111111111111111222222222222222, CURVES[curve])
    assert ecies_encrypt(key.public_key(), b"kmsd", lambda _: ephemeral).hex() == expected
    assert ecies_decrypt(key, bytes.fromhex(expected)) == b"kmsd"


@pytest.mark.parametrize("curve", ECIES_CURVES)
def test_ecies_refuses_each_changed_byte(curve: Curve) -> None:
    key = ec.generate_private_key(CURVES[curve])
    sealed = asymmetric.encrypt(key.public_key(), b"secret")
    assert asymmetric.decrypt(key, sealed) == b"secret"
    for at in range(len(sealed)):
        with pytest.raises(KmipError, match=REFUSAL):
            asymmetric.decrypt(key, sealed[:at] + bytes((sealed[at] ^ 4,)) + sealed[at + 1 :])
    with pytest.raises(KmipError, match=REFUSAL):
        asymmetric.decrypt(key, sealed[:40])


@pytest.mark.parametrize("scalar", [1, 2, 3])
def test_ecies_works_with_the_smallest_keys(scalar: int) -> None:
    key = ec.derive_private_key(scalar, ec.SECP256R1())
    other = ec.generate_private_key(ec.SECP256R1())
    assert ecies_decrypt(key, ecies_encrypt(key.public_key(), b"x")) == b"x"
    assert ecies_decrypt(other, ecies_encrypt(other.public_key(), b"x", lambda _: key)) == b"x"


def test_ecies_is_for_nist_curves_only() -> None:
    key = ec.generate_private_key(ec.SECP256K1())
    with pytest.raises(KmipError, match="secp256k1 is not supported"):
        asymmetric.encrypt(key.public_key(), b"x")
    with pytest.raises(KmipError, match="secp256k1 is not supported"):
        asymmetric.decrypt(key, b"x")


def test_a_sealed_box_is_libsodiums() -> None:
    key = x25519.X25519PrivateKey.generate()
    theirs = nacl.public.SealedBox(nacl.public.PrivateKey(key.private_bytes_raw()))
    assert theirs.decrypt(asymmetric.encrypt(key.public_key(), b"secret")) == b"secret"
    assert asymmetric.decrypt(key, theirs.encrypt(b"secret")) == b"secret"


def test_an_ed25519_key_is_converted_for_a_sealed_box() -> None:
    key = ed25519.Ed25519PrivateKey.generate()
    sealed = asymmetric.encrypt(key.public_key(), b"secret")
    assert asymmetric.decrypt(key, sealed) == b"secret"
    for wrong in (b"", sealed[:-1], sealed[:-1] + b"\0", sealed[:47]):
        with pytest.raises(KmipError, match=REFUSAL):
            asymmetric.decrypt(key, wrong)


def test_a_point_that_is_no_key_cannot_be_sealed_to() -> None:
    with pytest.raises(KmipError, match="CRYPTO: the encryption failed"):
        seal(ed25519.Ed25519PublicKey.from_public_bytes(b"\x01" + bytes(31)), b"secret")


def test_448_bit_keys_do_not_encrypt() -> None:
    key = x448.X448PrivateKey.generate()
    with pytest.raises(KmipError, match="not supported"):
        asymmetric.encrypt(key.public_key(), b"x")
    with pytest.raises(KmipError, match="not supported"):
        asymmetric.decrypt(key, b"x")


@pytest.mark.parametrize(
    "curve", [Curve.P256, Curve.P521, Curve.SECP256K1, Curve.CURVE25519, Curve.CURVE448]
)
def test_two_keys_of_one_curve_agree(curve: Curve) -> None:
    one, other = (generate.generate_pair(Algorithm.ECDH, None, curve) for _ in range(2))
    shared = agree(one, other.public_key())  # type: ignore[arg-type]
    assert shared == agree(other, one.public_key())  # type: ignore[arg-type]
    stranger = generate.generate_pair(
        Algorithm.ECDH, None, Curve.P384 if curve is not Curve.P384 else Curve.P256
    )
    with pytest.raises(KmipError, match="of one curve"):
        agree(one, stranger.public_key())  # type: ignore[arg-type]


def test_a_point_of_small_order_gives_no_secret() -> None:
    key = x25519.X25519PrivateKey.generate()
    with pytest.raises(KmipError, match="the key agreement failed"):
        agree(key, x25519.X25519PublicKey.from_public_bytes(bytes(32)))


KEMS = [row.algorithm for row in pqc.PARAMETER_SETS if row.kem]


@pytest.mark.parametrize("algorithm", KEMS)
def test_a_shared_secret_is_found_in_its_ciphertext(algorithm: Algorithm) -> None:
    key = pqc.generate(algorithm)
    secret, ciphertext = pqc.encapsulate(key.public_key())
    assert len(secret) == 32
    assert pqc.decapsulate(key, ciphertext) == secret
    changed = bytes((ciphertext[0] ^ 1,)) + ciphertext[1:]
    assert pqc.decapsulate(key, changed) != secret
    with pytest.raises(KmipError, match=REFUSAL):
        pqc.decapsulate(key, ciphertext[:-1])


def test_kems_are_for_kem_keys_and_halves() -> None:
    key = pqc.generate(Algorithm.ML_KEM_768)
    for wrong in (key, rsa_key().public_key(), pqc.generate(Algorithm.ML_DSA_44).public_key()):
        with pytest.raises(KmipError, match="needs an ML-KEM public key"):
            pqc.encapsulate(wrong)
    for other in (key.public_key(), rsa_key()):
        with pytest.raises(KmipError, match="needs an ML-KEM private key"):
            pqc.decapsulate(other, b"")
    with pytest.raises(KmipError, match="not supported"):
        signatures.sign(key, b"x")
    with pytest.raises(KmipError, match="not supported"):
        signatures.verify(key.public_key(), b"x", b"x")


@pytest.mark.parametrize(
    ("algorithm", "parameters"),
    [
        (Algorithm.ML_KEM_768, mlkem_seed.Parameters(3, 2)),
        (Algorithm.ML_KEM_1024, mlkem_seed.Parameters(4, 2)),
    ],
)
def test_our_seed_expansion_is_openssls_where_that_has_one(
    algorithm: Algorithm, parameters: mlkem_seed.Parameters
) -> None:
    for first in range(5):
        seed = bytes(range(first, first + 64))
        public, secret = mlkem_seed.expand(seed, parameters)
        theirs = pqc.load_private_raw(algorithm, seed)
        assert theirs.public_key().public_bytes_raw() == public
        shared, ciphertext = pqc.encapsulate(theirs.public_key())
        assert pqc.decapsulate(pqc.load_private_raw(algorithm, secret), ciphertext) == shared


def test_an_ml_kem_512_key_loads_from_its_seed() -> None:
    key = pqc.load_private_raw(Algorithm.ML_KEM_512, bytes(range(64)))
    shared, ciphertext = pqc.encapsulate(key.public_key())
    assert pqc.decapsulate(key, ciphertext) == shared


def test_an_slh_dsa_signature_of_another_implementation_verifies() -> None:
    known = json.loads(Path(__file__).with_name("slh_dsa_shake_128s.json").read_text())
    private = bytes.fromhex(known["private"])
    key = pqc.load_private_raw(Algorithm.SLH_DSA_SHAKE_128S, private).public_key()
    message, signature = bytes.fromhex(known["message"]), b64decode(known["signature"])
    assert signatures.verify(key, message, signature)
    assert not signatures.verify(key, message + b"!", signature)


def test_an_expanded_ml_dsa_key_signs_but_has_no_public_half_here() -> None:
    public, secret = importlib.import_module("pqcrypto.sign").ml_dsa_65.keygen()
    key = pqc.load_private_raw(Algorithm.ML_DSA_65, secret)
    signature = signatures.sign(key, b"message")
    theirs = pqc.load_public_raw(Algorithm.ML_DSA_65, public)
    assert signatures.verify(theirs, b"message", signature)
    with pytest.raises(KmipError, match="not supported"):
        key.public_key()
