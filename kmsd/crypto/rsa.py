"""RSA: OAEP, PKCS#1 v1.5, PSS, and the hybrid RSA-AES key wrap. Source: RFC 8017, PKCS #11."""

import os

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed

from kmsd.crypto.digest import hash_for
from kmsd.crypto.errors import bad_parameters, decryption_failed, unsupported
from kmsd.crypto.interfaces import Random
from kmsd.crypto.keywrap import rfc5649_unwrap, rfc5649_wrap
from kmsd.kmip.enums import CryptographicAlgorithm, HashingAlgorithm, PaddingMethod
from kmsd.kmip.structures import CryptographicParameters

_DEFAULTS = CryptographicParameters()
_HYBRID_KEY_BYTES = 32


def encrypt(
    key: RSAPublicKey,
    data: bytes,
    parameters: CryptographicParameters | None = None,
    random: Random = os.urandom,
) -> bytes:
    """Encrypt as the parameters say; OAEP with SHA-256 unless they do.

    PaddingMethod None, or CryptographicAlgorithm AES, means the hybrid `aes_key_wrap`.

    Raises:
        KmipError: UNSUPPORTED_CRYPTOGRAPHIC_PARAMETERS, or BAD_… for too much data.
    """
    parameters = parameters or _DEFAULTS
    if _hybrid(parameters):
        return aes_key_wrap(key, data, _oaep(parameters), random)
    return _encrypt(key, data, _encryption_padding(parameters))


def decrypt(
    key: RSAPrivateKey, data: bytes, parameters: CryptographicParameters | None = None
) -> bytes:
    """Decrypt what `encrypt` made with the same parameters.

    PKCS#1 v1.5 rejects implicitly: a bad padding gives bytes that depend on key and ciphertext
    and look like any other plaintext, which leaves Bleichenbacher's attack nothing to ask.
    """
    parameters = parameters or _DEFAULTS
    if _hybrid(parameters):
        return aes_key_unwrap(key, data, _oaep(parameters))
    return _decrypt(key, data, _encryption_padding(parameters))


def aes_key_wrap(
    key: RSAPublicKey, data: bytes, oaep: padding.OAEP, random: Random = os.urandom
) -> bytes:
    """Wrap `data` under a fresh AES-256 key (RFC 5649), and that key under RSA-OAEP.

    Source: PKCS #11 v3.1 §6.1.21, CKM_RSA_AES_KEY_WRAP.
    """
    kek = random(_HYBRID_KEY_BYTES)
    return _encrypt(key, kek, oaep) + rfc5649_wrap(kek, data)


def aes_key_unwrap(key: RSAPrivateKey, data: bytes, oaep: padding.OAEP) -> bytes:
    """Unwrap what `aes_key_wrap` made."""
    size = (key.key_size + 7) // 8
    kek = _decrypt(key, data[:size], oaep)
    if len(kek) != _HYBRID_KEY_BYTES:
        raise decryption_failed()
    return rfc5649_unwrap(kek, data[size:])


def oaep_rfc8017(
    hashing: HashingAlgorithm, mask: HashingAlgorithm | None = None, label: bytes | None = None
) -> padding.OAEP:
    """Return the OAEP padding; the mask is made with the same hash unless told otherwise."""
    return padding.OAEP(padding.MGF1(hash_for(mask or hashing)), hash_for(hashing), label or None)


def sign(
    key: RSAPrivateKey,
    data: bytes,
    parameters: CryptographicParameters,
    hashing: HashingAlgorithm,
    *,
    digested: bool = False,
) -> bytes:
    """Sign data, or its digest, with PSS or PKCS#1 v1.5 (RFC 8017 §8)."""
    function = hash_for(hashing, legacy=True)
    scheme = _signature_padding(parameters, function, verifying=False)
    try:
        return key.sign(data, scheme, Prehashed(function) if digested else function)
    except (ValueError, UnsupportedAlgorithm) as error:
        raise bad_parameters("the key, the salt or the digest has a wrong length") from error


def verify(
    key: RSAPublicKey,
    data: bytes,
    signature: bytes,
    parameters: CryptographicParameters,
    hashing: HashingAlgorithm,
    *,
    digested: bool = False,
) -> bool:
    """Tell whether `signature` is one of data, or of its digest; any salt length unless given."""
    function = hash_for(hashing, legacy=True)
    scheme = _signature_padding(parameters, function, verifying=True)
    try:
        key.verify(signature, data, scheme, Prehashed(function) if digested else function)
    except InvalidSignature:
        return False
    except (ValueError, UnsupportedAlgorithm) as error:
        raise bad_parameters("the key, the salt or the digest has a wrong length") from error
    return True


def uses_pss(parameters: CryptographicParameters) -> bool:
    """Tell whether the parameters ask for PSS and not PKCS#1 v1.5."""
    signature_algorithm = parameters.digital_signature_algorithm
    if signature_algorithm is not None:
        return signature_algorithm.name == "RSASSAPSS"
    return parameters.padding_method is PaddingMethod.PSS


def _signature_padding(
    parameters: CryptographicParameters, function: hashes.HashAlgorithm, *, verifying: bool
) -> padding.PSS | padding.PKCS1v15:
    if not uses_pss(parameters):
        return padding.PKCS1v15()
    mask = parameters.mask_generator_hashing_algorithm
    generator = padding.MGF1(hash_for(mask) if mask else function)
    if parameters.salt_length is not None:
        return padding.PSS(generator, parameters.salt_length)
    return padding.PSS(generator, padding.PSS.AUTO if verifying else padding.PSS.DIGEST_LENGTH)


def _hybrid(parameters: CryptographicParameters) -> bool:
    if parameters.padding_method is PaddingMethod.NONE:
        return True
    return (
        parameters.cryptographic_algorithm is CryptographicAlgorithm.AES
        and parameters.padding_method in {None, PaddingMethod.OAEP}
    )


def _encryption_padding(parameters: CryptographicParameters) -> padding.AsymmetricPadding:
    method = parameters.padding_method or PaddingMethod.OAEP
    if method is PaddingMethod.OAEP:
        return _oaep(parameters)
    if method is PaddingMethod.PKCS1V15:
        return padding.PKCS1v15()
    raise unsupported(f"RSA encryption with the padding {method.wire_name}")


def _oaep(parameters: CryptographicParameters) -> padding.OAEP:
    return oaep_rfc8017(
        parameters.hashing_algorithm or HashingAlgorithm.SHA256,
        parameters.mask_generator_hashing_algorithm,
        parameters.p_source,
    )


def _encrypt(key: RSAPublicKey, data: bytes, scheme: padding.AsymmetricPadding) -> bytes:
    try:
        return key.encrypt(data, scheme)
    except UnsupportedAlgorithm as error:
        raise unsupported("this RSA padding with this hash function") from error
    except ValueError as error:
        raise bad_parameters(
            f"data too large for RSA-{key.key_size} with this padding: {len(data)} bytes"
        ) from error


def _decrypt(key: RSAPrivateKey, data: bytes, scheme: padding.AsymmetricPadding) -> bytes:
    try:
        return key.decrypt(data, scheme)
    except UnsupportedAlgorithm as error:
        raise unsupported("this RSA padding with this hash function") from error
    except ValueError:
        raise decryption_failed() from None
