"""Hash functions: KMIP's names for them, digests, and digests in parts."""

from cryptography.hazmat.primitives import hashes

from kmsd.crypto.errors import unsupported
from kmsd.kmip.enums import HashingAlgorithm as Hash

HASHES: dict[Hash, hashes.HashAlgorithm] = {
    Hash.SHA1: hashes.SHA1(),  # noqa: S303 - HMAC, KDFs and old signatures; no new signatures
    Hash.SHA224: hashes.SHA224(),
    Hash.SHA256: hashes.SHA256(),
    Hash.SHA384: hashes.SHA384(),
    Hash.SHA512: hashes.SHA512(),
    Hash.SHA512_224: hashes.SHA512_224(),
    Hash.SHA512_256: hashes.SHA512_256(),
    Hash.SHA3_224: hashes.SHA3_224(),
    Hash.SHA3_256: hashes.SHA3_256(),
    Hash.SHA3_384: hashes.SHA3_384(),
    Hash.SHA3_512: hashes.SHA3_512(),
}
"""KMIP's hash functions and the library's."""

MD5 = hashes.MD5()  # noqa: S303 - broken; a client of the product signs with PSS over it
BY_SIZE: dict[int, Hash] = {
    20: Hash.SHA1,
    28: Hash.SHA224,
    32: Hash.SHA256,
    48: Hash.SHA384,
    64: Hash.SHA512,
}
"""The function that a digest of so many bytes came from, where nobody says."""


def hash_for(algorithm: Hash, *, legacy: bool = False) -> hashes.HashAlgorithm:
    """Return the library's hash function; `legacy` lets MD5 through.

    Raises:
        KmipError: UNSUPPORTED_CRYPTOGRAPHIC_PARAMETERS.
    """
    if legacy and algorithm is Hash.MD5:
        return MD5
    found = HASHES.get(algorithm)
    if found is None:
        raise unsupported(f"the hash function {algorithm.wire_name}")
    return found


def digest(algorithm: Hash, data: bytes) -> bytes:
    """Return the digest of `data`. Source: FIPS 180-4, FIPS 202."""
    return context(algorithm).finalize(data)


def context(algorithm: Hash) -> "Digest":
    """Begin a digest in parts."""
    return Digest(hashes.Hash(hash_for(algorithm)))


class Digest:
    """A digest in parts."""

    __slots__ = ("_context",)

    def __init__(self, library_context: hashes.Hash) -> None:
        self._context = library_context

    def update(self, data: bytes) -> None:
        """Take a part."""
        self._context.update(data)

    def finalize(self, data: bytes = b"") -> bytes:
        """Take the last part and return the digest; only once."""
        self._context.update(data)
        return self._context.finalize()

    def copy(self) -> "Digest":
        """Return an independent continuation."""
        return Digest(self._context.copy())
