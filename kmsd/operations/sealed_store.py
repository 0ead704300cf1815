"""A store in front of a store, in which every object lies sealed under the key-encryption key.

Objects come out in clear and are sealed again before anything is written: nothing behind this store
ever sees a key. What was opened is remembered for a while, as much of it as fits, and forgotten as
soon as the object is written, be it revoked, destroyed or changed; when a KEK is written, all is
forgotten. An object that comes back with its key unchanged is stored as it was sealed before.
"""

from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple, TypeVar

import msgspec

from kmsd.kmip.objects import OpaqueObject
from kmsd.operations import kek
from kmsd.operations.keys import KeyCache
from kmsd.store.interfaces import Change, Found, IStore, NotStorable, Query, Record, Remove

T = TypeVar("T")


class _Opened(NamedTuple):
    """An object as it is stored and in clear, and until when it is remembered."""

    sealed: Record
    clear: Record
    until: float


class OpenedKeys(KeyCache):
    """Remembers prepared keys for a while only, and forgets those of an object when told."""

    def __init__(
        self, seconds: Callable[[], float], lifetime_seconds: float, capacity: int = 4_096
    ) -> None:
        """Start empty; `seconds` is a clock that only goes forward."""
        super().__init__(capacity)
        self._seconds = seconds
        self._lifetime_seconds = lifetime_seconds
        self._entries: OrderedDict[tuple[int, Hashable], tuple[Record, Any, float]] = OrderedDict()

    def get(self, record: Record, purpose: Hashable, make: Callable[[], T]) -> T:
        """Return what `make` makes of the record's key, made at most once in its time."""
        self.sweep()
        entry = self._entries.get((id(record), purpose))
        if entry is not None and entry[0] is record:
            return entry[1]  # type: ignore[no-any-return] # made for this purpose by `make`
        ready = make()
        until = self._seconds() + self._lifetime_seconds
        self._entries.pop((id(record), purpose), None)
        self._entries[id(record), purpose] = (record, ready, until)
        while len(self._entries) > self._capacity:
            self._entries.popitem(last=False)
        return ready

    def sweep(self) -> None:
        """Forget what has had its time."""
        now = self._seconds()
        while self._entries:
            key = next(iter(self._entries))
            if self._entries[key][2] > now:
                return
            del self._entries[key]

    def forget(self, unique_identifiers: Iterable[str] | None = None) -> None:
        """Forget the keys of these objects, or all."""
        if unique_identifiers is None:
            self._entries.clear()
            return
        names = set(unique_identifiers)
        for key in [
            key for key, entry in self._entries.items() if entry[0].unique_identifier in names
        ]:
            del self._entries[key]


