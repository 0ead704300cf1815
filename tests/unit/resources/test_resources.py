"""The tree of routes: who is let in, what errors become, which headers every answer carries."""

# mypy: allow-untyped-decorators, allow-untyped-calls
# pytest-twisted and parts of treq have no annotations

from __future__ import annotations

import json
from typing import Any, cast

import pytest
import pytest_twisted
from treq.testing import StubTreq
from twisted.internet.defer import Deferred, ensureDeferred
from twisted.logger import LogLevel, capturedLogs

from kmsd.identity import AuthenticationFailed, Evidence, Identity
from kmsd.kmip.enums import ResultReason
from kmsd.kmip.errors import KmipError
from kmsd.resources import PREFIX, ROUTES, STATUS, root_resource
from kmsd.resources.route import Answer, Exchange, Refusal, Route, Services, Who
from kmsd.store.interfaces import (
    NotStorable,
    SecretRefused,
    StoreDamaged,
    StoreFull,
    StoreUnavailable,
)

PUBLIC = {("GET", "/health")}
"""The routes that ask nobody who they are. A longer list is a decision, not an accident."""


class Nobody:
    """A mechanism that lets nobody in."""

    name = "nobody"

    async def identify(self, _evidence: Evidence) -> str | None:
        raise AuthenticationFailed("nobody comes in")


def memory(*routes: Route, **options: Any) -> Any:
    """Return a client, in memory, of a tree with these routes."""
    nothing = cast("Any", None)
    return StubTreq(root_resource(Services(engine=nothing, stores=nothing, **options), routes))


async def fetched(client: Any, method: str, path: str, **options: Any) -> Any:
    """Return the response and its body."""
    response = await client.request(method, f"http://kmsd{path}", **options)
    return response, await response.content()


def raising(error: BaseException) -> Route:
    async def fail(_exchange: Exchange) -> Answer:
        raise error

    return Route("GET", "/", Who.ANYONE, fail)


# Who is let in


def test_every_route_but_the_listed_ones_wants_to_know_who_calls() -> None:
    public = {(route.method, route.path) for route in ROUTES if route.who is not Who.CALLER}
    assert public == PUBLIC


def test_there_is_no_route_that_the_table_does_not_know() -> None:
    """What the router answers is exactly the table."""
    nothing = cast("Any", None)
    services = Services(engine=nothing, stores=nothing, new_databases=cast("Any", object()))
    root = root_resource(services)
    rules = {
        (method, rule.rule)
        for rule in root._klein._app.url_map.iter_rules()
        for method in set(rule.methods or ()) - {"HEAD", "OPTIONS"}
    }
    assert rules == {(route.method, route.path) for route in ROUTES}


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: f"{route.method} {route.path}")
@pytest_twisted.ensureDeferred
async def test_a_route_answers_nobody_it_does_not_know(route: Route) -> None:
    """An empty 401, which clients word as a bad token; the handler is never reached."""
    everything = {"new_databases": cast("Any", object())}
    client = memory(*ROUTES, identity=Identity(mechanisms=(Nobody(),)), **everything)
    path = route.path.replace("<path:object_id>", "x")
    if (route.method, route.path) in PUBLIC:
        pytest.skip("answers everybody, on purpose")
    response, body = await fetched(client, route.method, path)
    assert (response.code, body) == (401, b"")
    assert response.headers.getRawHeaders("WWW-Authenticate") == ["Bearer"]


@pytest_twisted.ensureDeferred
async def test_a_public_route_that_asks_for_the_caller_fails() -> None:
    """Forgetting to declare a route never makes somebody the default user."""

    async def careless(exchange: Exchange) -> Answer:
        return Answer(body=exchange.caller.name.encode())

    with capturedLogs() as logs:
        response, body = await fetched(memory(Route("GET", "/", Who.ANYONE, careless)), "GET", "/")
    assert (response.code, body) == (500, b"Internal server error")
    assert any("identifies nobody" in str(event.get("log_failure")) for event in logs)


@pytest_twisted.ensureDeferred
async def test_forwarded_addresses_are_not_believed() -> None:
    async def tell(exchange: Exchange) -> Answer:
        return Answer(body=exchange.caller.address.encode())

    headers = {"X-Forwarded-For": "10.9.8.7", "Forwarded": "for=10.9.8.7", "X-Real-IP": "10.9.8.7"}
    client = memory(Route("GET", "/", Who.CALLER, tell))
    _, body = await fetched(client, "GET", "/", headers=headers)
    assert body == b"127.0.0.1"


# What errors become


