"""A whole server behind a loopback port: real store, real engine, real HTTP."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import treq
from pytest_twisted import blockon
from twisted.internet import reactor
from twisted.internet.defer import ensureDeferred
from twisted.internet.endpoints import serverFromString
from twisted.internet.threads import deferToThread
from twisted.web.client import Agent
from twisted.web.http_headers import Headers

from kmsd.identity import AuthenticationFailed, Evidence, Identity
from kmsd.operations import call
from kmsd.operations.engine import Engine
from kmsd.resources import root_resource
from kmsd.resources.route import Services, one_store
from kmsd.resources.site import KmsdSite, make_site
from kmsd.store import Database, open_store

CLOCK: Any = reactor

CREATE = {
    "tag": "Create",
    "value": [
        {"tag": "ObjectType", "type": "Enumeration", "value": "SymmetricKey"},
        {
            "tag": "Attributes",
            "value": [
                {"tag": "CryptographicAlgorithm", "type": "Enumeration", "value": "AES"},
                {"tag": "CryptographicLength", "type": "Integer", "value": 256},
                {"tag": "CryptographicUsageMask", "type": "Integer", "value": 12},
            ],
        },
    ],
}


@dataclasses.dataclass(frozen=True)
class BearerName:
    """A mechanism of the simplest kind: `Bearer NAME` is NAME."""

    name: str = "token"

    async def identify(self, evidence: Evidence) -> str | None:
        if evidence.authorization == "Bearer forged":
            raise AuthenticationFailed("forged")
        return (evidence.authorization or "").removeprefix("Bearer ") or None


@dataclasses.dataclass(frozen=True)
class Reply:
    """What came back."""

    status: int
    headers: dict[str, str]
    body: bytes
    length: Any  # of Content-Length

    @property
    def json(self) -> Any:
        assert self.headers["content-type"] == "application/json"
        return json.loads(self.body)

    @property
    def text(self) -> str:
        return self.body.decode()


@dataclasses.dataclass
class Served:
    """A server and ways to ask it something."""

    url: str
    store: Any
    services: Services
    site: KmsdSite

    async def ask(
        self,
        method: str,
        path: str,
        body: Any = None,
        user: str | None = "owner",
        **headers: str,
    ) -> Reply:
        """Send a request as `user`; a body that is not bytes goes as JSON."""
        data = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
        sent = Headers({name.replace("_", "-"): [value] for name, value in headers.items()})
        if user is not None:
            sent.addRawHeader("Authorization", f"Bearer {user}")
        response = await treq.request(
            method, self.url + path, headers=sent, data=data, agent=Agent(reactor)
        )
        received = {
            name.decode().lower(): values[-1].decode()
            for name, values in response.headers.getAllRawHeaders()
        }
        return Reply(response.code, received, await response.content(), response.length)

    async def create(self, user: str = "owner") -> str:
        """Make a key and return its identifier."""
        answer = (await self.ask("POST", "/kmip/2_1", CREATE, user)).json
        return next(
            str(item["value"]) for item in answer["value"] if item["tag"] == "UniqueIdentifier"
        )

    async def get(self, uid: str, user: str) -> Reply:
        """Ask for a key."""
        named = {"tag": "UniqueIdentifier", "type": "TextString", "value": uid}
        return await self.ask("POST", "/kmip/2_1", {"tag": "Get", "value": [named]}, user)

    async def grant(self, uid: str, user: str, *operations: str, by: str = "owner") -> Reply:
        """Let `user` do something."""
        body = {"unique_identifier": uid, "user_id": user, "operation_types": operations}
        return await self.ask("POST", "/access/grant", body, by)

    async def revoke(self, uid: str, user: str, *operations: str, by: str = "owner") -> Reply:
        """Take it back."""
        body = {"unique_identifier": uid, "user_id": user, "operation_types": operations}
        return await self.ask("POST", "/access/revoke", body, by)


@contextlib.contextmanager
def serving(
    folder: Path, privileged: frozenset[str] = frozenset(), **options: Any
) -> Iterator[Served]:
    """Run a server for as long as the context lasts, and stop it properly."""
    store = open_store(CLOCK, Database(type="sqlite", path=folder))
    offload: Any = deferToThread
    engine = Engine(
        call.Services(
            clock=time.time, offload=offload, version="1.2.3", privileged_users=privileged
        )
    )
    services = Services(
        engine=engine,
        stores=one_store(store),
        identity=Identity(mechanisms=(BearerName(),)),
        version="1.2.3 (test)",
        privileged_users=privileged,
        **options,
    )
    site = make_site(root_resource(services))
    port = blockon(serverFromString(reactor, "tcp:0:interface=127.0.0.1").listen(site))
    yield Served(f"http://127.0.0.1:{port.getHost().port}", store, services, site)
    blockon(port.stopListening())
    blockon(site.drain(5))
    blockon(ensureDeferred(store.close()))


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    """A server on which everybody may create."""
    with serving(tmp_path) as each:
        yield each


@pytest.fixture
def privileged(tmp_path: Path) -> Iterator[Served]:
    """A server on which only `root` and `toor`, and whom they allow to, may create."""
    with serving(tmp_path, frozenset({"root", "toor"})) as each:
        yield each


@pytest.fixture
def choosy(tmp_path: Path) -> Iterator[Served]:
    """A server whose answers only one web page may read."""
    with serving(tmp_path, cors_origins=("https://ui.example.com",)) as each:
        yield each
