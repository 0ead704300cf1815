"""Slow work: where it runs, and how much of it may wait."""

from collections.abc import Callable
from typing import Any, TypeVar

from cryptography.hazmat.primitives.asymmetric import rsa

from kmsd.crypto import pqc
from kmsd.kmip.enums import ResultReason
from kmsd.kmip.errors import KmipError
from kmsd.operations.call import Call, Offload

T = TypeVar("T")

LARGE_BYTES = 1 << 20
"""From this size on even symmetric cryptography (0.1 to 2 ms for a MiB) goes to a thread."""


class Bounded:
    """An `Offload` that refuses work when too much of it is waiting or under way already.

    Whoever waits in line holds a request with its data; a line that grows faster than it is
    served would end in exhausted memory, and everyone in it would have given up long before.
    """

    def __init__(self, offload: Offload, most: int = 64) -> None:
        """Hand up to `most` pieces of work at a time to `offload`."""
        self._offload = offload
        self._most = most
        self._pending = 0

    async def __call__(self, function: Callable[..., T], *args: Any) -> T:
        """Return the result of `function(*args)`, run in a thread.

        Raises:
            KmipError: SERVER_LIMIT_EXCEEDED: the line is full.
        """
        if self._pending >= self._most:
            raise KmipError(
                ResultReason.SERVER_LIMIT_EXCEEDED,
                f"busy: {self._most} slow operations are waiting already: try again in a while",
            )
        self._pending += 1
        try:
            result: T = await self._offload(function, *args)
        finally:
            self._pending -= 1
        return result


async def run(call: Call, size: int, function: Callable[..., T], *args: Any) -> T:
    """Return `function(*args)`; called in a thread if the data of `size` bytes is large."""
    if size < LARGE_BYTES:
        return function(*args)
    return await call.offload(function, *args)


def signs_slowly(key: object) -> bool:
    """Tell whether a signature by `key` takes more than about a millisecond."""
    row = pqc.row_of(key)
    return isinstance(key, rsa.RSAPrivateKey) or (
        row is not None and row.algorithm.name.startswith("SLH_DSA")
    )
