"""Message authentication codes: HMAC with SHA-1, SHA-2 and SHA-3, and CMAC."""

import hmac
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from cryptography.hazmat.decrepit.ciphers.algorithms import TripleDES
from cryptography.hazmat.primitives import cmac
from cryptography.hazmat.primitives import hmac as library_hmac
from cryptography.hazmat.primitives.ciphers import algorithms

from kmsd.crypto.digest import hash_for
from kmsd.crypto.errors import bad_parameters, sizes, unsupported
from kmsd.kmip.enums import BlockCipherMode
from kmsd.kmip.enums import CryptographicAlgorithm as Algorithm
from kmsd.kmip.enums import HashingAlgorithm as Hash
from kmsd.kmip.structures import CryptographicParameters

_SHORTEST_TAG = 10  # RFC 2104 §5: half of the output, and 80 bits at least

_HMACS: dict[Algorithm, Hash] = {
    Algorithm.HMAC_SHA1: Hash.SHA1,
    Algorithm.HMAC_SHA224: Hash.SHA224,
    Algorithm.HMAC_SHA256: Hash.SHA256,
    Algorithm.HMAC_SHA384: Hash.SHA384,
    Algorithm.HMAC_SHA512: Hash.SHA512,
    Algorithm.HMAC_SHA3_224: Hash.SHA3_224,
    Algorithm.HMAC_SHA3_256: Hash.SHA3_256,
    Algorithm.HMAC_SHA3_384: Hash.SHA3_384,
    Algorithm.HMAC_SHA3_512: Hash.SHA3_512,
}
"""The algorithms that name their hash function."""


class MacContext(Protocol):
    """A MAC in parts."""

    def update(self, data: bytes) -> None:
        """Take a part."""

    def finalize(self) -> bytes:
        """Return the MAC; only once."""


@dataclass(frozen=True)
class Mac:
    """A row of the table of MACs; sizes in bytes."""

    name: str
    size: int
    shortest: int
    """A shortened MAC of at least so many bytes verifies too."""
    start: Callable[[bytes], MacContext]
    key_sizes: frozenset[int] | None = None
    """None: any length but zero."""

    def context(self, key: bytes) -> MacContext:
        """Begin a MAC in parts; BAD_CRYPTOGRAPHIC_PARAMETERS if the key's length does not fit."""
        if self.key_sizes is not None and len(key) not in self.key_sizes:
            raise bad_parameters(
                f"{self.name} takes a key of {sizes(self.key_sizes)} bytes, not {len(key)}"
            )
        if not key:
            raise bad_parameters(f"{self.name} takes a key")
        return self.start(key)

    def compute(self, key: bytes, data: bytes) -> bytes:
        """Return the whole MAC of `data`."""
        context = self.context(key)
        context.update(data)
        return context.finalize()

    def verify(self, key: bytes, data: bytes, mac: bytes) -> bool:
        """Tell whether `mac` is the MAC of `data`, in constant time."""
        return self.matches(self.compute(key, data), mac)

    def matches(self, computed: bytes, mac: bytes) -> bool:
        """Compare a MAC with the computed one, in constant time; a shortened one may do."""
        if not self.shortest <= len(mac) <= self.size:
            return False
        return hmac.compare_digest(computed[: len(mac)], mac)


def select(algorithm: Algorithm | None, parameters: CryptographicParameters | None = None) -> Mac:
    """Return the MAC that a key's `algorithm` and the request's `parameters` mean.

    The hash function of the request counts first, then its algorithm, then the key's; mode CMAC
    means AES-CMAC, or 3DES-CMAC for such a key.

    Raises:
        KmipError: UNSUPPORTED_CRYPTOGRAPHIC_PARAMETERS; BAD_… where nothing names an algorithm.

    Source: KMIP 2.1 §6.1.33.
    """
    parameters = parameters or CryptographicParameters()
    if parameters.block_cipher_mode is BlockCipherMode.CMAC:
        return _cmac(algorithm, parameters.cryptographic_algorithm)
    if parameters.block_cipher_mode is not None:
        raise unsupported(f"a MAC of mode {parameters.block_cipher_mode.wire_name}")
    named = parameters.cryptographic_algorithm or algorithm
    hashing = parameters.hashing_algorithm or (_HMACS.get(named) if named else None)
    if hashing is None:
        raise bad_parameters("no HMAC algorithm: neither the parameters nor the key name one")
    return hmac_fips198(hashing)


def hmac_fips198(hashing: Hash) -> Mac:
    """Return HMAC over a hash function. Source: FIPS 198-1."""
    function = hash_for(hashing)
    size = function.digest_size
    return Mac(
        f"HMAC-{hashing.wire_name}",
        size,
        max(_SHORTEST_TAG, size // 2),
        lambda key: library_hmac.HMAC(key, function),
    )


CMAC_AES = Mac(
    "AES-CMAC", 16, 16, lambda key: cmac.CMAC(algorithms.AES(key)), frozenset({16, 24, 32})
)
CMAC_3DES = Mac(
    "3DES-CMAC",
    8,
    8,
    lambda key: cmac.CMAC(TripleDES(key + key[: 24 - len(key)])),
    frozenset({16, 24}),
)
"""CMAC is never shortened here. Source: SP 800-38B."""


def _cmac(algorithm: Algorithm | None, asked: Algorithm | None) -> Mac:
    chosen = asked or algorithm or Algorithm.AES
    if chosen is Algorithm.THREE_DES:
        return CMAC_3DES
    if chosen is Algorithm.AES:
        return CMAC_AES
    raise unsupported(f"CMAC with {chosen.wire_name}")