@pytest.mark.parametrize("reason", ResultReason)
@pytest_twisted.ensureDeferred
async def test_every_reason_has_its_status_and_prefix(reason: ResultReason) -> None:
    client = memory(raising(KmipError(reason, "<b>why</b>")))
    response, body = await fetched(client, "GET", "/")
    assert response.code == STATUS.get(reason, 422)
    if response.code == 500:
        assert body == b"Internal server error"
    else:
        assert body.decode() == f"{PREFIX.get(reason, reason.wire_name)}: <b>why</b>"
    assert response.headers.getRawHeaders("Content-Type") == ["text/plain; charset=utf-8"]
    assert response.headers.getRawHeaders("X-Content-Type-Options") == ["nosniff"]


@pytest.mark.parametrize(
    ("error", "status", "text"),
    [
        (StoreUnavailable("db1.internal: refused"), 503, "Database Error: "),
        (StoreFull("/var/lib: full"), 507, "Database Error: "),
        (StoreDamaged("/var/lib/kms.db: malformed"), 500, "Internal server error"),
        (NotStorable("the name is too long"), 422, "Invalid Request: the name is too long"),
        (SecretRefused("group 5"), 401, "Access denied: "),
        (Refusal(409, "taken"), 409, "taken"),
        (RuntimeError("internal detail"), 500, "Internal server error"),
        (AuthenticationFailed("kid unknown"), 401, ""),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else "",
)
@pytest_twisted.ensureDeferred
async def test_other_errors_say_what_the_caller_can_use(
    error: Exception, status: int, text: str
) -> None:
    with capturedLogs():
        response, body = await fetched(memory(raising(error)), "GET", "/")
    assert response.code == status
    assert body.decode().startswith(text)
    for detail in ("db1", "/var", "group 5", "internal detail", "kid"):
        assert detail not in body.decode()


@pytest_twisted.ensureDeferred
async def test_a_database_that_is_away_says_when_to_come_back() -> None:
    error = StoreUnavailable("away", retry_after_seconds=7)
    response, _ = await fetched(memory(raising(error)), "GET", "/")
    assert response.headers.getRawHeaders("Retry-After") == ["7"]


@pytest_twisted.ensureDeferred
async def test_a_bug_is_logged_with_the_identifier_that_the_caller_got() -> None:
    with capturedLogs() as logs:
        response, _ = await fetched(memory(raising(RuntimeError("bug"))), "GET", "/")
    [event] = [event for event in logs if event["log_level"] is LogLevel.critical]
    assert [event["request_id"]] == response.headers.getRawHeaders("X-Request-Id")


@pytest_twisted.ensureDeferred
async def test_a_refusal_does_not_repeat_megabytes() -> None:
    long = KmipError(ResultReason.INVALID_FIELD, "x" * 1_000_000)
    _, body = await fetched(memory(raising(long)), "GET", "/")
    assert len(body) == 2000


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/nothing"),
        ("GET", "/"),
        ("POST", "/version"),
        ("PUT", "/kmip/2_1"),
        ("GET", "/kmip/2_1"),
        ("GET", "/version/"),
        ("GET", "//version"),
        ("GET", "/access//owned"),
        ("GET", "/%ff"),
        ("BREW", "/version"),
    ],
)
@pytest_twisted.ensureDeferred
async def test_what_is_not_there_is_an_empty_404(served: Any, method: str, path: str) -> None:
    """Empty, so that clients word it as an unknown endpoint; never a redirect."""
    with capturedLogs() as logs:
        reply = await served.ask(method, path)
    assert (reply.status, reply.body) == (404, b"")
    assert "location" not in reply.headers
    assert [event for event in logs if event["log_level"] >= LogLevel.warn] == []


@pytest_twisted.ensureDeferred
async def test_the_host_header_decides_nothing(served: Any) -> None:
    for host in ("evil.example.com", "a b", "\u00e9".encode().decode("latin-1"), "x" * 300):
        reply = await served.ask("GET", "/version", Host=host)
        assert reply.status == 200
        assert host not in str(reply.headers)


# KMIP


@pytest_twisted.ensureDeferred
async def test_a_bare_operation_is_answered_in_json(served: Any) -> None:
    uid = await served.create()
    reply = await served.get(uid, "owner")
    assert reply.status == 200
    assert reply.json["tag"] == "GetResponse"
    assert reply.length == len(reply.body)


@pytest_twisted.ensureDeferred
async def test_the_content_type_of_a_request_does_not_matter(served: Any) -> None:
    body = json.dumps({"tag": "Query", "value": []}).encode()
    for content_type in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data"):
        reply = await served.ask("POST", "/kmip/2_1", body, Content_Type=content_type)
        assert reply.status == 200


@pytest_twisted.ensureDeferred
async def test_a_failed_operation_is_a_status_and_a_text(served: Any) -> None:
    reply = await served.get("nothing", "owner")
    assert reply.status == 422
    assert reply.text.startswith("Object_Not_Found: ")


