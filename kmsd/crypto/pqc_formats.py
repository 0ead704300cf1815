"""PKCS#8 and SubjectPublicKeyInfo of post-quantum keys. Source: RFC 9881, RFC 9909, RFC 9935."""

from cryptography.hazmat.primitives import serialization

from kmsd.crypto import der, pqc
from kmsd.crypto.errors import invalid_key
from kmsd.kmip.errors import KmipError

_BY_OID = {der.oid(row.oid): row for row in pqc.PARAMETER_SETS}
_SEED = 0x80  # [0] IMPLICIT OCTET STRING


def private_der(key: pqc.PqcPrivateKey) -> bytes:
    """Return PKCS#8: by the seed where there is one, else the expanded form."""
    if not isinstance(key, pqc.SecretKey):
        return key.private_bytes(
            serialization.Encoding.DER,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    content = key.data
    if not key.row.algorithm.name.startswith("SLH_DSA"):
        content = der.encode(der.OCTET_STRING, content)  # the choice "expandedKey"
    return der.private_key(key.row.oid, content)


def public_der(key: pqc.PqcPublicKey) -> bytes:
    """Return the SubjectPublicKeyInfo."""
    row = pqc.row_of(key)
    if row is None:
        raise invalid_key("not a post-quantum key")
    return der.public_key(row.oid, key.public_bytes_raw())


def load_private_der(data: bytes) -> pqc.PqcPrivateKey | None:
    """Load a post-quantum PKCS#8; None when it is of another algorithm.

    Raises:
        KmipError: INVALID_FIELD.
    """
    try:
        identifier, content = der.read_private_key(data)
    except KmipError:
        return None
    row = _BY_OID.get(identifier)
    if row is None:
        return None
    if row.algorithm.name.startswith("SLH_DSA"):
        return pqc.load_private_raw(row.algorithm, content)
    return pqc.load_private_raw(row.algorithm, _choice(content))


def load_public_der(data: bytes) -> pqc.PqcPublicKey | None:
    """Load a post-quantum SubjectPublicKeyInfo; None when it is of another algorithm."""
    try:
        identifier, content = der.read_public_key(data)
    except KmipError:
        return None
    row = _BY_OID.get(identifier)
    return pqc.load_public_raw(row.algorithm, content) if row else None


def _choice(content: bytes) -> bytes:
    """Read the choice of seed, expanded key, or both (then the seed decides)."""
    tag = content[:1]
    if tag == bytes((_SEED,)):
        return der.decode(content, _SEED)[0]
    if tag == bytes((der.SEQUENCE,)):
        both, _ = der.decode(content, der.SEQUENCE)
        return der.decode(both, der.OCTET_STRING)[0]
    return der.decode(content, der.OCTET_STRING)[0]