class SealedStore:
    """An `IStore` around an `IStore`: see the module.

    Prepared keys are in `keys`, which the engine uses for this store.
    """

    def __init__(
        self,
        store: IStore,
        ring: kek.Ring,
        seconds: Callable[[], float],
        *,
        lifetime_seconds: float = 900,
        capacity: int = 1_000,
        keys: OpenedKeys | None = None,
    ) -> None:
        """Seal under the KEKs of `ring` what is in `store`."""
        self.store = store
        self.ring = ring
        self.keys = keys or OpenedKeys(seconds, lifetime_seconds)
        self._seconds = seconds
        self._lifetime_seconds = lifetime_seconds
        self._capacity = capacity
        self._opened: OrderedDict[str, _Opened] = OrderedDict()

    async def get(self, unique_identifier: str) -> Record | None:
        """Return the object in clear."""
        record = await self.store.get(unique_identifier)
        return None if record is None else await self._clear(record)

    async def get_many(self, unique_identifiers: Sequence[str]) -> dict[str, Record]:
        """Return the objects in clear."""
        found = await self.store.get_many(unique_identifiers)
        return {uid: await self._clear(record) for uid, record in found.items()}

    async def write(self, *changes: Change) -> None:
        """Seal, and write all or nothing; then forget what was opened of these objects."""
        records = [change.record for change in changes if not isinstance(change, Remove)]
        keks = await self.ring.keks(records, self.store)
        sealed = [await self._sealed(change, keks) for change in changes]
        names = None if keks else [_named(change) for change in changes]
        self._forget(names)
        try:
            await self.store.write(*sealed)
        finally:
            self._forget(names)

    async def find(self, query: Query) -> Found:
        """As the store."""
        return await self.store.find(query)

    async def owned(self, owner: str, limit: int, offset: int = 0) -> list[Record]:
        """Return the objects of `owner` in clear, and do not remember them."""
        return await self._all(await self.store.owned(owner, limit, offset))

    async def obtained(self, grantee: str, limit: int, offset: int = 0) -> list[Record]:
        """Return what others granted, in clear, and do not remember it."""
        return await self._all(await self.store.obtained(grantee, limit, offset))

    async def grant(self, unique_identifier: str, grantee: str, operations: frozenset[str]) -> None:
        """As the store."""
        await self.store.grant(unique_identifier, grantee, operations)

    async def ungrant(
        self, unique_identifier: str, grantee: str, operations: frozenset[str]
    ) -> None:
        """As the store."""
        await self.store.ungrant(unique_identifier, grantee, operations)

    async def grants(self, unique_identifier: str) -> Mapping[str, frozenset[str]]:
        """As the store."""
        return await self.store.grants(unique_identifier)

    async def reserve(self, unique_identifier: str, counter: str, count: int) -> int:
        """As the store."""
        return await self.store.reserve(unique_identifier, counter, count)

    async def scan(self, after: str, limit: int) -> list[Record]:
        """Return the next objects in clear, and do not remember them."""
        return await self._all(await self.store.scan(after, limit))

    async def close(self) -> None:
        """Forget everything, and close the store."""
        self._opened.clear()
        self.keys.forget()
        await self.store.close()

    def sweep(self) -> None:
        """Forget what has had its time; call it now and then, for times without requests."""
        now = self._seconds()
        while self._opened:
            name = next(iter(self._opened))
            if self._opened[name].until > now:
                break
            del self._opened[name]
        self.keys.sweep()

    async def _all(self, records: list[Record]) -> list[Record]:
        return [
            await kek.unseal(record, self.ring, self.store) if kek.is_sealed(record) else record
            for record in records
        ]

    async def _clear(self, record: Record) -> Record:
        """Return a record in clear, remembered or opened now."""
        if not kek.is_sealed(record):
            return record
        entry = self._opened.get(record.unique_identifier)
        if entry is not None and entry.sealed is record and entry.until > self._seconds():
            return entry.clear
        clear = await kek.unseal(record, self.ring, self.store)
        self.sweep()
        self._opened.pop(record.unique_identifier, None)
        self._opened[record.unique_identifier] = _Opened(
            record, clear, self._seconds() + self._lifetime_seconds
        )
        while len(self._opened) > self._capacity:
            self._opened.popitem(last=False)
        return clear

    async def _sealed(self, change: Change, keks: frozenset[str]) -> Change:
        """Return a change with its object sealed, as it was before if it is the same.

        Objects of `keks` stay as they are.

        Raises:
            NotStorable: an object looks as if it were sealed.
            KekMissing: there is no KEK to seal under.
        """
        if isinstance(change, Remove):
            return change
        record = change.record
        if kek.is_sealed(record):
            raise NotStorable(f"{record.unique_identifier} looks like a sealed object: not stored")
        if not kek.must_seal(record) or record.unique_identifier in keks:
            return change
        entry = self._opened.get(record.unique_identifier)
        if (
            entry is not None
            and entry.clear.managed_object is record.managed_object
            and entry.clear.attributes.digest == record.attributes.digest
        ):
            return type(change)(_as_before(record, entry.sealed))
        return type(change)(await kek.seal(record, await self.ring.current(self.store)))

    def _forget(self, names: Sequence[str] | None) -> None:
        """Forget what was opened of these objects, or all."""
        if names is None:
            self._opened.clear()
        for name in names or ():
            self._opened.pop(name, None)
        self.keys.forget(names)


def _as_before(record: Record, sealed: Record) -> Record:
    held = sealed.managed_object
    assert isinstance(held, OpaqueObject)  # noqa: S101 (only sealed objects are remembered)
    attributes = msgspec.structs.replace(record.attributes, digest=())
    return msgspec.structs.replace(record, attributes=attributes, managed_object=held)


def _named(change: Change) -> str:
    if isinstance(change, Remove):
        return change.unique_identifier
    return change.record.unique_identifier


async def check_unsealed(store: IStore) -> None:
    """Refuse to serve sealed objects without a KEK.

    Raises:
        KekMissing: the first objects of the store are sealed.
    """
    for record in await store.scan("", 100):
        identifier = kek.sealed_under(record)
        if identifier is not None:
            raise kek.missing(identifier)
