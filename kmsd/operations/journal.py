"""A store that remembers what was done through it, to take it back: the Undo of a batch."""

from collections.abc import Mapping, Sequence

import msgspec

from kmsd.store.interfaces import Change, Found, Insert, IStore, Query, Record, Remove, Replace


class JournalStore:
    """An IStore around an IStore. Grants and counters are no part of a batch and are not undone."""

    def __init__(self, store: IStore) -> None:
        """Do everything with `store`."""
        self._store = store
        self._before: dict[str, Record | None] = {}
        self._order: list[str] = []

    async def write(self, *changes: Change) -> None:
        """Write, remembering what each object was before the batch first touched it."""
        uids = [_identifier(change) for change in changes]
        new = [uid for uid in uids if uid not in self._before]
        present = await self._store.get_many(new)
        await self._store.write(*changes)
        for uid in new:
            self._before[uid] = present.get(uid)
            self._order.append(uid)

    async def undo(self) -> None:
        """Put every object back as it was. Raises: StaleRecord if others changed one meanwhile."""
        now = await self._store.get_many(self._order)
        changes = [self._inverse(uid, now.get(uid)) for uid in reversed(self._order)]
        await self._store.write(*(change for change in changes if change is not None))
        self._before.clear()
        self._order.clear()

    def _inverse(self, uid: str, now: Record | None) -> Change | None:
        before = self._before[uid]
        if before is None:
            return None if now is None else Remove(uid, now.version)
        if now is None:
            return Insert(before)
        attributes = msgspec.structs.replace(  # what was used was used
            before.attributes, usage_limits=now.attributes.usage_limits
        )
        record = msgspec.structs.replace(before, attributes=attributes, version=now.version)
        return Replace(record)

    async def get(self, unique_identifier: str) -> Record | None:
        """As the store."""
        return await self._store.get(unique_identifier)

    async def get_many(self, unique_identifiers: Sequence[str]) -> dict[str, Record]:
        """As the store."""
        return await self._store.get_many(unique_identifiers)

    async def find(self, query: Query) -> Found:
        """As the store."""
        return await self._store.find(query)

    async def owned(self, owner: str, limit: int, offset: int = 0) -> list[Record]:
        """As the store."""
        return await self._store.owned(owner, limit, offset)

    async def obtained(self, grantee: str, limit: int, offset: int = 0) -> list[Record]:
        """As the store."""
        return await self._store.obtained(grantee, limit, offset)

    async def grant(self, unique_identifier: str, grantee: str, operations: frozenset[str]) -> None:
        """As the store."""
        await self._store.grant(unique_identifier, grantee, operations)

    async def ungrant(
        self, unique_identifier: str, grantee: str, operations: frozenset[str]
    ) -> None:
        """As the store."""
        await self._store.ungrant(unique_identifier, grantee, operations)

    async def grants(self, unique_identifier: str) -> Mapping[str, frozenset[str]]:
        """As the store."""
        return await self._store.grants(unique_identifier)

    async def reserve(self, unique_identifier: str, counter: str, count: int) -> int:
        """As the store."""
        return await self._store.reserve(unique_identifier, counter, count)

    async def scan(self, after: str, limit: int) -> list[Record]:
        """As the store."""
        return await self._store.scan(after, limit)

    async def close(self) -> None:
        """Leave the store open: it is not the journal's."""


def _identifier(change: Change) -> str:
    if isinstance(change, Remove):
        return change.unique_identifier
    return change.record.unique_identifier
