"""Elliptic curves: ECDSA, EdDSA, ECDH, the product's ECIES, and sealed boxes.

ECIES needs the whole shared point, of which the library's ECDH gives x alone. The missing sign is
found with a second ECDH, by the scalar less one: of S and -S, the one from which taking the peer's
point gives that second x is the right one. Python's arithmetic touches points and, but for taking
one from it, no secret scalar.
"""

import hashlib
from collections.abc import Callable

import nacl.bindings
import nacl.exceptions
import nacl.public
from cryptography.exceptions import InvalidSignature, InvalidTag
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, utils, x448, x25519
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from kmsd.crypto.digest import hash_for
from kmsd.crypto.errors import bad_parameters, decryption_failed, failed, unsupported
from kmsd.kmip.enums import HashingAlgorithm

_DETERMINISTIC = {"secp256r1", "secp256k1"}
"""The curves on which the product signs with RFC 6979."""
_SECP256K1_ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141

# name → field prime, order, a; key and hash of ECIES
_PRIMES = {
    "secp192r1": 2**192 - 2**64 - 1,
    "secp224r1": 2**224 - 2**96 + 1,
    "secp256r1": 2**256 - 2**224 + 2**192 + 2**96 - 1,
    "secp384r1": 2**384 - 2**128 - 2**96 + 2**32 - 1,
    "secp521r1": 2**521 - 1,
}
_SHORT_KEY = {"secp192r1", "secp224r1", "secp256r1"}
_IV_BYTES, _TAG_BYTES = 12, 16

DhPrivateKey = ec.EllipticCurvePrivateKey | x25519.X25519PrivateKey | x448.X448PrivateKey
DhPublicKey = ec.EllipticCurvePublicKey | x25519.X25519PublicKey | x448.X448PublicKey


def ecdsa_sign(
    key: ec.EllipticCurvePrivateKey,
    data: bytes,
    hashing: HashingAlgorithm,
    *,
    digested: bool = False,
) -> bytes:
    """Sign data, or its digest; a DER signature. P-256 and secp256k1 follow RFC 6979."""
    function = hash_for(hashing)
    algorithm = ec.ECDSA(
        utils.Prehashed(function) if digested else function,
        deterministic_signing=key.curve.name in _DETERMINISTIC,
    )
    try:
        signature = key.sign(data, algorithm)
    except ValueError as error:
        raise bad_parameters("the digest has a wrong length") from error
    return _low_s(signature) if key.curve.name == "secp256k1" else signature


def ecdsa_verify(
    key: ec.EllipticCurvePublicKey,
    data: bytes,
    signature: bytes,
    hashing: HashingAlgorithm,
    *,
    digested: bool = False,
) -> bool:
    """Tell whether a DER signature is one of data, or of its digest. Source: FIPS 186-5 §6.4."""
    function = hash_for(hashing)
    try:
        key.verify(signature, data, ec.ECDSA(utils.Prehashed(function) if digested else function))
    except InvalidSignature:
        return False
    except ValueError as error:
        raise bad_parameters("the digest has a wrong length") from error
    return True


def _low_s(signature: bytes) -> bytes:
    """Choose the smaller of the two equal signatures, as users of secp256k1 expect."""
    r, s = utils.decode_dss_signature(signature)
    return utils.encode_dss_signature(r, min(s, _SECP256K1_ORDER - s))


def agree(key: DhPrivateKey, peer: DhPublicKey) -> bytes:
    """Return the shared secret: the x coordinate (SP 800-56A §5.7.1.2) or RFC 7748's bytes.

    Raises:
        KmipError: BAD_CRYPTOGRAPHIC_PARAMETERS: keys of different curves; CRYPTOGRAPHIC_FAILURE:
            a peer's point of small order.
    """
    try:
        if isinstance(key, ec.EllipticCurvePrivateKey):
            if isinstance(peer, ec.EllipticCurvePublicKey) and peer.curve.name == key.curve.name:
                return key.exchange(ec.ECDH(), peer)
        elif isinstance(key, x25519.X25519PrivateKey):
            if isinstance(peer, x25519.X25519PublicKey):
                return key.exchange(peer)
        elif isinstance(peer, x448.X448PublicKey):
            return key.exchange(peer)
    except ValueError:
        raise failed("the key agreement") from None
    raise bad_parameters("both keys of an agreement must be of one curve")


