"""The public keys of an issuer: fetched, kept, and fetched again when a token names a new one.

A flood of tokens with invented key names costs one fetch a minute. Keys that cannot be had verify
nothing: without them nobody comes in. Source: RFC 7517; the 4.22.1 server fetches as seldom.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
from joserfc.jwk import ECKey, Key, OKPKey, RSAKey, import_key
from twisted.internet.defer import Deferred, ensureDeferred
from twisted.logger import Logger

Fetch = Callable[[str], Awaitable[bytes]]
"""Returns the body at an https URL; raises FetchFailed."""

COOLDOWN_SECONDS = 60.0
"""The least time between two fetches, once there are keys."""

RETRY_SECONDS = 5.0
"""The same as long as there are none."""

FRESH_SECONDS = 3600.0
"""After this time keys are fetched again though no token asks for others: some may be withdrawn."""

LAST_SECONDS = 86_400.0
"""The longest time for which keys are used that cannot be fetched again."""

LARGEST_SET = 100
SMALLEST_RSA_BITS = 2048
LARGEST_RSA_BITS = 8192

_log = Logger("kmsd.identity")


class FetchFailed(Exception):  # noqa: N818 (what happened)
    """The keys cannot be had; the text says why."""


class Jwks:
    """The keys of one issuer. `seconds` is a clock that is never put back."""

    def __init__(self, uri: str, fetch: Fetch, seconds: Callable[[], float]) -> None:
        """Begin without keys."""
        self.uri = uri
        self._fetch, self._seconds = fetch, seconds
        self._keys: dict[str, Key] = {}
        self._fetched: float | None = None
        self._tried: float | None = None
        self._waiting: list[Deferred[None]] | None = None

    async def key(self, key_id: str) -> Key | None:
        """Return the key of this name, or None when the issuer has none or cannot be asked."""
        age, known = self._age(), self._keys.get(key_id)
        if known is not None and age < LAST_SECONDS:
            if age > FRESH_SECONDS and self._may_fetch():
                ensureDeferred(self.refresh())  # nobody waits for it
            return known
        if self._waiting is not None or self._may_fetch():
            await self.refresh()
        return self._keys.get(key_id) if self._age() < LAST_SECONDS else None

    def _age(self) -> float:
        return float("inf") if self._fetched is None else self._seconds() - self._fetched

    def _may_fetch(self) -> bool:
        if self._waiting is not None:
            return False
        pause = COOLDOWN_SECONDS if self._keys else RETRY_SECONDS
        return self._tried is None or self._seconds() - self._tried >= pause

    async def refresh(self) -> None:
        """Fetch the keys, once for all who wait; what cannot be fetched leaves the old ones."""
        if self._waiting is not None:
            waiting: Deferred[None] = Deferred()
            self._waiting.append(waiting)
            return await waiting
        self._waiting, self._tried = [], self._seconds()
        try:
            self._keys = read_keys(await self._fetch(self.uri))
            self._fetched = self._seconds()
            _log.info("{count} keys from {uri}", count=len(self._keys), uri=self.uri)
        except FetchFailed as error:
            _log.warn("no keys from {uri}: {error}", uri=self.uri, error=str(error))
        finally:
            told, self._waiting = self._waiting, None
            for waiter in told:
                waiter.callback(None)
        return None


def read_keys(body: bytes) -> dict[str, Key]:
    """Return the keys of a set that can verify tokens, by name; others are passed over.

    Raises:
        FetchFailed: it is no set of keys.
    """
    try:
        members = json.loads(body)["keys"]
    except (ValueError, KeyError, TypeError, RecursionError):
        raise FetchFailed("the answer is no set of keys") from None
    if not isinstance(members, list) or len(members) > LARGEST_SET:
        raise FetchFailed(f"the answer is no set of at most {LARGEST_SET} keys")
    keys: dict[str, Key] = {}
    for member in members:
        key = _usable(member)
        if key is not None and key.kid is not None:
            keys.setdefault(key.kid, key)
    return keys


class _Stated(msgspec.Struct):
    """What an issuer says of a key besides its numbers."""

    kid: str
    kty: str
    use: str = "sig"
    key_ops: list[str] = msgspec.field(default_factory=lambda: ["verify"])


def _usable(member: Any) -> Key | None:
    """Return the key of a JWK that is public, named, for signatures and of an honest size."""
    try:
        stated = msgspec.convert(member, _Stated)
        if not stated.kid or stated.use != "sig" or "verify" not in stated.key_ops:
            return None
        key = import_key(member)
        return key if _is_sound(key) else None
    except Exception as error:  # noqa: BLE001 (one strange key must not take the others away)
        _log.warn("a key of an issuer is passed over ({error})", error=type(error).__name__)
        return None


def _is_sound(key: Key) -> bool:
    if key.is_private:
        return False
    if isinstance(key, RSAKey):
        return SMALLEST_RSA_BITS <= key.public_key.key_size <= LARGEST_RSA_BITS
    return isinstance(key, ECKey | OKPKey)
