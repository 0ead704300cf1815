"""The HTTP face of the server: every route in one table, one way to refuse.

`root_resource(services)` is the whole tree, ready for the `Site` of `kmsd.resources.site`, which
adds the limits, or for a client in memory. What the inside raises becomes a status here and
nowhere else: `STATUS` and `PREFIX` are the table, `answer_to_error` reads it.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote_to_bytes

from klein import Klein
from twisted.internet.defer import CancelledError, Deferred, ensureDeferred
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.web.resource import Resource
from werkzeug.exceptions import HTTPException

from kmsd.identity import AuthenticationFailed
from kmsd.kmip.enums import ResultReason
from kmsd.kmip.errors import KmipError
from kmsd.resources import (
    access,
    access_lists,
    certificates,
    databases,
    health,
    kmip,
    kmip_messages,
)
from kmsd.resources.headers import PREFLIGHT, request_id_of, set_common
from kmsd.resources.route import (
    TEXT,
    Answer,
    Exchange,
    InFlight,
    Refusal,
    RequestEvidence,
    Route,
    Services,
    Who,
    body_of,
)
from kmsd.store.interfaces import NotStorable, SecretRefused, StoreFull, StoreUnavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from twisted.web.server import Request

    from kmsd.operations.call import Caller

ROUTES: tuple[Route, ...] = (
    *kmip.ROUTES,
    *kmip_messages.ROUTES,
    *access.ROUTES,
    *access_lists.ROUTES,
    *certificates.ROUTES,
    *databases.ROUTES,
    *health.ROUTES,
)
"""Every route there is."""

STATUS = {
    ResultReason.AUTHENTICATION_NOT_SUCCESSFUL: HTTPStatus.UNAUTHORIZED,
    ResultReason.PERMISSION_DENIED: HTTPStatus.UNAUTHORIZED,
    ResultReason.NOT_AUTHORISED: HTTPStatus.UNAUTHORIZED,
    ResultReason.OPERATION_NOT_SUPPORTED: HTTPStatus.NOT_FOUND,
    ResultReason.GENERAL_FAILURE: HTTPStatus.INTERNAL_SERVER_ERROR,
    ResultReason.INTERNAL_SERVER_ERROR: HTTPStatus.INTERNAL_SERVER_ERROR,
}
"""ResultReason of a bare operation → status; all others are 422, as the product has it."""

PREFIX = {
    ResultReason.AUTHENTICATION_NOT_SUCCESSFUL: "Access denied",
    ResultReason.PERMISSION_DENIED: "Access denied",
    ResultReason.NOT_AUTHORISED: "Access denied",
    ResultReason.OPERATION_NOT_SUPPORTED: "Not Supported route",
    ResultReason.INVALID_MESSAGE: "Invalid Request",
    ResultReason.FEATURE_NOT_SUPPORTED: "Not Supported",
}
"""ResultReason → how the text of the answer begins, where that is not the reason's own name."""

FAILURE_TEXT = "Internal server error"
"""All that a caller learns of a failure that is the server's own."""

TEXT_CHARACTERS = 2000
"""The longest text of a refusal: it may quote what the caller sent."""

NOT_FOUND = Answer(HTTPStatus.NOT_FOUND, content_type=b"")
"""Clients word a 404 well when its body is empty; the product says the same to a wrong method."""

_log = Logger("kmsd.http")


def root_resource(services: Services, routes: Iterable[Route] = ROUTES) -> RootResource:
    """Return the resource that answers those of `routes` that this server has."""
    return RootResource(services, tuple(route for route in routes if route.exists(services)))


class RootResource(Resource):
    """What every answer has in common, then Klein's tree."""

    isLeaf = True  # noqa: N815 (Twisted's name)

    def __init__(self, services: Services, routes: tuple[Route, ...]) -> None:
        """Make the tree of `routes`."""
        super().__init__()  # type: ignore[no-untyped-call]
        self.in_flight = InFlight()
        self.routes = routes
        self._cors_origins = services.cors_origins
        self._klein = _klein(services, routes, self.in_flight).resource()

    @property
    def roomy(self) -> frozenset[bytes]:
        """How the paths begin that take bodies up to the large limit."""
        return frozenset(
            route.path.partition("<")[0].encode() for route in self.routes if route.roomy
        )

    def render(self, request: Request) -> Any:
        """Answer a request."""
        set_common(request, self._cors_origins)
        if request.method == b"OPTIONS":
            return written(request, PREFLIGHT)
        if not _routable(request.path):
            return written(request, NOT_FOUND)
        return self._klein.render(request)


def _routable(path: bytes) -> bool:
    """Tell whether the router may see a path: it takes `//a` for `/a`, which a proxy may not."""
    return path.startswith(b"/") and not path.startswith(b"//") and _is_utf8(path)


def _is_utf8(path: bytes) -> bool:
    try:
        unquote_to_bytes(path).decode()
    except UnicodeDecodeError:
        return False
    return True


