"""A store in front of a store: the records that are used most are answered at once.

What makes this subtle is the moment at which an entry must go. A write through this cache drops the
entry when it begins and again when it *ends*, wherever its waiter is by then: a client that leaves
cancels the waiting, not the write. A read that was on its way to the database meanwhile may bring
back what was there before, so its result is handed on but not kept: each read leaves a token, and
only one whose token is still there at the end may fill the cache.

That is exact while one process changes the database. Where several do, an entry lives for
`lifetime_seconds` at most, which is how long a Revoke on another server may take to bite here;
`forget` shortens it where the database announces changes, and a `Shared` number, which processes on
one host compare, makes it nothing.
"""

from collections import OrderedDict
from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from typing import Any, Protocol, TypeVar, runtime_checkable

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from kmsd.store.interfaces import Change, Found, IStore, Query, Record, Remove

T = TypeVar("T")


@runtime_checkable
class Resting(Protocol):
    """A store that can let go of its connections for a while."""

    def rest(self) -> None:
        """Close the connections that are idle."""


class Shared(Protocol):
    """What tells several processes of each other's changes."""

    def changed_elsewhere(self) -> bool:
        """Tell whether another process changed something since this was last asked."""

    def change(self) -> None:
        """Tell the others of a change."""

    def close(self) -> None:
        """Let go of it."""


class CachedStore:
    """An `IStore` around an `IStore`, with the `capacity` records that were used last.

    A `get` that hits completes without waiting. `lifetime_seconds` None means without end, 0 means
    that nothing is kept.
    """

    def __init__(
        self,
        store: IStore,
        seconds: Callable[[], float],
        capacity: int = 10_000,
        lifetime_seconds: float | None = None,
        shared: Shared | None = None,
    ) -> None:
        self.store = store
        self.on_close: list[Callable[[], None]] = []
        self._shared = shared
        self._seconds = seconds
        self._capacity = 0 if lifetime_seconds == 0 else capacity
        self._lifetime_seconds = lifetime_seconds
        self._records: OrderedDict[str, tuple[Record, float]] = OrderedDict()
        self._reads: dict[str, object] = {}

    def peek(self, unique_identifier: str) -> Record | None:
        """Return the record if it is here; never waits."""
        if self._shared is not None and self._shared.changed_elsewhere():
            self.forget()
        entry = self._records.get(unique_identifier)
        if entry is None:
            return None
        record, since = entry
        lifetime = self._lifetime_seconds
        if lifetime is not None and self._seconds() - since >= lifetime:
            del self._records[unique_identifier]
            return None
        self._records.move_to_end(unique_identifier)
        return record

    async def get(self, unique_identifier: str) -> Record | None:
        """Return the object, or None when there is none."""
        record = self.peek(unique_identifier)
        if record is None:
            record = (await self._fetch((unique_identifier,))).get(unique_identifier)
        return record

    async def get_many(self, unique_identifiers: Sequence[str]) -> dict[str, Record]:
        """Return the objects that exist, by identifier."""
        here = {name: record for name in unique_identifiers if (record := self.peek(name))}
        missing = [name for name in unique_identifiers if name not in here]
        return here | await self._fetch(missing) if missing else here

    async def _fetch(self, names: Sequence[str]) -> dict[str, Record]:
        """Read from the database, and keep what nobody has changed in the meantime."""
        token, since = object(), self._seconds()
        self._reads.update(dict.fromkeys(names, token))
        try:
            found = await self.store.get_many(names)
        except BaseException:
            self._settled(names, token)
            raise
        for name in self._settled(names, token):
            if name in found:
                self._keep(found[name], since)
        return found

    def _settled(self, names: Sequence[str], token: object) -> list[str]:
        """Return the names that this read may keep, and take its tokens back."""
        mine = [name for name in names if self._reads.get(name) is token]
        for name in mine:
            self._reads.pop(name, None)
        return mine

    def _keep(self, record: Record, since: float) -> None:
        self._records[record.unique_identifier] = (record, since)
        self._records.move_to_end(record.unique_identifier)
        while len(self._records) > self._capacity:
            self._records.popitem(last=False)

    def forget(self, names: Iterable[str] | None = None) -> None:
        """Drop these records, or all."""
        if names is None:
            self._records.clear()
            self._reads.clear()
            return
        for name in names:
            self._records.pop(name, None)
            self._reads.pop(name, None)

    async def _changing(self, names: Sequence[str], work: Coroutine[Any, Any, T]) -> T:
        """Let `work` change objects; it runs to its end even if nobody waits for it any more."""
        self.forget(names)
        running = Deferred.fromCoroutine(work)

        def done(result: T | Failure) -> T | Failure:
            self.forget(names)
            if self._shared is not None:
                self._shared.change()
            return result

        return await shielded(running.addBoth(done))

    async def write(self, *changes: Change) -> None:
        """Carry out all the changes in one transaction, or none of them."""
        names = [
            change.unique_identifier
            if isinstance(change, Remove)
            else change.record.unique_identifier
            for change in changes
        ]
        await self._changing(names, self.store.write(*changes))

    async def grant(self, unique_identifier: str, grantee: str, operations: frozenset[str]) -> None:
        """Add `operations` to what `grantee` may do."""
        work = self.store.grant(unique_identifier, grantee, operations)
        await self._changing((unique_identifier,), work)

    async def ungrant(
        self, unique_identifier: str, grantee: str, operations: frozenset[str]
    ) -> None:
        """Take `operations` from what `grantee` may do."""
        work = self.store.ungrant(unique_identifier, grantee, operations)
        await self._changing((unique_identifier,), work)

    async def find(self, query: Query) -> Found:
        """Return the identifiers that `query` asks for, smallest first."""
        return await self.store.find(query)

    async def owned(self, owner: str, limit: int, offset: int = 0) -> list[Record]:
        """Return the objects of `owner`, by identifier."""
        return await self.store.owned(owner, limit, offset)

    async def obtained(self, grantee: str, limit: int, offset: int = 0) -> list[Record]:
        """Return what others granted to `grantee` or to everyone, by identifier."""
        return await self.store.obtained(grantee, limit, offset)

    async def grants(self, unique_identifier: str) -> Mapping[str, frozenset[str]]:
        """Return grantee → operations for an object, or for "*"."""
        return await self.store.grants(unique_identifier)

    async def reserve(self, unique_identifier: str, counter: str, count: int) -> int:
        """Add `count` to a durable counter that starts at 0; return its value before."""
        return await self.store.reserve(unique_identifier, counter, count)

    async def scan(self, after: str, limit: int) -> list[Record]:
        """Return the next objects whose identifier sorts behind `after`."""
        return await self.store.scan(after, limit)

    def rest(self) -> None:
        """Close the idle connections behind; the next use opens them again."""
        if isinstance(self.store, Resting):
            self.store.rest()

    async def close(self) -> None:
        """Close the store behind, and forget everything."""
        self.forget()
        await self.store.close()
        for stop in self.on_close:
            stop()
        if self._shared is not None:
            self._shared.close()


def shielded(work: Deferred[T]) -> Deferred[T]:
    """Return a Deferred that ends as `work` does, and whose cancelling leaves `work` alone."""
    waiter: Deferred[T] = Deferred()
    work.addCallbacks(waiter.callback, waiter.errback)
    return waiter
