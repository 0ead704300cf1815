"""Wycheproof's files through kmsd.crypto: no invalid vector is accepted, refusals are listed.

A file is a test. Each valid vector that we refuse is in `REFUSED` with its reason; the counts must
be exact, so that neither list nor code changes unnoticed.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

from kmsd.crypto import formats, kdf, mac, pqc, rsa, signatures
from kmsd.crypto.algorithms import cipher
from kmsd.crypto.keywrap import rfc3394_unwrap, rfc3394_wrap
from kmsd.kmip.enums import BlockCipherMode as Mode
from kmsd.kmip.enums import CryptographicAlgorithm as Algorithm
from kmsd.kmip.enums import DerivationMethod, PaddingMethod
from kmsd.kmip.enums import HashingAlgorithm as Hash
from kmsd.kmip.errors import KmipError
from kmsd.kmip.structures import CryptographicParameters as Parameters

pytestmark = pytest.mark.needs_shared

Vector = dict[str, Any]
Check = Callable[[Vector, Vector], bool]
"""Takes a group and a vector; tells whether we accept it (KmipError counts as a refusal)."""

REFUSED: dict[str, tuple[int, str]] = {
    "aes_gcm.json": (27, "nonces shorter than 64 or longer than 1024 bits"),
    "aes_xts.json": (41, "AES-192: SP 800-38E has XTS for 128 and 256 bits only"),
    "mldsa_44_verify.json": (2, "contexts: KMIP has no field for one"),
}
"""How many valid vectors we refuse, and why."""


def data(vector: Vector, name: str) -> bytes:
    return bytes.fromhex(vector[name])


def aead(algorithm: Algorithm, mode: Mode | None) -> Check:
    def check(_: Vector, v: Vector) -> bool:
        ready = cipher(algorithm, Parameters(block_cipher_mode=mode)).prepare(data(v, "key"))
        plain = ready.decrypt(data(v, "ct"), data(v, "iv"), data(v, "aad"), data(v, "tag"))
        again = ready.encrypt(plain, data(v, "iv"), data(v, "aad"))
        return plain == data(v, "msg") and again.ciphertext + again.tag == (
            data(v, "ct") + data(v, "tag")
        )

    return check


def plain_cipher(mode: Mode) -> Check:
    def check(_: Vector, v: Vector) -> bool:
        ready = cipher(Algorithm.AES, Parameters(block_cipher_mode=mode)).prepare(data(v, "key"))
        plain = ready.decrypt(data(v, "ct"), data(v, "iv"))
        return plain == data(v, "msg") and (
            ready.encrypt(plain, data(v, "iv")).ciphertext == data(v, "ct")
        )

    return check


def key_wrap(_: Vector, v: Vector) -> bool:
    key = rfc3394_unwrap(data(v, "key"), data(v, "ct"))
    return key == data(v, "msg") and rfc3394_wrap(data(v, "key"), key) == data(v, "ct")


def message_authentication(parameters: Parameters) -> Check:
    def check(_: Vector, v: Vector) -> bool:
        row = mac.select(None, parameters)
        return row.verify(data(v, "key"), data(v, "msg"), data(v, "tag"))

    return check


def signature(parameters: Parameters, field: str = "publicKeyDer") -> Check:
    def check(group: Vector, v: Vector) -> bool:
        key = formats.load_public_der(bytes.fromhex(group[field]))
        return signatures.verify(key, data(v, "msg"), data(v, "sig"), parameters)

    return check


def ml_dsa(group: Vector, v: Vector) -> bool:
    if v.get("ctx"):
        return False
    key = pqc.load_public_raw(Algorithm.ML_DSA_44, bytes.fromhex(group["publicKey"]))
    return signatures.verify(key, data(v, "msg"), data(v, "sig"))


def oaep(hashing: Hash) -> Check:
    def check(group: Vector, v: Vector) -> bool:
        key = formats.load_private_der(bytes.fromhex(group["privateKeyPkcs8"]), trusted=True)
        assert isinstance(key, RSAPrivateKey)
        parameters = Parameters(
            padding_method=PaddingMethod.OAEP, hashing_algorithm=hashing, p_source=data(v, "label")
        )
        return rsa.decrypt(key, data(v, "ct"), parameters) == data(v, "msg")

    return check


def hkdf(_: Vector, v: Vector) -> bool:
    request = kdf.Derivation(
        key=data(v, "ikm"), salt=data(v, "salt"), data=data(v, "info"), length=v["size"]
    )
    return kdf.derive(DerivationMethod.HKDF, request) == data(v, "okm")


def pbkdf2(_: Vector, v: Vector) -> bool:
    request = kdf.Derivation(
        key=data(v, "password"),
        salt=data(v, "salt"),
        iterations=v["iterationCount"],
        length=v["dkLen"],
    )
    return kdf.derive(DerivationMethod.PBKDF2, request) == data(v, "dk")


def ml_kem(_: Vector, v: Vector) -> bool:
    key = pqc.load_private_raw(Algorithm.ML_KEM_768, data(v, "seed"))
    assert key.public_key().public_bytes_raw() == data(v, "ek")
    return pqc.decapsulate(key, data(v, "c")) == data(v, "K")


HMAC_SHA256 = Parameters(cryptographic_algorithm=Algorithm.HMAC_SHA256)
SHA256 = Parameters(hashing_algorithm=Hash.SHA256)
FILES: dict[str, Check] = {
    "aes_cbc_pkcs5.json": plain_cipher(Mode.CBC),
    "aes_cmac.json": message_authentication(Parameters(block_cipher_mode=Mode.CMAC)),
    "aes_gcm.json": aead(Algorithm.AES, Mode.GCM),
    "aes_wrap.json": key_wrap,
    "aes_xts.json": plain_cipher(Mode.XTS),
    "chacha20_poly1305.json": aead(Algorithm.CHACHA20_POLY1305, None),
    "ecdsa_secp256r1_sha256.json": signature(SHA256),
    "ecdsa_secp384r1_sha384.json": signature(Parameters(hashing_algorithm=Hash.SHA384)),
    "ed25519.json": signature(Parameters()),
    "hkdf_sha256.json": hkdf,
    "hmac_sha256.json": message_authentication(HMAC_SHA256),
    "mldsa_44_verify.json": ml_dsa,
    "mlkem_768.json": ml_kem,
    "pbkdf2_hmacsha256.json": pbkdf2,
    "rsa_oaep_2048_sha1_mgf1sha1.json": oaep(Hash.SHA1),
    "rsa_oaep_2048_sha256_mgf1sha256.json": oaep(Hash.SHA256),
    "rsa_pss_2048_sha256_mgf1_32.json": signature(
        Parameters(padding_method=PaddingMethod.PSS, hashing_algorithm=Hash.SHA256, salt_length=32)
    ),
    "rsa_signature_2048_sha256.json": signature(SHA256),
}


def _vectors(path: Path) -> Iterator[tuple[Vector, Vector]]:
    for group in json.loads(path.read_text())["testGroups"]:
        for vector in group["tests"]:
            yield group, vector


def _accepts(check: Check, group: Vector, vector: Vector) -> bool:
    try:
        return check(group, vector)
    except KmipError:
        return False


@pytest.mark.parametrize("name", FILES)
def test_no_invalid_vector_is_accepted_and_refused_valid_ones_are_listed(
    name: str, shared: Path
) -> None:
    outcomes = Counter(
        (vector["result"], _accepts(FILES[name], group, vector))
        for group, vector in _vectors(shared / "wycheproof" / name)
    )
    expected, reason = REFUSED.get(name, (0, "nothing valid is refused"))
    assert outcomes["invalid", True] == 0
    assert outcomes["valid", False] == expected, reason
    assert outcomes["valid", True] > 0


def test_every_shared_file_is_driven(shared: Path) -> None:
    assert {path.name for path in (shared / "wycheproof").glob("*.json")} == set(FILES)
