"""What is asked of the server, and how its answers are known to be right.

The bodies are those of the published 4.x client (JSON TTLV, bare operations).
"""

from __future__ import annotations

import http.client
import json
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from bench.load import PATH
from bench.server import Server

PLAINTEXT = secrets.token_bytes(64)
LOCATE_HITS = 10
STORED_KEYS = 1000  # there before the first measurement

Item = dict[str, Any]


def _item(tag: str, kind: str, value: Any) -> Item:
    return {"tag": tag, "type": kind, "value": value}


def _structure(tag: str, *items: Item) -> Item:
    return _item(tag, "Structure", list(items))


def _text(tag: str, value: str) -> Item:
    return _item(tag, "TextString", value)


def _tags(*tags: str) -> Item:
    value = _item("AttributeValue", "ByteString", json.dumps(tags).encode().hex().upper())
    name = (_text("VendorIdentification", "cosmian"), _text("AttributeName", "tag"))
    return _structure("VendorAttributes", _structure("VendorAttributes", *name, value))


def _create(*tags: str) -> Item:
    kind = _item("ObjectType", "Enumeration", "SymmetricKey")
    attributes = _structure(
        "Attributes",
        _item("CryptographicAlgorithm", "Enumeration", "AES"),
        _item("CryptographicLength", "Integer", 256),
        _item("CryptographicUsageMask", "Integer", 2108),
        _item("KeyFormatType", "Enumeration", "TransparentSymmetricKey"),
        kind,
        _tags(*tags),
    )
    return _structure("Create", kind, attributes)


def _named(operation: str, unique_identifier: str, *items: Item) -> Item:
    return _structure(operation, _text("UniqueIdentifier", unique_identifier), *items)


def _values(item: Item, tag: str) -> list[Any]:
    """All leaves of a tag, in order."""
    if item["type"] != "Structure":
        return [item["value"]] if item["tag"] == tag else []
    return [value for child in item["value"] for value in _values(child, tag)]


class Asker:
    """One keep-alive connection that asks, and looks at the answers."""

    def __init__(self, server: Server) -> None:
        self._connection = http.client.HTTPConnection(server.host, server.port, timeout=30)

    def ask(self, request: Item | str) -> Item:
        """Send a request; give the answer, which must be a success."""
        body = request if isinstance(request, str) else json.dumps(request)
        self._connection.request("POST", PATH, body, {"Content-Type": "application/json"})
        response = self._connection.getresponse()
        text = response.read().decode()
        assert response.status == http.client.OK, text
        answer: Item = json.loads(text)
        return answer

    def create(self, *tags: str) -> str:
        """Create an AES key of 256 bits."""
        return str(_values(self.ask(_create(*tags)), "UniqueIdentifier")[0])

    def key(self, unique_identifier: str) -> bytes:
        """Get a key's bytes."""
        return _key_bytes(self.ask(_named("Get", unique_identifier)))


@dataclass(frozen=True)
class Workload:
    """One request, and what must be true of each answer to it."""

    name: str
    body: str
    check: Callable[[Asker, Item], None]

    def sample(self, asker: Asker) -> None:
        """Ask once and look closely at the answer."""
        self.check(asker, asker.ask(self.body))


def prepare(server: Server) -> list[Workload]:
    """Fill the store and make the workloads."""
    asker, tag = Asker(server), f"bench {secrets.token_hex(8)}"
    hits = {asker.create(tag) for _ in range(LOCATE_HITS)}
    for _ in range(STORED_KEYS - LOCATE_HITS):
        asker.create()
    used = next(iter(hits))
    key = asker.key(used)
    data = _item("Data", "ByteString", PLAINTEXT.hex().upper())
    locate = _structure("Locate", _structure("Attributes", _tags(tag)))

    def encrypted(_: Asker, answer: Item) -> None:
        names = ("IvCounterNonce", "Data", "AuthenticatedEncryptionTag")
        nonce, sealed, mac = (bytes.fromhex(_values(answer, name)[0]) for name in names)
        assert AESGCM(key).decrypt(nonce, sealed + mac, None) == PLAINTEXT

    def got(_: Asker, answer: Item) -> None:
        assert _key_bytes(answer) == key

    def created(asker: Asker, answer: Item) -> None:
        assert len(asker.key(_values(answer, "UniqueIdentifier")[0])) == len(key)

    def located(_: Asker, answer: Item) -> None:
        assert set(_values(answer, "UniqueIdentifier")) == hits

    requests = {
        "Encrypt 64 B": (_named("Encrypt", used, data), encrypted),
        "Get": (_named("Get", used), got),
        "Create": (_create(), created),
        f"Locate {LOCATE_HITS} by tag": (locate, located),
    }
    return [
        Workload(name, json.dumps(request), check) for name, (request, check) in requests.items()
    ]


def _key_bytes(answer: Item) -> bytes:
    (value,) = _values(answer, "ByteString") or _values(answer, "Key")
    return bytes.fromhex(value)
