"""API tokens as the database keeps them: a hash of each, and what it allows.

The functions run in a transaction; `TokenStore` runs them for a server, `kmsd-admin` by itself.
"""

import hashlib
import hmac
import secrets
from collections import OrderedDict
from collections.abc import Callable
from functools import partial
from typing import Any

import msgspec
from twisted.internet.defer import Deferred, gatherResults
from twisted.logger import Logger

from kmsd.store.dialects import Transaction
from kmsd.store.interfaces import StoreError
from kmsd.store.pool import Lane, Reactor, Scan, Threads
from kmsd.store.rows import text
from kmsd.store.session import Session, Source, Unit

PREFIX = "kmsd_"
_ID_BYTES = 8
_SECRET_BYTES = 32
_NOTE_SECONDS = 60
_CACHED = 10_000


class ApiToken(msgspec.Struct, frozen=True, kw_only=True):
    """One token. Times are seconds since the epoch; `operations` None allows everything."""

    token_id: str
    user: str
    name: str
    digest: str
    operations: frozenset[str] | None = None
    created_at: int = 0
    expires_at: int | None = None
    last_used_at: int | None = None
    revoked_at: int | None = None

    def __repr__(self) -> str:
        """Leave the digest out."""
        return f"ApiToken({self.token_id!r}, {self.user!r}, {self.name!r})"

    def is_valid(self, now: float) -> bool:
        """Tell whether the token is neither revoked nor expired."""
        return self.revoked_at is None and (self.expires_at is None or now < self.expires_at)

    def is_proved_by(self, presented: str) -> bool:
        """Tell, in constant time, whether `presented` is this token."""
        return hmac.compare_digest(digest(presented), self.digest)


NOBODY = ApiToken(token_id="", user="", name="", digest="0" * 64)
"""Compared with when there is no such token, so that this takes as long."""


def digest(presented: str) -> str:
    """Return the hash under which a token is kept: it has 256 random bits, so once is enough."""
    return hashlib.sha256(presented.encode()).hexdigest()


def new(
    user: str,
    name: str,
    operations: frozenset[str] | None,
    now: int,
    expires_at: int | None = None,
) -> tuple[str, ApiToken]:
    """Return a fresh token as its bearer presents it, and as it is kept."""
    token_id = secrets.token_hex(_ID_BYTES)
    presented = f"{PREFIX}{token_id}_{secrets.token_urlsafe(_SECRET_BYTES)}"
    return presented, ApiToken(
        token_id=token_id,
        user=user,
        name=name,
        digest=digest(presented),
        operations=operations,
        created_at=now,
        expires_at=expires_at,
    )


def identifier(presented: str) -> str | None:
    """Return the identifier in what looks like a token of ours, or None."""
    token_id, separator, secret = presented.removeprefix(PREFIX).partition("_")
    ours = presented.startswith(PREFIX) and separator and secret
    return token_id if ours and len(token_id) == 2 * _ID_BYTES and token_id.isalnum() else None


# In a transaction

_COLUMNS = "token_id, user_name, name, digest, operations, created_at, expires_at, last_used_at, revoked_at"  # noqa: E501
_SELECT = f"SELECT {_COLUMNS} FROM api_tokens"  # noqa: S608
_INSERT = f"INSERT INTO api_tokens ({_COLUMNS}) VALUES (??)"  # noqa: S608


class TokenExists(StoreError):  # noqa: N818 (named for what happened, as its kin)
    """The user has a token of this name."""


def add(transaction: Transaction, token: ApiToken) -> None:
    """Keep a token.

    Raises:
        TokenExists: the user has one of this name that is not revoked.
    """
    there = _SELECT + " WHERE user_name = ? AND name = ? AND revoked_at IS NULL"
    if transaction.rows(there, token.user, token.name):
        raise TokenExists(f"{token.user} has a token called {token.name!r} already")
    insert(transaction, [token])


def insert(transaction: Transaction, tokens: list[ApiToken]) -> None:
    """Write tokens as they are."""
    transaction.insert(_INSERT, [_row(token) for token in tokens])


def find(transaction: Transaction, token_id: str) -> ApiToken | None:
    """Return the token of this identifier."""
    rows = transaction.rows(_SELECT + " WHERE token_id = ?", token_id)
    return _token(rows[0]) if rows else None


