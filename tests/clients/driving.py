"""What the drivers of the Python client share: the list of behaviours, and the report.

A driver runs in a process of its own, in the client's virtual environment, and prints one JSON
object: behaviour → {"failed": text or null, "facts": {...}}. The client often crashes while its
interpreter is torn down, long after its work is done: hence ``os._exit``, and the exit code says
nothing.
"""

from __future__ import annotations

import asyncio
import importlib
import json
import os
import sys
import traceback
from collections.abc import Awaitable
from typing import Any, Protocol

Facts = dict[str, Any]
# The client refuses with a plain Exception; anything after these words is the server's text.
REFUSAL = "REST Request Failed: /kmip/2_1: "
BEHAVIOUR_SECONDS = 60


class Session:
    """A server, and the client that speaks to it."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.client = self.connect()

    def connect(self, **options: Any) -> Any:
        """Make another client; its type information is wrong, so it has none here."""
        return importlib.import_module("cosmian_kms").KmsClient(self.url, **options)

    async def encrypted(self, data: bytes, key: str | list[str]) -> tuple[bytes, bytes, bytes]:
        """Encrypt; give ciphertext, nonce and authentication tag."""
        answer = await self.client.encrypt(data, key)
        nonce, tag = answer.iv_counter_nonce(), answer.authenticated_encryption_tag()
        return bytes(answer.data()), bytes(nonce), bytes(tag)

    async def decrypted(self, key: str | list[str], sealed: tuple[bytes, bytes, bytes]) -> bytes:
        """Decrypt what `encrypted` gave."""
        data, nonce, tag = sealed
        return bytes(await self.client.decrypt(data, key, nonce, tag))

    async def key_bytes(self, key: str | list[str]) -> bytes:
        """Get the key material."""
        return bytes((await self.client.get_object(key)).key_block())


class Behaviour(Protocol):
    """One thing that must hold, said by its docstring; it may give facts for a closer look."""

    __name__: str

    def __call__(self, session: Session) -> Awaitable[Facts | None]: ...


async def refused(answer: Awaitable[Any]) -> str:
    """Await a request that the server must refuse with a text; give the text."""
    try:
        got = await answer
    except Exception as error:  # noqa: BLE001 - the client raises nothing more precise
        said = str(error)
        assert said.startswith(REFUSAL), said
        assert said.removeprefix(REFUSAL).strip(), "refused without a word of explanation"
        return said.removeprefix(REFUSAL)
    raise AssertionError(f"not refused: {got!r}")


async def _attempt(behaviour: Behaviour, url: str) -> Facts:
    try:
        async with asyncio.timeout(BEHAVIOUR_SECONDS):
            return {"failed": None, "facts": await behaviour(Session(url)) or {}}
    except BaseException:  # noqa: BLE001 - the client's panics are no Exceptions; all are reported
        return {"failed": traceback.format_exc(), "facts": {}}


def drive(behaviours: dict[str, Behaviour]) -> None:
    """Try each behaviour against the server named on the command line; report and leave."""

    async def all_of_them() -> dict[str, Facts]:
        return {name: await _attempt(each, sys.argv[1]) for name, each in behaviours.items()}

    print(json.dumps(asyncio.run(all_of_them())), flush=True)  # noqa: T201 - the report
    os._exit(0)


def table(*behaviours: Behaviour) -> dict[str, Behaviour]:
    """Name behaviours by their functions."""
    return {each.__name__: each for each in behaviours}
