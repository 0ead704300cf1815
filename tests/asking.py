"""Asking a server over HTTP, as a client of any kind would."""

from __future__ import annotations

import http.client
import json
import ssl
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests import pki
from tests.conftest import Kmsd

Answer = tuple[int, bytes]


def ask(
    server: Kmsd,
    path: str = "/access/owned",
    token: str | None = None,
    method: str = "GET",
    body: Any = None,
    headers: Mapping[str, str] | None = None,
    tls: ssl.SSLContext | None = None,
) -> Answer:
    """Send a request, with a bearer token, on a connection of its own; return status and body."""
    connection = (
        http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
        if tls is None
        else http.client.HTTPSConnection("localhost", server.port, timeout=30, context=tls)
    )
    sent = dict(headers or {})
    if token is not None:
        sent["Authorization"] = f"Bearer {token}"
    try:
        connection.request(method, path, None if body is None else json.dumps(body), sent)
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


CREATE = {
    "tag": "Create",
    "value": [
        {"tag": "ObjectType", "type": "Enumeration", "value": "SymmetricKey"},
        {
            "tag": "Attributes",
            "value": [
                {"tag": "CryptographicAlgorithm", "type": "Enumeration", "value": "AES"},
                {"tag": "CryptographicLength", "type": "Integer", "value": 256},
            ],
        },
    ],
}


def create(server: Kmsd, token: str | None = None, **more: Any) -> str:
    """Make a key; return its identifier."""
    status, body = ask(server, "/kmip/2_1", token, "POST", CREATE, **more)
    assert status == 200, body
    values = json.loads(body)["value"]
    return next(str(item["value"]) for item in values if item["tag"] == "UniqueIdentifier")


def owned(server: Kmsd, token: str | None = None, **more: Any) -> set[str]:
    """Return the identifiers of the caller's objects."""
    status, body = ask(server, "/access/owned", token, **more)
    assert status == 200, body
    return {row["object_id"] for row in json.loads(body)}


def operation(name: str, uid: str) -> dict[str, Any]:
    """Return a request that names one object."""
    return {"tag": name, "value": [{"tag": "UniqueIdentifier", "type": "TextString", "value": uid}]}


def trusting(authority: pki.Identity, shown: tuple[Path, Path] | None = None) -> ssl.SSLContext:
    """Return the TLS of a client that trusts an authority, and may show a certificate."""
    context = ssl.create_default_context(cadata=authority.pem.decode())
    if shown is not None:
        context.load_cert_chain(*shown)
    return context
