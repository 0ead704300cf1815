"""The headers that every answer carries, and the answers to browsers that ask before they ask.

CORS is permissive, as in the product: any page may talk to the server, but without credentials of
the browser's own (no client certificate, no cookie), since `*` forbids those.
"""

from __future__ import annotations

import re
import secrets
from http import HTTPStatus
from typing import TYPE_CHECKING

from kmsd.resources.route import Answer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from twisted.web.server import Request

ALLOWED_HEADERS = b"Authorization, Content-Type, DatabaseSecret, KmsDatabaseSecret, X-Request-Id, *"
"""`*` leaves Authorization out by definition, and old browsers leave `*` out."""

ALLOWED_METHODS = b"DELETE, GET, HEAD, OPTIONS, POST"
EXPOSED_HEADERS = b"Retry-After, X-Request-Id"
PREFLIGHT_SECONDS = b"3600"

_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")

PREFLIGHT = Answer(
    HTTPStatus.NO_CONTENT,
    content_type=b"",
    headers=(
        (b"Access-Control-Allow-Headers", ALLOWED_HEADERS),
        (b"Access-Control-Allow-Methods", ALLOWED_METHODS),
        (b"Access-Control-Max-Age", PREFLIGHT_SECONDS),
        (b"Allow", ALLOWED_METHODS),
    ),
)
"""What OPTIONS is answered, on every path: the request that follows says whether it exists."""


def set_common(request: Request, cors_origins: Sequence[str]) -> None:
    """Set what does not depend on the route: no sniffing of types, no keeping in caches."""
    request.setHeader(b"X-Request-Id", _request_id(request).encode())
    request.setHeader(b"X-Content-Type-Options", b"nosniff")
    request.setHeader(b"Cache-Control", b"no-store")
    if "*" in cors_origins:
        allowed = "*"
    else:
        request.setHeader(b"Vary", b"Origin")
        origin = request.getHeader("Origin")
        if origin is None or origin not in cors_origins:
            return
        allowed = origin
    request.setHeader(b"Access-Control-Allow-Origin", allowed.encode())
    request.setHeader(b"Access-Control-Expose-Headers", EXPOSED_HEADERS)


def _request_id(request: Request) -> str:
    """Return the client's own identifier of the request if it is harmless, else a new one."""
    given = request.getHeader("X-Request-Id")
    return given if given and _REQUEST_ID.fullmatch(given) else secrets.token_hex(8)


def request_id_of(request: Request) -> str:
    """Return the identifier that the answer carries, for logs."""
    return str((request.responseHeaders.getRawHeaders("X-Request-Id") or ["-"])[0])
