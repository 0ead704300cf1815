"""Public-key encryption by what the key is: RSA, ECIES on NIST curves, sealed boxes.

ML-KEM makes shared secrets instead; see `pqc.encapsulate`.
"""

import os

from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa, x25519

from kmsd.crypto import rsa as rsa_functions
from kmsd.crypto.ec import ecies_decrypt, ecies_encrypt, open_sealed, seal
from kmsd.crypto.errors import unsupported
from kmsd.crypto.interfaces import Random
from kmsd.crypto.keys import PrivateKey, PublicKey, describe
from kmsd.kmip.structures import CryptographicParameters


def encrypt(
    key: PublicKey,
    data: bytes,
    parameters: CryptographicParameters | None = None,
    random: Random = os.urandom,
) -> bytes:
    """Encrypt to a public key; the parameters matter to RSA only.

    Raises:
        KmipError: UNSUPPORTED_CRYPTOGRAPHIC_PARAMETERS; BAD_… for too much data.
    """
    if isinstance(key, rsa.RSAPublicKey):
        return rsa_functions.encrypt(key, data, parameters, random)
    if isinstance(key, ec.EllipticCurvePublicKey):
        return ecies_encrypt(key, data)
    if isinstance(key, x25519.X25519PublicKey | ed25519.Ed25519PublicKey):
        return seal(key, data)
    raise unsupported(f"encryption with a key of {describe(key).algorithm.wire_name}")


def decrypt(
    key: PrivateKey, data: bytes, parameters: CryptographicParameters | None = None
) -> bytes:
    """Decrypt what `encrypt` made.

    Raises:
        KmipError: CRYPTOGRAPHIC_FAILURE in one text for every wrong key and ciphertext.
    """
    if isinstance(key, rsa.RSAPrivateKey):
        return rsa_functions.decrypt(key, data, parameters)
    if isinstance(key, ec.EllipticCurvePrivateKey):
        return ecies_decrypt(key, data)
    if isinstance(key, x25519.X25519PrivateKey | ed25519.Ed25519PrivateKey):
        return open_sealed(key, data)
    raise unsupported(f"decryption with a key of {describe(key).algorithm.wire_name}")
