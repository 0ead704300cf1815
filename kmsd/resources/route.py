"""What a route is: a row that says which path, who may come, and what answers."""

from __future__ import annotations

import enum
import os
import time
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec
from twisted.internet.defer import Deferred

from kmsd.identity import Identity
from kmsd.resources.pulse import Pulse

if TYPE_CHECKING:
    from types import TracebackType

    from twisted.web.server import Request

    from kmsd.operations.call import Caller
    from kmsd.operations.engine import Engine
    from kmsd.resources.databases import NewDatabases
    from kmsd.store.interfaces import IStore

JSON = b"application/json"
TEXT = b"text/plain; charset=utf-8"


class Who(enum.Enum):
    """Who a route answers. Every route says it: a route that forgot would be open to all."""

    CALLER = "identified callers"
    ANYONE = "anyone, unauthenticated"


class Answer(msgspec.Struct, frozen=True):
    """What a handler returns: `body` goes out whole, with its length."""

    status: int = 200
    body: bytes = b""
    content_type: bytes = JSON
    headers: tuple[tuple[bytes, bytes], ...] = ()


class Refusal(Exception):  # noqa: N818 (an answer rather than an error)
    """Raised by a handler that has nothing but a status and a text to say."""

    def __init__(self, status: int, text: str = "") -> None:
        """Answer `status` with `text`, as plain text."""
        super().__init__(text)
        self.status = status
        self.text = text


def json_answer(value: object, status: int = 200) -> Answer:
    """Answer `value` as JSON."""
    return Answer(status, msgspec.json.encode(value))


StoreFor = Callable[["str | None"], Awaitable["IStore"]]
"""Gives the store that a database secret opens, or the server's own for None."""


def one_store(store: IStore) -> StoreFor:
    """Return a `StoreFor` of a server with one database: a secret changes nothing there."""

    async def select(_secret: str | None) -> IStore:
        return store

    return select


def _now() -> int:
    return int(time.time())


class Services(msgspec.Struct, frozen=True, kw_only=True):
    """What the routes need of the rest of the server.

    `version` is what GET /version says; `database_name` what GET /health calls the database.
    Without `privileged_users` everybody may create. `clock` gives seconds since the epoch.
    `cors_origins` lists who may read answers in a browser, `*` for every page. `probe` asks the
    database for a sign of life, where that needs no secret. `new_databases` makes encrypted
    databases, where there are such.
    """

    engine: Engine
    stores: StoreFor
    identity: Identity = Identity()
    version: str = ""
    database_name: str = "sqlite"
    privileged_users: frozenset[str] = frozenset()
    cors_origins: tuple[str, ...] = ("*",)
    clock: Callable[[], int] = _now
    pulse: Pulse = msgspec.field(default_factory=Pulse)
    probe: Callable[[], Awaitable[object]] | None = None
    new_databases: NewDatabases | None = None


class Exchange:
    """One request and what its handler needs to answer it."""

    __slots__ = ("_caller", "body", "request", "services")

    def __init__(
        self, request: Request, services: Services, body: bytes, caller: Caller | None = None
    ) -> None:
        """Keep them; `caller` is None on routes that ask nobody who they are."""
        self.request = request
        self.services = services
        self.body = body
        self._caller = caller

    @property
    def caller(self) -> Caller:
        """Who calls. A handler of a route for ANYONE must not ask."""
        if self._caller is None:
            raise RuntimeError("this route identifies nobody")
        return self._caller

    def parameter(self, name: str) -> str | None:
        """Return the first value of a query parameter."""
        values = (self.request.args or {}).get(name.encode())
        return values[0].decode("utf-8", "replace") if values else None

    async def store(self) -> IStore:
        """Return the store that the request's database secret opens."""
        return await self.services.stores(database_secret(self.request))


def body_of(request: Request) -> bytes:
    """Return the whole body, which is gone as soon as the client is."""
    return bytes(request.content.read()) if request.content is not None else b""


def database_secret(request: Request) -> str | None:
    """Return the database secret: clients up to 4.20.0 call the header KmsDatabaseSecret."""
    return request.getHeader("KmsDatabaseSecret") or request.getHeader("DatabaseSecret")


Handler = Callable[..., Awaitable["Answer | None"]]
"""`async def (exchange, **path parameters)`; None means that it has written the answer itself."""


def _always(_services: Services) -> bool:
    return True


class Route(NamedTuple):
    """One row: `roomy` routes take bodies up to the large limit.

    `exists` says whether this server has the route at all: what it has not is an unknown path.
    `needs` is what a caller of limited rights must be allowed (`operations.scopes`); None leaves it
    to the engine, or needs nothing; without it such callers are refused.
    """

    method: str
    path: str
    who: Who
    handler: Handler
    roomy: bool = False
    exists: Callable[[Services], bool] = _always
    needs: str | None = ""


class RequestEvidence:
    """The evidence of an HTTP request."""

    __slots__ = ("_request",)

    def __init__(self, request: Request) -> None:
        """Read it only when a mechanism asks: most requests need nothing but the address."""
        self._request = request

    @property
    def address(self) -> str:
        """The transport's peer; X-Forwarded-For and its kin are hearsay."""
        client = self._request.getClientAddress()
        host: str = getattr(client, "host", "")
        name: bytes | None = getattr(client, "name", None)
        return host or (os.fsdecode(name) if name else "")

    @property
    def authorization(self) -> str | None:
        """The Authorization header."""
        return self._request.getHeader("Authorization")

    @property
    def peer_certificate(self) -> Any:
        """The certificate that the TLS handshake verified, or None."""
        get_certificate = getattr(self._request.transport, "getPeerCertificate", None)
        return get_certificate() if get_certificate else None


class InFlight:
    """Counts the requests being answered, so that a stop can wait for them."""

    def __init__(self) -> None:
        """Start with none."""
        self.count = 0
        self._waiting: list[Deferred[None]] = []

    def __enter__(self) -> None:
        """One more."""
        self.count += 1

    def __exit__(
        self,
        _type: type[BaseException] | None,
        _value: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        """One fewer."""
        self.count -= 1
        if not self.count:
            waiting, self._waiting = self._waiting, []
            for deferred in waiting:
                deferred.callback(None)

    def when_idle(self) -> Deferred[None]:
        """Return a Deferred that fires when nothing is under way."""
        deferred: Deferred[None] = Deferred()
        if self.count:
            self._waiting.append(deferred)
        else:
            deferred.callback(None)
        return deferred
