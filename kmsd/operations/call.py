"""A Call: one operation being carried out, with all that its handler may use."""

import secrets
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar, cast

from kmsd.kmip.enums import ResultReason
from kmsd.kmip.errors import KmipError
from kmsd.kmip.generations import Generation
from kmsd.operations.keys import KeyCache
from kmsd.store.interfaces import IStore, Record

T = TypeVar("T")


@dataclass(frozen=True)
class Caller:
    """Who asks, and by which way: `name` owns and is granted, the rest is for the audit.

    `allowed` are the only operations of a caller with limited rights (`scopes`).
    """

    name: str
    mechanism: str = "default"
    door: str = ""
    address: str = ""
    allowed: frozenset[str] | None = None

    def check(self, operation: str) -> None:
        """Refuse what the caller's rights are not enough for.

        Raises:
            KmipError: `operation` (in lower case) is not among them.
        """
        if self.allowed is not None and operation not in self.allowed:
            raise KmipError(
                ResultReason.PERMISSION_DENIED,
                f"the token of {self.name} does not allow {operation or 'this'}",
            )


Offload = Callable[..., Awaitable[Any]]
"""Runs `function(*args)` away from the reactor thread and gives its result."""


@dataclass(frozen=True)
class Limits:
    """How much one request may ask for."""

    batch_items: int = 1_000
    located_items: int = 10_000
    tags: int = 100
    name_bytes: int = 4_096


@dataclass(frozen=True)
class Services:
    """What all calls share, handed in by the program that makes the engine."""

    clock: Callable[[], float]
    offload: Offload
    version: str
    privileged_users: frozenset[str] = frozenset()
    limits: Limits = Limits()
    random: Callable[[int], bytes] = secrets.token_bytes
    keys: KeyCache = field(default_factory=KeyCache)


@dataclass
class Batch:
    """What the items of one message hand on to each other: the ID Placeholder."""

    placeholder: str | None = None


@dataclass
class Call:
    """One operation being carried out.

    `generation` is whose rules apply where the product and KMIP differ. `now` is in seconds since
    the epoch and does not change during the call. The engine has set `target`, or `targets` where
    an operation acts on several, when the operation's row names one: found, permitted, in a right
    state.
    """

    caller: Caller
    store: IStore
    services: Services
    now: int
    generation: Generation = Generation.V5
    version: tuple[int, int] = (2, 1)
    batch: Batch = field(default_factory=Batch)
    targets: tuple[Record, ...] = ()

    @property
    def target(self) -> Record:
        """The one object that the operation is about."""
        return self.targets[0]

    def identified(self, unique_identifier: str | None) -> str:
        """Return the identifier a request names, or the ID Placeholder.

        Raises:
            KmipError: there is neither.
        """
        chosen = unique_identifier or self.batch.placeholder
        if chosen is None:
            raise KmipError(
                ResultReason.ITEM_NOT_FOUND,
                "UniqueIdentifier is missing, and no earlier item of the batch has set the place"
                " holder id: name an object",
            )
        return chosen

    async def offload(self, function: Callable[..., T], *args: Any) -> T:
        """Run a slow function in a thread."""
        return cast("T", await self.services.offload(function, *args))
