"""Split keys: XOR, and Shamir's sharing in GF(2^8), GF(2^16) and a prime field.

A part with identifier x holds, for every piece of the secret, a polynomial of degree threshold - 1
at x, whose value at 0 is the piece. The fields are KMIP's: GF(2^8) modulo x^8+x^4+x^3+x^2+1, and
GF(2^16) as its extension by y^2 + y + m. Source: KMIP 2.1 §13.1.
"""

import os
from collections.abc import Callable, Mapping
from typing import NamedTuple, Protocol

from kmsd.crypto.errors import bad_parameters, unsupported
from kmsd.crypto.interfaces import Random
from kmsd.kmip.enums import SplitKeyMethod

MOST_PARTS = 255
_LONGEST = 1 << 16  # bytes; a key, not a file
_MOST_WORK = 300_000  # multiplications of some microseconds
_POLYNOMIAL = 0x11D
_M = 0x3A

PRIMES = (2**521 - 1, 2**1279 - 1, 2**4423 - 1, 2**9689 - 1, 2**44497 - 1)
"""Mersenne primes: the field for a secret is the first that is large enough."""


class Parts(NamedTuple):
    """A split secret: the material of each part by its identifier, and the prime field's size."""

    parts: dict[int, bytes]
    prime_field_size: int | None = None


def split(
    method: SplitKeyMethod,
    secret: bytes,
    parts: int,
    threshold: int,
    random: Random = os.urandom,
    *,
    prime: int | None = None,
) -> Parts:
    """Split `secret` so that any `threshold` of the `parts` give it back, and fewer say nothing.

    Args:
        method: XOR needs all parts.
        secret: 1 byte to 64 KiB.
        parts: 1 to 255.
        threshold: 1 to `parts`.
        random: source of the coefficients.
        prime: the field's size for the prime method; a large enough one is chosen otherwise.

    Raises:
        KmipError: BAD_CRYPTOGRAPHIC_PARAMETERS.
    """
    if not 1 <= threshold <= parts <= MOST_PARTS:
        raise bad_parameters(f"1 <= SplitKeyThreshold <= SplitKeyParts <= {MOST_PARTS} must hold")
    if not 1 <= len(secret) <= _LONGEST:
        raise bad_parameters("a secret of 1 byte to 64 KiB can be split")
    if method is SplitKeyMethod.XOR:
        return Parts(_split_xor(secret, parts, threshold, random))
    field = _field(method, secret, prime)
    pieces = field.pieces(secret)
    _check_work(len(pieces) * parts * threshold)
    coefficients = [
        [piece, *(field.random(random) for _ in range(threshold - 1))] for piece in pieces
    ]
    made = {
        x: field.join([_evaluate(field, row, x) for row in coefficients], 0)
        for x in range(1, parts + 1)
    }
    return Parts(made, field.size if method is _PRIME else None)


def join(
    method: SplitKeyMethod,
    parts: Mapping[int, bytes],
    threshold: int,
    *,
    prime: int | None = None,
    length: int | None = None,
) -> bytes:
    """Give back the secret of which these are parts.

    Args:
        method: that of `split`.
        parts: material by part identifier.
        threshold: that of `split`; parts beyond it are not needed and not read.
        prime: of the prime method.
        length: of the secret in bytes; needed by the prime method and GF(2^16) where it is odd.

    Raises:
        KmipError: BAD_CRYPTOGRAPHIC_PARAMETERS: too few parts, or parts that do not fit.
    """
    if len(parts) < threshold or len({len(part) for part in parts.values()}) != 1:
        raise bad_parameters("too few key parts, or parts of different lengths")
    if any(not 1 <= x <= MOST_PARTS for x in parts):
        raise bad_parameters(f"a KeyPartIdentifier is between 1 and {MOST_PARTS}")
    if method is SplitKeyMethod.XOR:
        return _xor(list(parts.values()))
    chosen = dict(sorted(parts.items())[:threshold])
    first = next(iter(chosen.values()))
    field = _field(method, first, prime)
    count = len(field.pieces(first))
    _check_work(threshold * (count + threshold))
    rows = {x: field.pieces(part) for x, part in chosen.items()}
    weights = {x: _weight(field, x, list(chosen)) for x in chosen}
    joined = [
        _sum(field, [field.multiply(weights[x], row[i]) for x, row in rows.items()])
        for i in range(count)
    ]
    return field.join(joined, length or 0)


def _check_work(multiplications: int) -> None:
    """Refuse what would hold the interpreter for more than a second or two."""
    if multiplications > _MOST_WORK:
        raise bad_parameters("the secret is too large to be split into so many parts")


def _split_xor(secret: bytes, parts: int, threshold: int, random: Random) -> dict[int, bytes]:
    if threshold != parts:
        raise bad_parameters("the XOR method needs all parts: SplitKeyThreshold = SplitKeyParts")
    made = [random(len(secret)) for _ in range(parts - 1)]
    return dict(enumerate([*made, _xor([secret, *made])], start=1))


def _xor(parts: list[bytes]) -> bytes:
    total = 0
    for part in parts:
        total ^= int.from_bytes(part)
    return total.to_bytes(len(parts[0]))


