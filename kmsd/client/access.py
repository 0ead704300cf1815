"""What is not KMIP: rights, lists of objects, the version, encrypted databases."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any
from urllib.parse import quote

import msgspec

from kmsd.client.errors import ClientError, Trouble
from kmsd.client.http import Http

_JSON = "application/json"


async def grant(http: Http, unique_identifier: str, user: str, operations: Iterable[str]) -> str:
    """Let `user` ("*": everyone) do `operations` with an object; return the server's words."""
    return await _change(http, "/access/grant", unique_identifier, user, operations)


async def revoke(http: Http, unique_identifier: str, user: str, operations: Iterable[str]) -> str:
    """Take rights away; return the server's words."""
    return await _change(http, "/access/revoke", unique_identifier, user, operations)


async def _change(
    http: Http, path: str, unique_identifier: str, user: str, operations: Iterable[str]
) -> str:
    body = {
        "unique_identifier": unique_identifier,
        "user_id": user,
        "operation_types": [name.lower() for name in operations],
    }
    answer = await _json(http, "POST", path, msgspec.json.encode(body))
    return str(answer.get("success", "")) if isinstance(answer, dict) else ""


async def granted(http: Http, unique_identifier: str) -> list[dict[str, Any]]:
    """Return who may do what with an object of the caller's: user_id, operations."""
    return await _list(http, f"/access/list/{quote(unique_identifier, safe='')}")


async def owned(http: Http) -> list[dict[str, Any]]:
    """Return the caller's objects: object_id, state, attributes, is_wrapped."""
    return await _list(http, "/objects/owned")


async def obtained(http: Http) -> list[dict[str, Any]]:
    """Return what others share with the caller: object_id, owner_id, state, operations."""
    return await _list(http, "/access/obtained")


async def shared(http: Http) -> list[dict[str, Any]]:
    """Return the same in the words of 4.1: operations in PascalCase, and is_wrapped."""
    return await _list(http, "/objects/shared")


async def version(http: Http) -> str:
    """Return the server's version."""
    return str(await _json(http, "GET", "/version"))


async def new_database(http: Http) -> str:
    """Make an encrypted database; return the secret that opens it, which is shown only once."""
    return str(await _json(http, "POST", "/new_database"))


async def _list(http: Http, path: str) -> list[dict[str, Any]]:
    answer = await _json(http, "GET", path)
    if not isinstance(answer, list):
        raise ClientError(Trouble.PROTOCOL, "the server's answer is no list")
    return answer


async def _json(http: Http, method: str, path: str, body: bytes | None = None) -> Any:
    answer = await http.request(method, path, body, _JSON if body else "")
    try:
        return msgspec.json.decode(answer)
    except msgspec.DecodeError:
        raise ClientError(
            Trouble.NOT_A_KMS, "the answer is not JSON: check that the URL is the server's"
        ) from None