def listed(transaction: Transaction, user: str | None = None) -> list[ApiToken]:
    """Return all tokens, or a user's: the last used first, then the newest."""
    where, values = (" WHERE user_name = ?", (user,)) if user is not None else ("", ())
    tokens = [_token(row) for row in transaction.rows(_SELECT + where, *values)]
    return sorted(tokens, key=lambda token: (-(token.last_used_at or 0), -token.created_at))


def revoke(transaction: Transaction, token_id: str, now: int) -> bool:
    """Make a token worthless; tell whether it was worth anything."""
    statement = "UPDATE api_tokens SET revoked_at = ? WHERE token_id = ? AND revoked_at IS NULL"
    return transaction.run(statement, now, token_id) == 1


def note_use(transaction: Transaction, token_id: str, now: int) -> None:
    """Write down that a token was used."""
    later = "UPDATE api_tokens SET last_used_at = ? WHERE token_id = ? AND"
    transaction.run(f"{later} (last_used_at IS NULL OR last_used_at < ?)", now, token_id, now)


def _row(token: ApiToken) -> tuple[Any, ...]:
    allowed = None if token.operations is None else " ".join(sorted(token.operations)).encode()
    return (token.token_id, token.user, token.name, token.digest, allowed, token.created_at,
            token.expires_at, token.last_used_at, token.revoked_at)  # fmt: skip


def _token(row: tuple[Any, ...]) -> ApiToken:
    token_id, user, name, digest_, operations, created, expires, used, revoked = row
    return ApiToken(
        token_id=text(token_id),
        user=text(user),
        name=text(name),
        digest=text(digest_),
        operations=None if operations is None else frozenset(bytes(operations).decode().split()),
        created_at=int(created),
        expires_at=expires,
        last_used_at=used,
        revoked_at=revoked,
    )


class TokenStore:
    """The tokens of a database, for a server: kept at hand for `cache_seconds`.

    A token that is revoked elsewhere is good for at most that long. `now` gives seconds since the
    epoch, the reactor those of a clock that is never put back.
    """

    log = Logger(namespace="kmsd.store")

    def __init__(
        self, reactor: Reactor, source: Source, now: Callable[[], float], cache_seconds: float
    ) -> None:
        self._reactor, self._now, self._cache_seconds = reactor, now, cache_seconds
        self._threads = Threads(2, "kmsd-tokens")

        def lane() -> Lane:
            return Lane(reactor, self._threads, Session(source), lambda _transaction, _names: {})

        self._reads, self._writes = lane(), lane()
        self._known: OrderedDict[str, tuple[ApiToken, float]] = OrderedDict()
        self._noted: OrderedDict[str, float] = OrderedDict()

    async def proved(self, presented: str) -> ApiToken | None:
        """Return the valid token that `presented` is, or None.

        Raises:
            StoreUnavailable: the database does not answer.
        """
        token_id = identifier(presented)
        token = None if token_id is None else await self._find(token_id)
        if not (token or NOBODY).is_proved_by(presented) or token is None:
            return None
        if not token.is_valid(self._now()):
            return None
        self._note(token.token_id)
        return token

    async def _find(self, token_id: str) -> ApiToken | None:
        seconds = self._reactor.seconds()
        kept = self._known.get(token_id)
        if kept is not None and seconds - kept[1] < self._cache_seconds:
            return kept[0]
        found: ApiToken | None = await self._reads.submit(Scan(partial(find, token_id=token_id)))
        if found is None:
            self._known.pop(token_id, None)
        else:
            _keep(self._known, token_id, (found, seconds))
        return found

    def _note(self, token_id: str) -> None:
        """Write down the use, at most once a minute; nobody waits for it."""
        seconds = self._reactor.seconds()
        if seconds - self._noted.get(token_id, -float("inf")) < _NOTE_SECONDS:
            return
        _keep(self._noted, token_id, seconds)
        work = partial(note_use, token_id=token_id, now=int(self._now()))
        writing: Deferred[Any] = self._writes.submit(Unit(work))
        writing.addErrback(
            lambda failure: self.log.warn(
                "the use of a token is not noted: {error}", error=failure.getErrorMessage()
            )
        )

    async def close(self) -> None:
        """Finish what is under way and close the connections."""
        await gatherResults([self._reads.close(), self._writes.close()])
        self._threads.stop()


def _keep(kept: OrderedDict[str, Any], name: str, value: object) -> None:
    """Keep a value, and no more than so many of them."""
    kept[name] = value
    kept.move_to_end(name)
    while len(kept) > _CACHED:
        kept.popitem(last=False)
