"""Slow work: where it runs, and how much of it may wait.

Microseconds are spent here, on the reactor's thread. Milliseconds and more go to a thread, through
`Call.offload`; what would stop all threads meanwhile goes to a process (see `processes`).
"""

from collections.abc import Callable
from typing import Any, TypeVar

from cryptography.hazmat.primitives.asymmetric import rsa

from kmsd.crypto import generate, pqc
from kmsd.kmip.enums import CryptographicAlgorithm, ResultReason
from kmsd.kmip.errors import KmipError
from kmsd.operations.call import Call, Offload
from kmsd.operations.processes import PROCESSES

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
            if function is generate.generate_pair and _holds_the_interpreter(args[0]):
                result: T = await self._offload(PROCESSES.run, function, *args)
            else:
                result = await self._offload(function, *args)
        finally:
            self._pending -= 1
        return result


async def run(call: Call, size: int, function: Callable[..., T], *args: Any) -> T:
    """Return `function(*args)`; called in a thread if the data of `size` bytes is large."""
    if size < LARGE_BYTES:
        return function(*args)
    return await call.offload(function, *args)


async def run_with(call: Call, key: object, size: int, function: Callable[[], T]) -> T:
    """Return `function()`, which uses `key` on `size` bytes: called where it delays nobody."""
    row = pqc.row_of(key)
    if row is not None and _holds_the_interpreter(row.algorithm):
        return await call.offload(PROCESSES.run, function)
    if isinstance(key, rsa.RSAPrivateKey):
        return await call.offload(function)
    return await run(call, size, function)


def _holds_the_interpreter(algorithm: CryptographicAlgorithm) -> bool:
    """Tell whether the library of an algorithm computes for long without letting threads run."""
    return algorithm.name.startswith("SLH_DSA")
