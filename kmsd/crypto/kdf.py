"""Key derivation. Source: KMIP 2.1 §6.1.14, §7.12, §11.14."""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.kdf.pbkdf2 import PBKDF2HMAC

from kmsd.crypto import mac
from kmsd.crypto.algorithms import cipher
from kmsd.crypto.digest import digest, hash_for
from kmsd.crypto.errors import bad_parameters, unsupported
from kmsd.kmip.enums import BlockCipherMode, DerivationMethod
from kmsd.kmip.enums import CryptographicAlgorithm as Algorithm
from kmsd.kmip.enums import HashingAlgorithm as Hash
from kmsd.kmip.structures import CryptographicParameters

DEFAULT_ITERATIONS = 600_000
"""OWASP's figure for PBKDF2 with SHA-256, and the product's default."""
_MOST_WORK = 20_000_000
"""Iterations times output blocks of a PBKDF2: some seconds; more is refused before it begins."""
LONGEST = 1 << 16
"""Bytes of a derived key."""
_COUNTER_BYTES = 4
_LAST_HKDF_BLOCK = 255

Prf = Callable[[bytes], bytes]


@dataclass(frozen=True, kw_only=True)
class Derivation:
    """The input of a derivation; `length` in bytes."""

    key: bytes = field(repr=False)
    length: int
    data: bytes = field(default=b"", repr=False)
    """KMIP's DerivationData: HKDF's info, SP 800-108's fixed input, what to encrypt or hash."""
    salt: bytes | None = None
    iterations: int | None = None
    iv: bytes | None = None
    parameters: CryptographicParameters = field(default_factory=CryptographicParameters)

    @property
    def hashing(self) -> Hash:
        """The hash function; SHA-256 unless named."""
        return self.parameters.hashing_algorithm or Hash.SHA256


def derive(method: DerivationMethod, request: Derivation) -> bytes:
    """Derive a key.

    For DerivationMethod ASYMMETRIC_KEY call `ec.agree` (it takes key objects), and for
    AWS_SIGNATURE_VERSION_4 `aws_signature_v4` (it takes three data).

    Raises:
        KmipError: UNSUPPORTED_… for the method or the hash, BAD_CRYPTOGRAPHIC_PARAMETERS for the
            length, the salt, the iterations.
    """
    function = _METHODS.get(method)
    if function is None:
        raise unsupported(f"key derivation by {method.wire_name}")
    if not 1 <= request.length <= LONGEST:
        raise bad_parameters(f"a derived key has a length of 1 to {LONGEST} bytes")
    derived = function(request)
    if len(derived) < request.length:
        raise bad_parameters(f"{method.wire_name} gives no more than {len(derived)} bytes")
    return derived[: request.length]


def pbkdf2_rfc8018(request: Derivation) -> bytes:
    """PBKDF2 with HMAC: the key is the password. Source: RFC 8018 §5.2."""
    if request.salt is None:
        raise bad_parameters("PBKDF2 needs a Salt")
    iterations = DEFAULT_ITERATIONS if request.iterations is None else request.iterations
    function = hash_for(request.hashing)
    blocks = -(-request.length // function.digest_size)
    if not 1 <= iterations <= _MOST_WORK // blocks:
        raise bad_parameters(f"an IterationCount of 1 to {_MOST_WORK // blocks} is allowed here")
    return PBKDF2HMAC(function, request.length, request.salt, iterations).derive(request.key)


def hkdf_rfc5869(request: Derivation) -> bytes:
    """HKDF: extract and expand. Source: RFC 5869."""
    function = hash_for(request.hashing)
    if request.length > _LAST_HKDF_BLOCK * function.digest_size:
        raise bad_parameters(
            f"HKDF gives no more than {_LAST_HKDF_BLOCK * function.digest_size} bytes"
        )
    return HKDF(function, request.length, request.salt, request.data).derive(request.key)


def nist800_108_counter(request: Derivation) -> bytes:
    """KDF in counter mode, a counter of 32 bits before the fixed input. Source: SP 800-108 §4.1."""
    prf = _prf(request)
    return _blocks(request.length, lambda i, _: prf(_count(i) + request.data))


def nist800_108_feedback(request: Derivation) -> bytes:
    """KDF in feedback mode, with counter, from the initialization vector. SP 800-108 §4.2."""
    prf = _prf(request)
    first = request.iv or b""
    return _blocks(request.length, lambda i, last: prf((last or first) + _count(i) + request.data))


def nist800_108_double_pipeline(request: Derivation) -> bytes:
    """KDF in double-pipeline mode, with counter. Source: SP 800-108 §4.3."""
    prf = _prf(request)
    pipeline = [request.data]

    def block(i: int, _: bytes) -> bytes:
        pipeline[0] = prf(pipeline[0])
        return prf(pipeline[0] + _count(i) + request.data)

    return _blocks(request.length, block)


def hash_(request: Derivation) -> bytes:
    """Hash the derivation data, or the key where there is none. Source: KMIP 2.1 §11.14."""
    return digest(request.hashing, request.data or request.key)


def hmac_(request: Derivation) -> bytes:
    """HMAC the derivation data under the key. Source: KMIP 2.1 §11.14."""
    return mac.hmac_fips198(request.hashing).compute(request.key, request.data)


def encrypt_(request: Derivation) -> bytes:
    """Encrypt the derivation data under the key; zeros where no IV is given. KMIP 2.1 §11.14."""
    row = cipher(None, request.parameters)
    nonce = request.iv if request.iv is not None else bytes(row.nonce_size)
    return row.prepare(request.key).encrypt(request.data, nonce, random=os.urandom).ciphertext


def aws_signature_v4(key: bytes, data: Sequence[bytes]) -> bytes:
    """Derive a signing key from a secret access key, and date, region, service."""
    if len(data) != 3:  # noqa: PLR2004 - date, region, service
        raise bad_parameters("AWS Signature Version 4 needs three DerivationData")
    derived = b"AWS4" + key
    for part in (*data, b"aws4_request"):
        derived = mac.hmac_fips198(Hash.SHA256).compute(derived, part)
    return derived


_METHODS: dict[DerivationMethod, Callable[[Derivation], bytes]] = {
    DerivationMethod.PBKDF2: pbkdf2_rfc8018,
    DerivationMethod.HASH: hash_,
    DerivationMethod.HMAC: hmac_,
    DerivationMethod.ENCRYPT: encrypt_,
    DerivationMethod.NIST800_108_C: nist800_108_counter,
    DerivationMethod.NIST800_108_F: nist800_108_feedback,
    DerivationMethod.NIST800_108_DPI: nist800_108_double_pipeline,
    DerivationMethod.HKDF: hkdf_rfc5869,
}


def _prf(request: Derivation) -> Prf:
    """Choose the pseudo-random function: AES-CMAC by mode, else HMAC."""
    if request.parameters.block_cipher_mode is BlockCipherMode.CMAC:
        row = mac.select(Algorithm.AES, request.parameters)
    else:
        row = mac.hmac_fips198(request.hashing)
    return lambda data: row.compute(request.key, data)


def _count(i: int) -> bytes:
    return i.to_bytes(_COUNTER_BYTES)


def _blocks(length: int, block: Callable[[int, bytes], bytes]) -> bytes:
    """Concatenate the blocks 1, 2, … each of which is told the one before."""
    out, last = b"", b""
    while len(out) < length:
        last = block(len(out) // len(last) + 1 if last else 1, last)
        out += last
    return out