def _klein(services: Services, routes: tuple[Route, ...], in_flight: InFlight) -> Klein:
    app = Klein()
    app.url_map.merge_slashes = False  # a redirect would quote the Host header
    for route in routes:
        name = f"{route.method} {route.path}"
        endpoint = _endpoint(route, services, in_flight)
        app.route(route.path, methods=[route.method], endpoint=name)(endpoint)

    @app.handle_errors  # type: ignore[call-overload]
    def refuse(request: Request, failure: Failure) -> bytes:
        return written(request, answer_to_error(failure, request))

    return app


def _endpoint(route: Route, services: Services, in_flight: InFlight) -> Callable[..., Any]:
    """Return the function that Klein calls for `route`."""

    async def answered(request: Request, path: dict[str, str]) -> bytes:
        with in_flight:
            body, caller = body_of(request), None
            if route.who is Who.CALLER:
                caller = await _identified(services, request)
                if route.needs is not None:
                    caller.check(route.needs)
            answer = await route.handler(Exchange(request, services, body, caller), **path)
        return b"" if answer is None else written(request, answer)

    def endpoint(request: Request, **path: str) -> Deferred[bytes]:
        return _kept(ensureDeferred(answered(request, path)), request)

    return endpoint


async def _identified(services: Services, request: Request) -> Caller:
    evidence = RequestEvidence(request)
    try:
        return await services.identity.caller(evidence, "http")
    except AuthenticationFailed as error:
        _log.info(
            "{address} is not authenticated ({request_id}): {error}",
            address=evidence.address,
            request_id=request_id_of(request),
            error=error,
        )
        raise


def _kept(work: Deferred[bytes], request: Request) -> Deferred[bytes]:
    """Return a Deferred for the result of `work` that may be cancelled without stopping it.

    Klein cancels when the client leaves. What was begun is carried out all the same, so that its
    audit event tells what happened.
    """
    if work.called:
        return work
    left: list[object] = []
    waiting: Deferred[bytes] = Deferred(left.append)

    def done(result: bytes | Failure) -> None:
        if not left:
            waiting.callback(result)
        elif isinstance(result, Failure):
            answer_to_error(result, request)

    work.addBoth(done)
    return waiting


def written(request: Request, answer: Answer) -> bytes:
    """Set status and headers; return the body, for the framework to write."""
    request.setResponseCode(answer.status, HTTPStatus(answer.status).phrase.encode())
    if answer.content_type:
        request.setHeader(b"Content-Type", answer.content_type)
    for name, value in answer.headers:
        request.setHeader(name, value)
    if answer.status != HTTPStatus.NO_CONTENT:
        request.setHeader(b"Content-Length", b"%d" % len(answer.body))
    return answer.body


def answer_to_error(failure: Failure, request: Request) -> Answer:
    """Return what a caller learns of an error; what is the server's fault goes to the log."""
    error = failure.value
    if isinstance(error, KmipError):
        return _refusal(error)
    for kind, answer in _ANSWERS:
        if isinstance(error, kind):
            return answer(error)
    if not isinstance(error, CancelledError):
        _log.failure("request {request_id} failed", failure, request_id=request_id_of(request))
    return _text(HTTPStatus.INTERNAL_SERVER_ERROR, FAILURE_TEXT)


def _refusal(error: KmipError) -> Answer:
    status = STATUS.get(error.reason, HTTPStatus.UNPROCESSABLE_ENTITY)
    if status is HTTPStatus.INTERNAL_SERVER_ERROR:
        return _text(status, FAILURE_TEXT)
    prefix = PREFIX.get(error.reason, error.reason.wire_name)
    return _text(status, f"{prefix}: {error.message}")


def _text(status: int, text: str, *headers: tuple[bytes, bytes]) -> Answer:
    """Answer plain text: the product says HTML, but no client looks, and a browser would run it."""
    return Answer(status, text[:TEXT_CHARACTERS].encode("utf-8", "replace"), TEXT, headers)


def _unauthenticated(_error: object) -> Answer:
    """Answer an empty 401, which clients word as a bad token."""
    challenge = (b"WWW-Authenticate", b"Bearer")
    return Answer(HTTPStatus.UNAUTHORIZED, content_type=b"", headers=(challenge,))


def _unavailable(error: Any) -> Answer:
    full = isinstance(error, StoreFull)
    _log.warn("the store is not available: {error}", error=error)
    return _text(
        HTTPStatus.INSUFFICIENT_STORAGE if full else HTTPStatus.SERVICE_UNAVAILABLE,
        "Database Error: the database is not available at the moment",
        (b"Retry-After", b"%d" % max(1, error.retry_after_seconds)),
    )


_ANSWERS: tuple[tuple[type[BaseException], Callable[[Any], Answer]], ...] = (
    (HTTPException, lambda _: NOT_FOUND),
    (AuthenticationFailed, _unauthenticated),
    (Refusal, lambda error: _text(error.status, error.text)),
    (StoreUnavailable, _unavailable),
    (
        NotStorable,
        lambda error: _text(HTTPStatus.UNPROCESSABLE_ENTITY, f"Invalid Request: {error}"),
    ),
    (SecretRefused, lambda _: _text(HTTPStatus.UNAUTHORIZED, "Access denied: no such database")),
)
"""What is raised on the way, besides KmipError, and what it is answered with."""