def ecies_encrypt(
    key: ec.EllipticCurvePublicKey,
    data: bytes,
    generate: Callable[[ec.EllipticCurve], ec.EllipticCurvePrivateKey] | None = None,
) -> bytes:
    """Encrypt to a NIST curve: ephemeral point, AES-GCM ciphertext, tag.

    `generate` makes the ephemeral key; tests pass a fixed one. Source: the product's format.
    """
    _check_curve(key)
    ephemeral = (generate or ec.generate_private_key)(key.curve)
    point = compressed(ephemeral.public_key())
    secret, iv = _ecies_keys(_shared_point(ephemeral, key), point, key)
    return point + AESGCM(secret).encrypt(iv, data, None)


def ecies_decrypt(key: ec.EllipticCurvePrivateKey, data: bytes) -> bytes:
    """Decrypt what `ecies_encrypt` made."""
    _check_curve(key)
    size = (key.curve.key_size + 7) // 8 + 1
    if len(data) < size + _TAG_BYTES:
        raise decryption_failed()
    try:
        peer = ec.EllipticCurvePublicKey.from_encoded_point(key.curve, data[:size])
        shared = _shared_point(key, peer)
        secret, iv = _ecies_keys(shared, data[:size], key.public_key())
        return AESGCM(secret).decrypt(iv, data[size:], None)
    except (ValueError, InvalidTag):
        raise decryption_failed() from None


def _check_curve(key: ec.EllipticCurvePrivateKey | ec.EllipticCurvePublicKey) -> None:
    if key.curve.name not in _PRIMES:
        raise unsupported(f"encryption with the curve {key.curve.name}")


def _ecies_keys(
    shared: bytes, point: bytes, recipient: ec.EllipticCurvePublicKey
) -> tuple[bytes, bytes]:
    """Derive the AES key and the nonce from compressed points."""
    short = recipient.curve.name in _SHORT_KEY
    shake = hashlib.shake_128 if short else hashlib.shake_256
    secret = shake(shared).digest(16 if short else 32)
    return secret, shake(point + compressed(recipient)).digest(_IV_BYTES)


def _shared_point(key: ec.EllipticCurvePrivateKey, peer: ec.EllipticCurvePublicKey) -> bytes:
    """Return the product of scalar and point, compressed, sign included."""
    curve = key.curve
    scalar = key.private_numbers().private_value
    if scalar == 1:
        return compressed(peer)
    x = key.exchange(ec.ECDH(), peer)
    less = ec.derive_private_key(scalar - 1, curve).exchange(ec.ECDH(), peer)
    even = ec.EllipticCurvePublicKey.from_encoded_point(curve, b"\x02" + x)
    return (b"\x02" if _difference_x(even, peer) == int.from_bytes(less) else b"\x03") + x


def _difference_x(one: ec.EllipticCurvePublicKey, other: ec.EllipticCurvePublicKey) -> int:
    """Return x of one - other, two points that are not each other's opposite or the same."""
    prime = _PRIMES[one.curve.name]
    p, q = one.public_numbers(), other.public_numbers()
    slope = (-q.y - p.y) * pow(q.x - p.x, -1, prime)
    return (slope * slope - p.x - q.x) % prime


def compressed(key: ec.EllipticCurvePublicKey) -> bytes:
    """Return the compressed point. Source: SEC 1 §2.3.3."""
    return key.public_bytes(serialization.Encoding.X962, serialization.PublicFormat.CompressedPoint)


def seal(key: x25519.X25519PublicKey | ed25519.Ed25519PublicKey, data: bytes) -> bytes:
    """Encrypt as libsodium's crypto_box_seal; Ed25519 keys are converted first."""
    raw = key.public_bytes_raw()
    try:
        if isinstance(key, ed25519.Ed25519PublicKey):
            raw = nacl.bindings.crypto_sign_ed25519_pk_to_curve25519(raw)
        return bytes(nacl.public.SealedBox(nacl.public.PublicKey(raw)).encrypt(data))
    except (nacl.exceptions.CryptoError, RuntimeError, ValueError):
        raise failed("the encryption") from None


def open_sealed(key: x25519.X25519PrivateKey | ed25519.Ed25519PrivateKey, data: bytes) -> bytes:
    """Decrypt what `seal` made."""
    raw = key.private_bytes_raw()
    if isinstance(key, ed25519.Ed25519PrivateKey):
        pair = raw + key.public_key().public_bytes_raw()
        raw = nacl.bindings.crypto_sign_ed25519_sk_to_curve25519(pair)
    try:
        return bytes(nacl.public.SealedBox(nacl.public.PrivateKey(raw)).decrypt(data))
    except (nacl.exceptions.CryptoError, nacl.exceptions.TypeError, ValueError):
        raise decryption_failed() from None
