"""What a store of objects promises: `IStore`, the values it speaks in, and its errors."""
# ruff: noqa: N818 (the errors are named for what happened)

from collections.abc import Mapping, Sequence
from typing import Protocol

import msgspec

from kmsd.kmip.attributes import Attributes
from kmsd.kmip.enums import CryptographicAlgorithm, ObjectType, State
from kmsd.kmip.objects import ManagedObject

EVERYONE = "*"
"""The grantee that stands for every caller."""


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """One stored object, as the store keeps it.

    `managed_object` is None once its material is destroyed. `grants` maps a grantee to lower-case
    operation names; the store fills it when it reads and ignores it when it writes (see `grant`).
    `version` is the store's: 1 after Insert, one more after each Replace.
    """

    unique_identifier: str
    owner: str
    attributes: Attributes
    managed_object: ManagedObject | None = None
    grants: Mapping[str, frozenset[str]] = msgspec.field(default_factory=dict)
    version: int = 0

    def __repr__(self) -> str:
        """Name the object without showing any of its content."""
        return f"Record({self.unique_identifier!r}, version={self.version})"


class Insert(msgspec.Struct, frozen=True):
    """Add an object whose identifier must be new."""

    record: Record


class Replace(msgspec.Struct, frozen=True):
    """Put `record` in the place of the stored one, which must still have `record.version`."""

    record: Record


class Remove(msgspec.Struct, frozen=True):
    """Delete an object, its labels, grants and counters, if it still has `version`."""

    unique_identifier: str
    version: int


Change = Insert | Replace | Remove


class Range(msgspec.Struct, frozen=True):
    """A date (seconds) or integer attribute between `low` and `high`; None leaves that end open."""

    name: str
    low: int | None = None
    high: int | None = None


class Query(msgspec.Struct, frozen=True, kw_only=True):
    """What `IStore.find` looks for: all the conditions that are given hold.

    `accessible_to` is a caller who owns the object or has a grant on it (its own or everyone's);
    None asks for all objects. `labels` are (name, value) pairs as `kmip.attributes.labels` makes
    them. `states` are effective at `now` (seconds): dates that have passed have taken effect.
    """

    accessible_to: str | None = None
    labels: tuple[tuple[str, str], ...] = ()
    object_type: ObjectType | None = None
    cryptographic_algorithm: CryptographicAlgorithm | None = None
    cryptographic_length: int | None = None
    states: frozenset[State] = frozenset()
    now: int = 0
    ranges: tuple[Range, ...] = ()
    limit: int | None = None
    offset: int = 0


class Found(msgspec.Struct, frozen=True):
    """The identifiers of one page, smallest first, and how many objects there are in all."""

    unique_identifiers: tuple[str, ...]
    total: int


class IStore(Protocol):
    """Objects, their labels, grants and counters.

    Every method may raise `StoreUnavailable`. A write is answered after it is on disk; one whose
    waiter is cancelled still happens, whole or not at all.
    """

    async def get(self, unique_identifier: str) -> Record | None:
        """Return the object, or None when there is none."""

    async def get_many(self, unique_identifiers: Sequence[str]) -> dict[str, Record]:
        """Return the objects that exist, by identifier."""

    async def write(self, *changes: Change) -> None:
        """Carry out all the changes in one transaction, or none of them.

        Raises:
            ObjectExists: an Insert's identifier is taken.
            StaleRecord: another writer was first, or the object is gone.
        """

    async def find(self, query: Query) -> Found:
        """Return the identifiers that `query` asks for, smallest first."""

    async def owned(self, owner: str, limit: int, offset: int = 0) -> list[Record]:
        """Return the objects of `owner`, by identifier."""

    async def obtained(self, grantee: str, limit: int, offset: int = 0) -> list[Record]:
        """Return what others granted to `grantee` or to everyone, by identifier."""

    async def grant(self, unique_identifier: str, grantee: str, operations: frozenset[str]) -> None:
        """Add `operations` to what `grantee` may do with an object, or for "*", in general.

        Raises:
            NoSuchObject: there is no such object.
        """

    async def ungrant(
        self, unique_identifier: str, grantee: str, operations: frozenset[str]
    ) -> None:
        """Take `operations` from what `grantee` may do."""

    async def grants(self, unique_identifier: str) -> Mapping[str, frozenset[str]]:
        """Return grantee → operations for an object, or for "*"."""

    async def reserve(self, unique_identifier: str, counter: str, count: int) -> int:
        """Add `count` to a durable counter that starts at 0; return its value before."""

    async def scan(self, after: str, limit: int) -> list[Record]:
        """Return the next objects whose identifier sorts behind `after`, for jobs."""

    async def close(self) -> None:
        """Finish what is under way and close every connection."""


class StoreError(Exception):
    """A store could not do what it was asked; the text is fit for a log and holds no secret."""


class StaleRecord(StoreError):
    """Another writer changed or removed the object first: read it again."""


class ObjectExists(StoreError):
    """The unique identifier is taken."""


class NotStorable(StoreError):
    """A value that no database can keep: an identifier too long, an object too large."""


class NoSuchObject(StoreError):
    """The object that rights are granted on does not exist."""


class StoreUnavailable(StoreError):
    """The database does not answer at the moment; nothing was changed."""

    def __init__(self, message: str, retry_after_seconds: int = 1) -> None:
        """Say what is wrong and after how many seconds another try makes sense."""
        super().__init__(message)
        self.retry_after_seconds = retry_after_seconds


class StoreFull(StoreUnavailable):
    """The disk is full: reads go on, writes work again as soon as there is room."""


class StoreReadOnly(StoreUnavailable):
    """The database refuses writes: reads go on."""


class StoreDamaged(StoreError):
    """The database file is damaged: restore a backup."""


class StoreRefused(StoreError):
    """The database cannot be opened as configured; the text says what to mend."""


class SecretRefused(StoreError):
    """The secret names no database. The same error, text and time whatever is wrong with it."""