@pytest_twisted.ensureDeferred
async def test_an_unknown_operation_is_404(served: Any) -> None:
    reply = await served.ask("POST", "/kmip/2_1", {"tag": "Fly", "value": []})
    assert (reply.status, reply.text) == (404, "Not Supported route: Operation: Fly")


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[]", b'"x"', b"\xff", b"\xef\xbb\xbf{}", b"[" * 9999]
)
@pytest_twisted.ensureDeferred
async def test_what_is_not_json_is_422(served: Any, body: bytes) -> None:
    reply = await served.ask("POST", "/kmip/2_1", body)
    assert reply.status == 422
    assert reply.text.startswith("Invalid Request: ")


def message(*items: Any, version: Any = 2) -> dict[str, Any]:
    numbers = [
        {"tag": "ProtocolVersionMajor", "type": "Integer", "value": version},
        {"tag": "ProtocolVersionMinor", "type": "Integer", "value": 0},
    ]
    header = {"tag": "RequestHeader", "value": [{"tag": "ProtocolVersion", "value": numbers}]}
    return {"tag": "RequestMessage", "value": [header, *items]}


def leaves(item: Any) -> dict[str, Any]:
    """Return the leaves of an answer, by tag."""
    if not isinstance(item["value"], list):
        return {item["tag"]: item["value"]}
    return {tag: value for child in item["value"] for tag, value in leaves(child).items()}


@pytest_twisted.ensureDeferred
async def test_a_message_answers_200_whatever_its_items_did(served: Any) -> None:
    uid = {"tag": "UniqueIdentifier", "type": "TextString", "value": "nothing"}
    item = {
        "tag": "BatchItem",
        "value": [
            {"tag": "Operation", "type": "Enumeration", "value": "Get"},
            {"tag": "RequestPayload", "value": [uid]},
        ],
    }
    reply = await served.ask("POST", "/kmip/2_1", message(item))
    assert reply.status == 200
    assert leaves(reply.json)["ResultStatus"] == "OperationFailed"


@pytest_twisted.ensureDeferred
async def test_a_message_that_fails_as_a_whole_answers_200_as_well(served: Any) -> None:
    """Clients of messages look for the reason inside, and for their own version."""
    reply = await served.ask("POST", "/kmip/2_1", message({"tag": "BatchItem", "value": []}))
    assert reply.status == 200
    found = leaves(reply.json)
    assert found["ResultStatus"] == "OperationFailed"
    assert found["ResultReason"] == "Invalid_Message"
    assert (found["ProtocolVersionMajor"], found["ProtocolVersionMinor"]) == (2, 0)


@pytest_twisted.ensureDeferred
async def test_a_message_without_a_readable_version_is_answered_in_ours(served: Any) -> None:
    for broken in (message(version="0x"), {"tag": "RequestMessage", "value": []}):
        reply = await served.ask("POST", "/kmip/2_1", broken)
        if reply.status == 200:
            assert leaves(reply.json)["ProtocolVersionMinor"] == 1
        else:
            assert reply.text.startswith("Invalid Request: ")


@pytest_twisted.ensureDeferred
async def test_the_database_secret_is_read_from_either_header() -> None:
    asked: list[str | None] = []

    async def stores(secret: str | None) -> Any:
        asked.append(secret)

    async def look(exchange: Exchange) -> Answer:
        await exchange.store()
        return Answer()

    services = Services(engine=cast("Any", None), stores=stores)
    client: Any = StubTreq(root_resource(services, [Route("GET", "/", Who.ANYONE, look)]))
    for headers in ({"KmsDatabaseSecret": "a"}, {"databasesecret": "b"}, {}):
        await fetched(client, "GET", "/", headers=headers)
    assert asked == ["a", "b", None]


# The rest


@pytest_twisted.ensureDeferred
async def test_the_version_is_a_json_string(served: Any) -> None:
    assert (await served.ask("GET", "/version")).json == "1.2.3 (test)"


@pytest_twisted.ensureDeferred
async def test_head_is_get_without_the_body(served: Any) -> None:
    get, head = [await served.ask(method, "/version") for method in ("GET", "HEAD")]
    assert (head.status, head.body) == (200, b"")
    assert head.headers["content-length"] == str(len(get.body))


@pytest_twisted.ensureDeferred
async def test_health_tells_whether_the_database_answers(served: Any) -> None:
    up = await served.ask("GET", "/health", user=None)
    assert up.status == 200
    latency = up.json["latency_ms"]
    assert up.json == {
        "status": "UP",
        "latency_ms": latency,
        "dependencies": {"database": {"name": "sqlite", "status": "UP"}},
    }
    await served.store.close()
    served.services.pulse._fresh_until = 0
    with capturedLogs():
        down = await served.ask("GET", "/health", user=None)
    assert down.status == 503
    database = down.json["dependencies"]["database"]
    assert (down.json["status"], database["status"]) == ("DOWN", "DOWN")
    assert database["message"] == "the database does not answer"