class _Field(Protocol):
    """Arithmetic on pieces of a secret."""

    size: int

    def pieces(self, data: bytes) -> list[int]:
        """Cut bytes into elements."""

    def join(self, elements: list[int], length: int) -> bytes:
        """Put elements together; `length` bytes where that is known."""

    def random(self, random: Random) -> int:
        """Draw an element."""

    def add(self, a: int, b: int) -> int:
        """Return a + b."""

    def negate(self, a: int) -> int:
        """Return -a."""

    def multiply(self, a: int, b: int) -> int:
        """Return a·b."""

    def invert(self, a: int) -> int:
        """Return 1/a."""


class _Binary:
    """GF(2^8) or GF(2^16); pieces of one or two bytes, the last padded with a zero."""

    def __init__(self, width: int, multiply: Callable[[int, int], int]) -> None:
        self._width, self.multiply = width, multiply
        self.size = 1 << 8 * width

    def pieces(self, data: bytes) -> list[int]:
        data += bytes(-len(data) % self._width)
        return [
            int.from_bytes(data[at : at + self._width]) for at in range(0, len(data), self._width)
        ]

    def join(self, elements: list[int], length: int) -> bytes:
        joined = b"".join(element.to_bytes(self._width) for element in elements)
        return joined[:length] if length else joined

    def random(self, random: Random) -> int:
        return int.from_bytes(random(self._width))

    def add(self, a: int, b: int) -> int:
        return a ^ b

    def negate(self, a: int) -> int:
        return a

    def invert(self, a: int) -> int:
        """By Fermat: a^(2^n - 2)."""
        result, power = 1, a
        for _ in range(8 * self._width - 1):
            power = self.multiply(power, power)
            result = self.multiply(result, power)
        return result


class _PrimeField:
    """Integers modulo a prime; the secret is one element."""

    def __init__(self, prime: int) -> None:
        self.size = prime
        self._bytes = (prime.bit_length() + 7) // 8

    def pieces(self, data: bytes) -> list[int]:
        value = int.from_bytes(data)
        if value >= self.size:
            raise bad_parameters("the PrimeFieldSize is too small for the secret")
        return [value]

    def join(self, elements: list[int], length: int) -> bytes:
        if not length:
            return elements[0].to_bytes(self._bytes)
        if elements[0] >> 8 * length:
            raise bad_parameters("these key parts do not belong together")
        return elements[0].to_bytes(length)

    def random(self, random: Random) -> int:
        # 16 bytes more than needed make the remainder uniform but for 2^-128
        return int.from_bytes(random(self._bytes + 16)) % self.size

    def add(self, a: int, b: int) -> int:
        return (a + b) % self.size

    def negate(self, a: int) -> int:
        return -a % self.size

    def multiply(self, a: int, b: int) -> int:
        return a * b % self.size

    def invert(self, a: int) -> int:
        return pow(a, -1, self.size)


def _multiply_8(a: int, b: int) -> int:
    """Multiply in GF(2^8), the same steps whatever the values."""
    product = 0
    for _ in range(8):
        product ^= -(b & 1) & a
        b >>= 1
        a = (a << 1) ^ (-(a >> 7) & _POLYNOMIAL)
    return product


def _multiply_16(a: int, b: int) -> int:
    """Multiply in GF(2^16): (ry + s)(uy + v) = ((r+s)(u+v) + sv) y + (ru·m + sv).

    The specification prints the constant term as `ru + svm`; with y^2 = y + m it is this one, and
    only with it do products and inverses agree.
    """
    r, s, u, v = a >> 8, a & 0xFF, b >> 8, b & 0xFF
    low = _multiply_8(s, v)
    high = _multiply_8(r ^ s, u ^ v) ^ low
    return high << 8 | _multiply_8(_multiply_8(r, u), _M) ^ low


_PRIME = SplitKeyMethod.POLYNOMIAL_SHARING_PRIME_FIELD
_GF8 = _Binary(1, _multiply_8)
_GF16 = _Binary(2, _multiply_16)
_BINARY = {
    SplitKeyMethod.POLYNOMIAL_SHARING_GF_2_8: _GF8,
    SplitKeyMethod.POLYNOMIAL_SHARING_GF_2_16: _GF16,
}


def _field(method: SplitKeyMethod, data: bytes, prime: int | None) -> _Field:
    if method in _BINARY:
        return _BINARY[method]
    if method is not _PRIME:
        raise unsupported(f"the split key method {method.wire_name}")
    if prime is None:
        prime = next((known for known in PRIMES if known >> 8 * len(data)), None)
    if prime is None or not MOST_PARTS < prime <= PRIMES[-1]:
        raise bad_parameters("a PrimeFieldSize beyond the secret, and below 2^44497, is needed")
    return _PrimeField(prime)


def _evaluate(field: _Field, coefficients: list[int], x: int) -> int:
    """Return the polynomial at x, by Horner's rule."""
    value = 0
    for coefficient in reversed(coefficients):
        value = field.add(field.multiply(value, x), coefficient)
    return value


def _weight(field: _Field, x: int, others: list[int]) -> int:
    """Return Lagrange's coefficient of the part x for the value at 0."""
    above, below = 1, 1
    for other in others:
        if other != x:
            above = field.multiply(above, field.negate(other))
            below = field.multiply(below, field.add(x, field.negate(other)))
    return field.multiply(above, field.invert(below))


def _sum(field: _Field, values: list[int]) -> int:
    total = 0
    for value in values:
        total = field.add(total, value)
    return total
