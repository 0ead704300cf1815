"""`server-version`, `new-database`, and `configure` as it was in 4.1."""

from __future__ import annotations

import click

from kmsd.cli.outcome import Outcome
from kmsd.cli.session import Session
from kmsd.cli.tree import Command
from kmsd.client import access

_ADVICE = """A new user encrypted database is configured.
Use the following token as kms_database_secret in kms.json, database_secret in kms.toml, or in \
CKMS_DATABASE_SECRET:

{secret}

(use it in the KmsDatabaseSecret header of HTTP requests)

The token is shown only this once: it cannot be recovered, and without it the database cannot be \
opened. Keep it safe."""


@click.command(cls=Command)
async def server_version(session: Session) -> Outcome:
    """Show the server's version."""
    return Outcome(stdout=await access.version(session.http))


@click.command(cls=Command)
async def new_database(session: Session) -> Outcome:
    """Make an encrypted database and show the secret that opens it."""
    return await _made(session)


async def _made(session: Session) -> Outcome:
    secret = await access.new_database(session.http)
    return Outcome(stdout=_ADVICE.format(secret=secret), database_secret=secret)


@click.command(cls=Command)
async def configure(session: Session) -> Outcome:
    """Make an encrypted database, in the words of 4.1."""
    return await _made(session)
