"""Signatures by what the key is: RSA (PSS, PKCS#1 v1.5), ECDSA, EdDSA, ML-DSA, SLH-DSA."""

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import (
    dsa,
    ec,
    ed448,
    ed25519,
    mldsa,
    rsa,
    utils,
)

from kmsd.crypto import pqc
from kmsd.crypto import rsa as rsa_functions
from kmsd.crypto.digest import BY_SIZE, hash_for
from kmsd.crypto.ec import ecdsa_sign, ecdsa_verify
from kmsd.crypto.errors import bad_parameters, failed, unsupported
from kmsd.crypto.keys import Key, PrivateKey, PublicKey, describe
from kmsd.kmip.enums import CryptographicAlgorithm as Algorithm
from kmsd.kmip.enums import DigitalSignatureAlgorithm as Signature
from kmsd.kmip.enums import HashingAlgorithm as Hash
from kmsd.kmip.errors import KmipError
from kmsd.kmip.structures import CryptographicParameters

_NAMED: dict[Signature, tuple[Algorithm, Hash | None]] = {
    Signature.MD5_WITH_RSA_ENCRYPTION: (Algorithm.RSA, Hash.MD5),
    Signature.SHA1_WITH_RSA_ENCRYPTION: (Algorithm.RSA, Hash.SHA1),
    Signature.SHA224_WITH_RSA_ENCRYPTION: (Algorithm.RSA, Hash.SHA224),
    Signature.SHA256_WITH_RSA_ENCRYPTION: (Algorithm.RSA, Hash.SHA256),
    Signature.SHA384_WITH_RSA_ENCRYPTION: (Algorithm.RSA, Hash.SHA384),
    Signature.SHA512_WITH_RSA_ENCRYPTION: (Algorithm.RSA, Hash.SHA512),
    Signature.SHA3_256_WITH_RSA_ENCRYPTION: (Algorithm.RSA, Hash.SHA3_256),
    Signature.SHA3_384_WITH_RSA_ENCRYPTION: (Algorithm.RSA, Hash.SHA3_384),
    Signature.SHA3_512_WITH_RSA_ENCRYPTION: (Algorithm.RSA, Hash.SHA3_512),
    Signature.RSASSAPSS: (Algorithm.RSA, None),
    Signature.DSA_WITH_SHA1: (Algorithm.DSA, Hash.SHA1),
    Signature.DSA_WITH_SHA224: (Algorithm.DSA, Hash.SHA224),
    Signature.DSA_WITH_SHA256: (Algorithm.DSA, Hash.SHA256),
    Signature.ECDSA_WITH_SHA1: (Algorithm.ECDSA, Hash.SHA1),
    Signature.ECDSA_WITH_SHA224: (Algorithm.ECDSA, Hash.SHA224),
    Signature.ECDSA_WITH_SHA256: (Algorithm.ECDSA, Hash.SHA256),
    Signature.ECDSA_WITH_SHA384: (Algorithm.ECDSA, Hash.SHA384),
    Signature.ECDSA_WITH_SHA512: (Algorithm.ECDSA, Hash.SHA512),
}
"""What a DigitalSignatureAlgorithm means: a kind of key and a hash function."""
_DEFAULTS = CryptographicParameters()


def sign(
    key: PrivateKey,
    data: bytes,
    parameters: CryptographicParameters | None = None,
    *,
    digested: bytes | None = None,
) -> bytes:
    """Sign `data`, or what has the digest `digested`.

    The kind of key decides: ECDSA gives DER, the others what their standards say. RSA signs with
    PKCS#1 v1.5 unless PSS is asked for, over SHA-256 unless told otherwise.

    Raises:
        KmipError: UNSUPPORTED_… or BAD_CRYPTOGRAPHIC_PARAMETERS.
    """
    parameters = parameters or _DEFAULTS
    hashing = _hash(key, parameters, digested)
    message, prehashed = (data, False) if digested is None else (digested, True)
    if isinstance(key, rsa.RSAPrivateKey) and hashing:
        return rsa_functions.sign(key, message, parameters, hashing, digested=prehashed)
    if isinstance(key, ec.EllipticCurvePrivateKey) and hashing:
        return ecdsa_sign(key, message, hashing, digested=prehashed)
    if isinstance(key, ed25519.Ed25519PrivateKey | ed448.Ed448PrivateKey | _PQC_PRIVATE):
        return _sign_whole(key, message)
    raise unsupported(f"signing with a key of {describe(key).algorithm.wire_name}")


