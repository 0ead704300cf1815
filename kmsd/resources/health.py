"""What the server says of itself: its version, and whether its database answers."""

from __future__ import annotations

import time
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from cryptography.hazmat.backends.openssl import backend
from twisted.internet import reactor
from twisted.internet.defer import ensureDeferred
from twisted.internet.error import TimeoutError as TwistedTimeoutError
from twisted.logger import Logger

from kmsd.resources.route import Answer, Exchange, Route, Services, Who, json_answer
from kmsd.store.interfaces import EVERYONE, StoreError

if TYPE_CHECKING:
    from twisted.internet.defer import Deferred
    from twisted.internet.interfaces import IReactorTime

PROBE_SECONDS = 5
"""A database that needs longer than this for one row is as good as down."""

_log = Logger("kmsd.http")


def version_text(version: str) -> str:
    """Return what GET /version says: the version and the OpenSSL in use, as 4.18 and later do."""
    return f"{version} ({backend.openssl_version_text()})"


async def version(exchange: Exchange) -> Answer:
    """Answer the version, as a JSON string."""
    return json_answer(exchange.services.version)


async def health(exchange: Exchange) -> Answer:
    """Answer whether the database does: 200 and UP, or 503 and DOWN. Source: the 5.15 server."""
    started = time.perf_counter()
    trouble = await _trouble(exchange.services)
    status = "DOWN" if trouble else "UP"
    database: dict[str, Any] = {"name": exchange.services.database_name, "status": status}
    if trouble:
        database["message"] = trouble
    return json_answer(
        {
            "status": status,
            "latency_ms": round((time.perf_counter() - started) * 1000),
            "dependencies": {"database": database},
        },
        HTTPStatus.SERVICE_UNAVAILABLE if trouble else HTTPStatus.OK,
    )


async def _trouble(services: Services) -> str | None:
    """Return what keeps the database from answering, in words fit for strangers."""
    try:
        await _bounded(ensureDeferred(_probe(services)))
    except (StoreError, TwistedTimeoutError) as error:
        _log.warn("the database does not answer: {error}", error=error)
        return "the database does not answer"
    return None


async def _probe(services: Services) -> None:
    store = await services.stores(None)
    await store.grants(EVERYONE)


def _bounded(probe: Deferred[None]) -> Deferred[None]:
    clock: IReactorTime = reactor
    return probe.addTimeout(PROBE_SECONDS, clock)


ROUTES = (
    Route("GET", "/version", Who.CALLER, version),
    Route("GET", "/health", Who.ANYONE, health),
)
