"""`kmsd-admin token`: makes, lists and revokes the tokens by which programs are known."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any, NoReturn, TypeVar

import click
import msgspec

from kmsd.combinations import check
from kmsd.databases import token_source
from kmsd.identity import AuthenticationFailed, checked_name
from kmsd.operations import scopes
from kmsd.options import SettingsError
from kmsd.settings import load
from kmsd.store import tokens
from kmsd.store.dialects import Transaction
from kmsd.store.interfaces import StoreError
from kmsd.store.rows import NAME_BYTES, checked
from kmsd.store.session import Session, Unit
from kmsd.store.tokens import ApiToken

T = TypeVar("T")
Work = Callable[[Transaction], T]

_UNITS = {"m": 60, "h": 3600, "d": 86_400, "w": 7 * 86_400}
_FAILED = 1
_SERVER_OPTIONS = click.argument("server_options", nargs=-1, type=click.UNPROCESSED)
_SETTINGS: dict[str, Any] = {"ignore_unknown_options": True}
_ABOUT = (
    "Further options are the server's own, to find its database: --root-data-path=… and the like."
    " Without them, its KMS_ variables and its file tell."
)


@click.group()
def token() -> None:
    """Make, list and revoke API tokens. The server takes them when it runs with --api-tokens."""


@token.command(context_settings=_SETTINGS, epilog=_ABOUT)
@click.option("--user", required=True, help="As whom the bearer acts.")
@click.option("--name", required=True, help="What the user calls this token.")
@click.option("--read-only", is_flag=True, help="Allow what changes nothing and uses no key.")
@click.option(
    "--operations",
    metavar="NAME,NAME...",
    help="Allow these operations only, as Encrypt,Decrypt; besides KMIP's there are: "
    + ", ".join(sorted(scopes.BESIDES)),
)
@click.option("--expires", metavar="WHEN", help="After 30m, 12h, 90d or 52w, or at 2031-12-31.")
@_SERVER_OPTIONS
def create(
    user: str,
    name: str,
    operations: str | None,
    expires: str | None,
    server_options: tuple[str, ...],
    *,
    read_only: bool,
) -> None:
    """Make a token and print it, once: only its hash is kept."""
    now = int(time.time())
    if read_only and operations is not None:
        raise click.UsageError("--read-only and --operations: give one of them")
    allowed = scopes.READ_ONLY if read_only else _operations(operations)
    until = None if expires is None else _moment(expires, now)
    with _session(server_options) as session:
        user = checked(checked_name(user), NAME_BYTES, "the user's name")
        name = checked(checked_name(name), NAME_BYTES, "the token's name")
        presented, made = tokens.new(user, name, allowed, now, until)
        _write(session, lambda transaction: tokens.add(transaction, made))
    click.echo(f"token {made.token_id} of {user}; it is not shown again", err=True)
    click.echo(presented)


@token.command("list", context_settings=_SETTINGS, epilog=_ABOUT)
@click.option("--user", help="Only this user's.")
@click.option("--json", "as_json", is_flag=True, help="As JSON; times in seconds since the epoch.")
@_SERVER_OPTIONS
def list_(user: str | None, server_options: tuple[str, ...], *, as_json: bool) -> None:
    """List tokens, the last used first."""
    with _session(server_options) as session:
        found = session.read(lambda transaction: tokens.listed(transaction, user))
    if as_json:
        click.echo(msgspec.json.encode([_public(each) for each in found]))
        return
    lines = [_HEADINGS, *(_line(each) for each in found)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(_HEADINGS))]
    for line in lines:
        pairs = zip(line, widths, strict=True)
        click.echo("  ".join(cell.ljust(width) for cell, width in pairs).rstrip())


@token.command(context_settings=_SETTINGS, epilog=_ABOUT)
@click.argument("token_id", required=False)
@click.option("--user", help="Whose token, or with --all, whose tokens.")
@click.option("--name", help="What the user calls the token.")
@click.option("--all", "every", is_flag=True, help="All the user's tokens.")
@_SERVER_OPTIONS
def revoke(
    token_id: str | None,
    user: str | None,
    name: str | None,
    server_options: tuple[str, ...],
    *,
    every: bool,
) -> None:
    """Make a token worthless: TOKEN_ID, or --user and --name, or --user and --all."""
    if token_id is not None and token_id.startswith("-"):  # an option of the server's
        server_options = (token_id, *server_options)
        token_id = None
    if (token_id is None) != (user is not None and (name is not None or every)):
        raise click.UsageError("give TOKEN_ID, or --user with --name, or --user with --all")
    now = int(time.time())

    def work(transaction: Transaction) -> list[str]:
        chosen = [
            each.token_id
            for each in tokens.listed(transaction, user)
            if token_id in (None, each.token_id) and name in (None, each.name)
        ]
        return [each for each in chosen if tokens.revoke(transaction, each, now)]

    with _session(server_options) as session:
        revoked = _write(session, work)
    if not revoked and not every:
        _quit("there is no such token, or it is revoked already")
    for each in revoked:
        click.echo(f"revoked {each}")


# Reading what is asked for


def _operations(text: str | None) -> frozenset[str] | None:
    if text is None:
        return None
    names = frozenset(each.strip().lower() for each in text.split(",") if each.strip())
    unknown = sorted(names - scopes.KNOWN)
    if unknown or not names:
        raise click.UsageError(f"--operations: no such operation: {', '.join(unknown) or text}")
    return names


def _moment(text: str, now: int) -> int:
    """Return when a token expires, in seconds since the epoch."""
    found = re.fullmatch(r"([1-9]\d{0,5})([mhdw])", text)
    if found is not None:
        return now + int(found[1]) * _UNITS[found[2]]
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise click.UsageError(f"--expires: {text!r} is neither 90d nor 2031-12-31") from None
    until = int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp())
    if until <= now:
        raise click.UsageError(f"--expires: {text} has passed")
    return until


# Showing tokens

_HEADINGS = ("ID", "USER", "NAME", "ALLOWS", "CREATED", "LAST USED", "EXPIRES", "STATE")


def _line(shown: ApiToken) -> tuple[str, ...]:
    return (
        shown.token_id,
        shown.user,
        shown.name,
        _scope(shown.operations),
        _date(shown.created_at),
        _date(shown.last_used_at),
        _date(shown.expires_at),
        _state(shown),
    )


def _scope(operations: frozenset[str] | None) -> str:
    if operations is None:
        return "everything"
    return "read-only" if operations == scopes.READ_ONLY else ",".join(sorted(operations))


def _date(seconds: int | None) -> str:
    return "-" if seconds is None else f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M}"


def _state(shown: ApiToken) -> str:
    if shown.revoked_at is not None:
        return f"revoked {_date(shown.revoked_at)}"
    return "valid" if shown.is_valid(time.time()) else "expired"


def _public(shown: ApiToken) -> dict[str, object]:
    """Return what may be shown: all but the hash."""
    fields: dict[str, object] = msgspec.structs.asdict(shown)
    del fields["digest"]
    allowed = shown.operations
    return fields | {"operations": None if allowed is None else sorted(allowed)}


# The database


@contextmanager
def _session(server_options: tuple[str, ...]) -> Iterator[Session]:
    """Open the database of the server's settings; tell in one line what the operator can mend."""
    try:
        settings = load(server_options, os.environ).settings
        check(settings)
        session = Session(token_source(settings))
        try:
            yield session
        finally:
            session.close()
    except (StoreError, SettingsError, AuthenticationFailed, OSError) as error:
        _quit(str(error).replace("\n", " "))


def _write(session: Session, work: Work[T]) -> T:
    unit: Unit[T] = Unit(work)
    session.write([unit])
    if unit.error is not None:
        raise unit.error
    result: Any = unit.result
    return result  # type: ignore[no-any-return]


def _quit(line: str) -> NoReturn:
    click.echo(f"kmsd-admin: {line}", err=True)
    raise SystemExit(_FAILED)
