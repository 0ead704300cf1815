"""POST /new_database: makes an encrypted database and tells its secret, once.

The route exists where databases are encrypted, one for each secret, and the making is not
switched off; elsewhere its path is as unknown as any. It needs no secret of a database.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from http import HTTPStatus

from twisted.internet.defer import DeferredLock
from twisted.logger import Logger

from kmsd.operations.scopes import NEW_DATABASE
from kmsd.resources.route import TEXT, Answer, Exchange, Route, Services, Who, json_answer

_log = Logger("kmsd.http")


class TooMany(Exception):  # noqa: N818 (an answer rather than an error)
    """No further database is made, for `retry_seconds` (None: until some are removed)."""

    def __init__(self, message: str, retry_seconds: int | None = None) -> None:
        """Say why."""
        super().__init__(message)
        self.retry_seconds = retry_seconds


class NewDatabases:
    """Makes databases, as many and as fast as allowed.

    Args:
        create: makes one and returns its secret.
        count: how many there are.
        limit: how many there may be in all; None is any number.
        per_minute: how many may be made in a minute; 0 is any number.
        seconds: the time of a clock that is never put back.
    """

    def __init__(
        self,
        create: Callable[[], Awaitable[str]],
        count: Callable[[], Awaitable[int]],
        seconds: Callable[[], float],
        *,
        limit: int | None = None,
        per_minute: float = 0.0,
    ) -> None:
        self._create, self._count, self._seconds = create, count, seconds
        self._limit, self._per_minute = limit, per_minute
        self._burst = max(1.0, per_minute)
        self._left, self._since = self._burst, seconds()
        self._turn = DeferredLock()

    async def make(self) -> str:
        """Make a database and return its secret.

        Raises:
            TooMany: a limit is reached.
            StoreError: it cannot be made.
        """
        self._spend()
        if self._limit is None:
            return await self._create()
        await self._turn.acquire()  # so that two at once do not both take the last place
        try:
            if await self._count() >= self._limit:
                raise TooMany(f"the limit of {self._limit} databases is reached")
            return await self._create()
        finally:
            self._turn.release()

    def _spend(self) -> None:
        """Take one of those that may be made now: they grow with time, up to a minute's worth."""
        if not self._per_minute:
            return
        now = self._seconds()
        grown = (now - self._since) * self._per_minute / 60
        self._left, self._since = min(self._burst, self._left + grown), now
        if self._left < 1:
            wait = (1 - self._left) * 60 / self._per_minute
            raise TooMany("too many databases are being made", int(wait) + 1)
        self._left -= 1


async def new_database(exchange: Exchange) -> Answer:
    """Answer the secret of a new database, as a JSON string."""
    makes, caller = exchange.services.new_databases, exchange.caller
    if makes is None:
        raise RuntimeError("this server has no such route")
    try:
        secret = await makes.make()
    except TooMany as refused:
        _log.warn("{caller} at {address}: {refused}",
                  caller=caller.name, address=caller.address, refused=refused)  # fmt: skip
        wait = refused.retry_seconds
        headers = () if wait is None else ((b"Retry-After", b"%d" % wait),)
        text = f"Database Error: {refused}".encode()
        return Answer(HTTPStatus.TOO_MANY_REQUESTS, text, TEXT, headers)
    _log.info("{caller} at {address} made a database", caller=caller.name, address=caller.address)
    return json_answer(secret)


def _made_here(services: Services) -> bool:
    return services.new_databases is not None


ROUTES = (
    Route("POST", "/new_database", Who.CALLER, new_database, exists=_made_here, needs=NEW_DATABASE),
)
