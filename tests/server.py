"""The real engine on a real SQLite store, without the doors; for tests of operations."""

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar

from twisted.internet import reactor
from twisted.internet.threads import deferToThread

from kmsd.kmip import enums
from kmsd.kmip.attributes import Attributes, with_tags
from kmsd.kmip.enums import CryptographicAlgorithm, ObjectType
from kmsd.kmip.errors import KmipError
from kmsd.kmip.generations import Generation
from kmsd.operations import BY_TAG
from kmsd.operations.call import Caller, Services
from kmsd.operations.create import Create
from kmsd.operations.engine import Engine
from kmsd.store import Database, open_store
from kmsd.store.interfaces import IStore
from kmsd.ttlv import Item
from kmsd.ttlv.schema import Structure, dump, load

NOW = 1_800_000_000
S = TypeVar("S", bound=Structure)


@dataclass
class Clock:
    """Time that stands still until it is set; seconds since the epoch."""

    now: float = NOW

    def __call__(self) -> float:
        """Return the time."""
        return self.now


@dataclass(frozen=True)
class Kms:
    """An engine and its store; a call is made as `caller` by the rules of `generation`."""

    engine: Engine
    store: IStore
    clock: Clock = field(default_factory=Clock)
    caller: str = "alice"
    generation: Generation = Generation.V5

    def by(self, caller: str) -> "Kms":
        """Return the same server as another caller sees it."""
        return replace(self, caller=caller)

    def as_(self, generation: Generation) -> "Kms":
        """Return the same server as a client of another generation sees it."""
        return replace(self, generation=generation)

    async def __call__(self, request: Structure) -> Any:
        """Carry out one operation and return its response. Raises: KmipError."""
        row = BY_TAG[type(request).__name__.lower()]
        answer = await self.item(dump(request))
        return load(row.response, answer)

    async def item(self, request: Item) -> Item:
        """Carry out a request that is an item. Raises: KmipError."""
        return await self.engine.handle(request, Caller(self.caller), self.store, self.generation)

    async def refused(self, request: Structure) -> KmipError:
        """Carry out one operation that must fail, and return its error."""
        try:
            await self(request)
        except KmipError as error:
            return error
        raise AssertionError(f"{type(request).__name__} was not refused")

    async def key(self, uid: str = "k", tags: tuple[str, ...] = (), **attributes: Any) -> str:
        """Create an AES key that is Active unless the attributes say otherwise."""
        values: dict[str, Any] = {
            "cryptographic_algorithm": CryptographicAlgorithm.AES,
            "cryptographic_length": 256,
            "cryptographic_usage_mask": enums.CryptographicUsageMask.UNRESTRICTED,
            "activation_date": int(self.clock.now) - 10,
            "unique_identifier": uid,
        } | attributes
        wanted = with_tags(Attributes(**values), frozenset(tags))
        await self(Create(object_type=ObjectType.SYMMETRIC_KEY, attributes=wanted))
        return uid

    async def close(self) -> None:
        """Close the store."""
        await self.store.close()


async def open_kms(folder: Path) -> Kms:
    """Open a server whose data is in `folder`."""
    clock = Clock()
    store = open_store(reactor, Database(type="sqlite", path=folder))  # type: ignore[arg-type]
    services = Services(clock=clock, offload=deferToThread, version="test")
    return Kms(Engine(services), store, clock)
