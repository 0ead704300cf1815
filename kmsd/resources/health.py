"""What the server says of itself: its version, and whether its database answers."""

from __future__ import annotations

import time
from http import HTTPStatus
from typing import Any

from cryptography.hazmat.backends.openssl import backend

from kmsd.resources.route import Answer, Exchange, Route, Who, json_answer
from kmsd.store.interfaces import EVERYONE


def version_text(version: str) -> str:
    """Return what GET /version says: the version and the OpenSSL in use, as 4.18 and later do."""
    return f"{version} ({backend.openssl_version_text()})"


async def version(exchange: Exchange) -> Answer:
    """Answer the version, as a JSON string."""
    return json_answer(exchange.services.version)


async def health(exchange: Exchange) -> Answer:
    """Answer whether the database does: 200 and UP, or 503 and DOWN. Source: the 5.15 server."""
    services = exchange.services

    async def probe() -> None:
        if services.probe is not None:
            await services.probe()
        else:
            await (await services.stores(None)).grants(EVERYONE)

    started = time.perf_counter()
    trouble = await services.pulse.trouble(probe)
    status = "DOWN" if trouble else "UP"
    database: dict[str, Any] = {"name": services.database_name, "status": status}
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


ROUTES = (
    Route("GET", "/version", Who.CALLER, version, needs=None),
    Route("GET", "/health", Who.ANYONE, health),
)
