"""Random bytes for RNGRetrieve, and RNGSeed. Source: KMIP 2.1 §6.1.44, §6.1.45."""

import hashlib
import os

from kmsd.crypto.errors import bad_parameters

MOST = 1 << 16
"""Bytes of one retrieval."""


class Rng:
    """The operating system's generator; what callers seed is mixed in and can do no harm.

    Nothing is kept in stock, so a fork or a restored snapshot never repeats bytes.
    """

    __slots__ = ("_pool",)

    def __init__(self) -> None:
        self._pool = b""

    def retrieve(self, count: int) -> bytes:
        """Return `count` random bytes; BAD_CRYPTOGRAPHIC_PARAMETERS beyond `MOST`."""
        if not 0 <= count <= MOST:
            raise bad_parameters(f"0 to {MOST} random bytes are given at once")
        fresh = os.urandom(count)
        if not self._pool:
            return fresh
        mask = hashlib.shake_256(self._pool + os.urandom(32)).digest(count)
        return (int.from_bytes(fresh) ^ int.from_bytes(mask)).to_bytes(count)

    def seed(self, data: bytes) -> int:
        """Mix `data` in and return how many bytes were taken: all of them."""
        self._pool = hashlib.sha512(self._pool + len(data).to_bytes(8) + data).digest()
        return len(data)