def verify(
    key: PublicKey,
    data: bytes,
    signature: bytes,
    parameters: CryptographicParameters | None = None,
    *,
    digested: bytes | None = None,
) -> bool:
    """Tell whether `signature` is one of `data`, or of what has the digest `digested`."""
    parameters = parameters or _DEFAULTS
    hashing = _hash(key, parameters, digested)
    message, prehashed = (data, False) if digested is None else (digested, True)
    if isinstance(key, rsa.RSAPublicKey) and hashing:
        return rsa_functions.verify(
            key, message, signature, parameters, hashing, digested=prehashed
        )
    if isinstance(key, ec.EllipticCurvePublicKey) and hashing:
        return ecdsa_verify(key, message, signature, hashing, digested=prehashed)
    if isinstance(key, dsa.DSAPublicKey) and hashing:
        return _dsa_verify(key, message, signature, hashing, digested=prehashed)
    if isinstance(key, ed25519.Ed25519PublicKey | ed448.Ed448PublicKey | _PQC_PUBLIC):
        return _verify_whole(key, message, signature)
    raise unsupported(f"verifying with a key of {describe(key).algorithm.wire_name}")


def hash_of(key: Key, parameters: CryptographicParameters | None = None) -> Hash | None:
    """Return the hash function that a stream for this key goes through before `digested`.

    None: the algorithm wants the whole message.
    """
    return _hash(key, parameters or _DEFAULTS, None)


_PQC_PRIVATE = (
    pqc.SecretKey | mldsa.MLDSA44PrivateKey | mldsa.MLDSA65PrivateKey | mldsa.MLDSA87PrivateKey
)
_PQC_PUBLIC = (
    pqc.RawPublicKey | mldsa.MLDSA44PublicKey | mldsa.MLDSA65PublicKey | mldsa.MLDSA87PublicKey
)
_FAMILIES = (
    (rsa.RSAPrivateKey | rsa.RSAPublicKey, Algorithm.RSA),
    (ec.EllipticCurvePrivateKey | ec.EllipticCurvePublicKey, Algorithm.ECDSA),
    (dsa.DSAPrivateKey | dsa.DSAPublicKey, Algorithm.DSA),
)


def _hash(key: Key, parameters: CryptographicParameters, digested: bytes | None) -> Hash | None:
    """Choose the hash function: by name, by the digest's length, or SHA-256."""
    family = next((name for kinds, name in _FAMILIES if isinstance(key, kinds)), None)
    named = parameters.digital_signature_algorithm
    wanted, hashing = _NAMED.get(named, (None, None)) if named else (family, None)
    if wanted is not family:
        raise bad_parameters(
            f"the signature algorithm {named.wire_name if named else ''} does not fit the key"
        )
    if family is None:
        if digested is not None:
            raise bad_parameters("this algorithm signs data and not digests")
        return None
    hashing = hashing or parameters.hashing_algorithm
    if hashing is None and digested is not None:
        hashing = BY_SIZE.get(len(digested))
    return hashing or Hash.SHA256


def _sign_whole(key: object, data: bytes) -> bytes:
    if pqc.is_kem(key):
        raise unsupported("signing with a key of ML-KEM")
    try:
        return bytes(key.sign(data))  # type: ignore[attr-defined]
    except (ValueError, KmipError):
        raise failed("the signature") from None


def _verify_whole(key: object, data: bytes, signature: bytes) -> bool:
    if pqc.is_kem(key):
        raise unsupported("verifying with a key of ML-KEM")
    try:
        key.verify(signature, data)  # type: ignore[attr-defined]
    except (InvalidSignature, ValueError):
        return False
    return True


def _dsa_verify(
    key: dsa.DSAPublicKey, data: bytes, signature: bytes, hashing: Hash, *, digested: bool
) -> bool:
    """Check an old DSA signature; new ones are not made (FIPS 186-5)."""
    function = hash_for(hashing)
    try:
        key.verify(signature, data, utils.Prehashed(function) if digested else function)
    except (InvalidSignature, ValueError):
        return False
    return True
