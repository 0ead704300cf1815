"""How often a key may encrypt under nonces that the server draws at random.

A random nonce of 96 bits repeats with a probability that stays below 2^-32 for the first 2^32 uses
of a key only, and one repeated nonce undoes GCM. So each key has a durable counter in the store,
and ends there. It is reserved in blocks, which makes a use cost a subtraction in memory; what is
left of a block is lost when the server stops or forgets the key, hence blocks begin small and grow
with the use that a key finds.

Source: NIST SP 800-38D §8.3.
"""

from collections import OrderedDict
from collections.abc import Hashable

from twisted.internet.defer import DeferredLock

from kmsd.kmip.enums import ResultReason
from kmsd.kmip.errors import KmipError
from kmsd.store.interfaces import IStore, Record

MOST = 1 << 32
FIRST_BLOCK = 1 << 10
LARGEST_BLOCK = 1 << 16
COUNTER = "nonces"
SIZE = 12
"""Bytes of the nonces that are counted; those of 16 bytes (CBC, XTS) have no such limit."""


class _Allotment:
    """What one key may use before the store must be asked again."""

    __slots__ = ("block", "exhausted", "left", "lock")

    def __init__(self) -> None:
        self.left = 0
        self.block = FIRST_BLOCK
        self.exhausted = False
        self.lock = DeferredLock()

    async def reserve(self, store: IStore, uid: str, uses: int) -> None:
        """Have at least `uses` left, if the key has so many at all; callers queue up."""
        await self.lock.acquire()
        try:
            if self.left >= uses or self.exhausted:
                return
            block = max(self.block, uses)
            before = await store.reserve(uid, COUNTER, block)
            self.left += max(0, min(block, MOST - before))
            self.exhausted = before + block >= MOST
            self.block = min(block * 2, LARGEST_BLOCK)
        finally:
            self.lock.release()


class Nonces:
    """Counts the server's nonces by key. Least recently used keys go first beyond `capacity`."""

    def __init__(self, capacity: int = 16_384) -> None:
        """Start with no block reserved."""
        self._capacity = capacity
        self._allotments: OrderedDict[Hashable, _Allotment] = OrderedDict()

    async def count(self, store: IStore, record: Record, uses: int = 1) -> None:
        """Count `uses` encryptions by a key; completes without waiting while a block lasts.

        Raises:
            KmipError: USAGE_LIMIT_EXCEEDED: the key has had its 2^32.
        """
        uid = record.unique_identifier
        allotment = self._allotment(record)
        while allotment.left < uses:
            if allotment.exhausted:
                raise KmipError(
                    ResultReason.USAGE_LIMIT_EXCEEDED,
                    f"{uid} has encrypted 2^32 times under random nonces, the most that is safe"
                    " (SP 800-38D §8.3): go on with a new key, by ReKey",
                )
            await allotment.reserve(store, uid, uses)
        allotment.left -= uses

    def _allotment(self, record: Record) -> _Allotment:
        """Return a key's allotment; the digest tells keys of one name in several databases."""
        digest = record.attributes.digest
        key = record.unique_identifier, digest[0].digest_value if digest else None
        allotment = self._allotments.get(key)
        if allotment is None:
            allotment = self._allotments[key] = _Allotment()
            if len(self._allotments) > self._capacity:
                self._allotments.popitem(last=False)
        else:
            self._allotments.move_to_end(key)
        return allotment


NONCES = Nonces()
"""The blocks of this process."""
