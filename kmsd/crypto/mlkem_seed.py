"""ML-KEM keys from their seeds, for the parameter set whose library has no such function.

Key generation alone, as FIPS 203 writes it; encapsulation and decapsulation stay the library's.
"""

import hashlib
from collections.abc import Iterator
from typing import NamedTuple

_Q = 3329
_N = 256
_ROOT = 17


class Parameters(NamedTuple):
    """Rank and noise. Source: FIPS 203 §8."""

    k: int
    eta1: int


ML_KEM_512 = Parameters(2, 3)
SEED_BYTES = 64

Polynomial = list[int]


def _reversed_bits(i: int) -> int:
    return int(f"{i:07b}"[::-1], 2)


_ZETAS = [pow(_ROOT, _reversed_bits(i), _Q) for i in range(128)]
_GAMMAS = [pow(_ROOT, 2 * _reversed_bits(i) + 1, _Q) for i in range(128)]


def expand(seed: bytes, parameters: Parameters = ML_KEM_512) -> tuple[bytes, bytes]:
    """Return the encapsulation key and the decapsulation key of a 64-byte seed, d then z.

    Source: FIPS 203, Algorithms 13 and 16.
    """
    d, z = seed[:32], seed[32:]
    k = parameters.k
    expanded = hashlib.sha3_512(d + bytes((k,))).digest()
    rho, sigma = expanded[:32], expanded[32:]
    noise = [_ntt(_noise(sigma, i, parameters.eta1)) for i in range(2 * k)]
    s, e = noise[:k], noise[k:]
    t = [_row(rho, i, s, e[i]) for i in range(k)]
    public = b"".join(map(_encode, t)) + rho
    secret = b"".join(map(_encode, s))
    return public, secret + public + hashlib.sha3_256(public).digest() + z


def _row(rho: bytes, i: int, s: list[Polynomial], error: Polynomial) -> Polynomial:
    """Return row i of A·s + e."""
    total = error
    for j, polynomial in enumerate(s):
        product = _multiply(_uniform(rho + bytes((j, i))), polynomial)
        total = [(a + b) % _Q for a, b in zip(total, product, strict=True)]
    return total


def _uniform(seed: bytes) -> Polynomial:
    """SampleNTT: uniform coefficients by rejection. Source: FIPS 203, Algorithm 7."""
    size = 672
    while True:
        found = list(_accepted(hashlib.shake_128(seed).digest(size)))
        if len(found) >= _N:
            return found[:_N]
        size *= 2


def _accepted(stream: bytes) -> Iterator[int]:
    for at in range(0, len(stream) - 2, 3):
        a, b, c = stream[at : at + 3]
        for value in (a + 256 * (b % 16), b // 16 + 16 * c):
            if value < _Q:
                yield value


def _noise(sigma: bytes, count: int, eta: int) -> Polynomial:
    """SamplePolyCBD: small coefficients. Source: FIPS 203, Algorithm 8."""
    stream = hashlib.shake_256(sigma + bytes((count,))).digest(64 * eta)
    bits = int.from_bytes(stream, "little")
    mask = (1 << eta) - 1
    return [
        ((bits >> 2 * eta * i & mask).bit_count() - (bits >> eta * (2 * i + 1) & mask).bit_count())
        % _Q
        for i in range(_N)
    ]


def _ntt(polynomial: Polynomial) -> Polynomial:
    """Number-theoretic transform. Source: FIPS 203, Algorithm 9."""
    f, i, length = list(polynomial), 1, 128
    while length >= 2:  # noqa: PLR2004 - the last layer works on pairs
        for start in range(0, _N, 2 * length):
            zeta = _ZETAS[i]
            i += 1
            for j in range(start, start + length):
                t = zeta * f[j + length] % _Q
                f[j + length] = (f[j] - t) % _Q
                f[j] = (f[j] + t) % _Q
        length //= 2
    return f


def _multiply(f: Polynomial, g: Polynomial) -> Polynomial:
    """Multiply in the transformed domain. Source: FIPS 203, Algorithms 11 and 12."""
    product = []
    for i in range(128):
        a0, a1, b0, b1 = f[2 * i], f[2 * i + 1], g[2 * i], g[2 * i + 1]
        product.append((a0 * b0 + a1 * b1 * _GAMMAS[i]) % _Q)
        product.append((a0 * b1 + a1 * b0) % _Q)
    return product


def _encode(polynomial: Polynomial) -> bytes:
    """Pack twelve bits for each coefficient. Source: FIPS 203, Algorithm 5."""
    packed = sum(value << 12 * i for i, value in enumerate(polynomial))
    return packed.to_bytes(12 * _N // 8, "little")