@pytest_twisted.ensureDeferred
async def test_many_who_ask_for_health_make_one_query() -> None:
    asked: list[Deferred[Any]] = []

    async def stores(_secret: str | None) -> Any:
        asked.append(Deferred())
        return await asked[-1]

    class Empty:
        async def grants(self, _uid: str) -> dict[str, Any]:
            return {}

    client: Any = StubTreq(root_resource(Services(engine=cast("Any", None), stores=stores)))
    waiting = [ensureDeferred(fetched(client, "GET", "/health")) for _ in range(10)]
    assert len(asked) == 1
    asked[0].callback(Empty())
    client.flush()
    assert [(await each)[0].code for each in waiting] == [200] * 10
    await fetched(client, "GET", "/health")
    assert len(asked) == 1


@pytest_twisted.ensureDeferred
async def test_a_harmless_request_identifier_is_echoed(served: Any) -> None:
    reply = await served.ask("GET", "/version", X_Request_Id="job-7.a_b")
    assert reply.headers["x-request-id"] == "job-7.a_b"


@pytest.mark.parametrize("given", ["a b", "x" * 65, "é", "<script>", '"', "a,b", ""])
@pytest_twisted.ensureDeferred
async def test_any_other_request_identifier_is_replaced(served: Any, given: str) -> None:
    reply = await served.ask("GET", "/version", X_Request_Id=given)
    assert len(reply.headers["x-request-id"]) == 16
    assert given == "" or given not in reply.headers["x-request-id"]


@pytest_twisted.ensureDeferred
async def test_answers_are_not_kept_in_caches(served: Any) -> None:
    assert (await served.ask("GET", "/version")).headers["cache-control"] == "no-store"


# Browsers


@pytest.mark.parametrize("path", sorted({route.path for route in ROUTES}))
@pytest_twisted.ensureDeferred
async def test_preflights_are_answered_on_every_route(served: Any, path: str) -> None:
    reply = await served.ask(
        "OPTIONS",
        path.replace("<path:object_id>", "x"),
        user=None,
        Origin="https://app.example.com",
        Access_Control_Request_Method="POST",
        Access_Control_Request_Headers="authorization, content-type, kmsdatabasesecret",
    )
    assert (reply.status, reply.body) == (204, b"")
    assert reply.headers["access-control-allow-origin"] == "*"
    for name in ("Authorization", "Content-Type", "KmsDatabaseSecret", "DatabaseSecret"):
        assert name in reply.headers["access-control-allow-headers"].split(", ")
    for method in ("GET", "POST", "DELETE"):
        assert method in reply.headers["access-control-allow-methods"].split(", ")
    assert "access-control-allow-credentials" not in reply.headers
    assert "content-length" not in reply.headers


@pytest_twisted.ensureDeferred
async def test_pages_may_read_errors_as_well(served: Any) -> None:
    reply = await served.ask("GET", "/nothing", Origin="https://app.example.com")
    assert reply.headers["access-control-allow-origin"] == "*"


@pytest_twisted.ensureDeferred
async def test_origins_can_be_limited(choosy: Any) -> None:
    for origin, allowed in {
        "https://ui.example.com": "https://ui.example.com",
        "https://evil.example.com": None,
    }.items():
        reply = await choosy.ask("GET", "/version", Origin=origin)
        assert reply.headers.get("access-control-allow-origin") == allowed
        assert reply.headers["vary"] == "Origin"


# Clients that leave


@pytest_twisted.ensureDeferred
async def test_what_was_begun_is_finished_when_the_client_leaves() -> None:
    waiting: Deferred[None] = Deferred()
    finished = []

    async def slow(_exchange: Exchange) -> Answer:
        await waiting
        finished.append(True)
        return Answer()

    root = root_resource(
        Services(engine=cast("Any", None), stores=cast("Any", None)),
        [Route("GET", "/", Who.ANYONE, slow)],
    )
    client: Any = StubTreq(root)
    asked = client.get("http://kmsd/")
    assert root.in_flight.count == 1
    asked.addErrback(lambda _: None)
    asked.cancel()
    assert (root.in_flight.count, finished) == (1, [])
    waiting.callback(None)
    assert (root.in_flight.count, finished) == (0, [True])


@pytest_twisted.ensureDeferred
async def test_a_failure_after_the_client_left_is_still_logged() -> None:
    waiting: Deferred[None] = Deferred()

    async def slow(_exchange: Exchange) -> Answer:
        await waiting
        raise RuntimeError("late")

    client = memory(Route("GET", "/", Who.ANYONE, slow))
    asked = client.get("http://kmsd/")
    asked.addErrback(lambda _: None)
    asked.cancel()
    with capturedLogs() as logs:
        waiting.callback(None)
    assert [event["log_level"] for event in logs] == [LogLevel.critical]
