"""`access-rights`, and `permission` as it was in 4.1."""

from __future__ import annotations

from collections.abc import Sequence

import click

from kmsd.cli.outcome import Format, Outcome
from kmsd.cli.session import Session
from kmsd.cli.tree import Group
from kmsd.client import access


@click.group(cls=Group)
def access_rights() -> None:
    """Share objects with other users: grant, revoke, list."""


_user = click.argument("user")
_object = click.argument("object_uid")
_operations = click.argument("operations", nargs=-1, required=True)


@access_rights.command()
@_user
@_object
@_operations
async def grant(session: Session, user: str, object_uid: str, operations: Sequence[str]) -> Outcome:
    """Let USER (`*`: everyone) do OPERATIONS (get, encrypt, decrypt …) with an object."""
    await access.grant(session.http, object_uid, user, operations)
    done = f"The following access right operations: {_listed(operations)}, were granted to user"
    return Outcome(stdout=f"{done} `{user}` on object `{object_uid}`")


@access_rights.command()
@_user
@_object
@_operations
async def revoke(
    session: Session, user: str, object_uid: str, operations: Sequence[str]
) -> Outcome:
    """Take OPERATIONS with an object from USER again."""
    await access.revoke(session.http, object_uid, user, operations)
    done = f"The following access right operations: {_listed(operations)}, were revoked for user"
    return Outcome(stdout=f"{done} `{user}` on object `{object_uid}`")


def _listed(operations: Sequence[str]) -> str:
    return ", ".join(name.lower() for name in operations)


@access_rights.command("list")
@_object
async def list_(session: Session, object_uid: str) -> Outcome:
    """Show who may do what with an object of yours."""
    rows = await access.granted(session.http, object_uid)
    return Outcome(
        stdout=f"The access rights granted on object {object_uid} are:"
        if rows
        else f"No access rights are granted on object {object_uid}",
        accesses=rows,
    )


@access_rights.command()
async def owned(session: Session) -> Outcome:
    """Show the objects that are yours."""
    return Outcome(
        stdout="The objects owned by the current user are:",
        object_owned=await access.owned(session.http),
    )


@access_rights.command()
async def obtained(session: Session) -> Outcome:
    """Show what others share with you."""
    return Outcome(
        stdout="The access rights obtained are: ",
        access_rights_obtained=await access.obtained(session.http),
    )


# As in 4.1


@click.group(cls=Group)
def permission() -> None:
    """Share objects with other users, in the words of 4.1."""


_as_user = click.option("-u", "--user", required=True, help="Who may do it.")
_as_operation = click.option(
    "-o",
    "--operation",
    required=True,
    help="create, get, encrypt, decrypt, import, revoke, locate, rekey or destroy.",
)


@permission.command()
@_object
@_as_user
@_as_operation
async def add(session: Session, object_uid: str, user: str, operation: str) -> Outcome:
    """Let a user do an operation with an object."""
    await access.grant(session.http, object_uid, user, [operation])
    return Outcome(stdout="The permission has been properly set")


@permission.command()
@_object
@_as_user
@_as_operation
async def remove(session: Session, object_uid: str, user: str, operation: str) -> Outcome:
    """Take an operation with an object from a user."""
    await access.revoke(session.http, object_uid, user, [operation])
    return Outcome(stdout="The permission has been properly removed")


@permission.command("list")
@_object
async def list_permissions(session: Session, object_uid: str) -> Outcome:
    """Show who may do what with an object of yours."""
    rows = await access.granted(session.http, object_uid)
    if session.options.output is not Format.TEXT:
        return Outcome(stdout="", accesses=rows)
    lines = []
    for row in rows:
        lines += [f"> {row['user_id']}", *(f"\t{name}" for name in row["operations"])]
    return Outcome(stdout="\n".join(lines) or "No permissions on this object")


@permission.command("owned")
async def owned_objects(session: Session) -> Outcome:
    """Show the objects that are yours."""
    return Outcome(stdout="", object_owned=await access.owned(session.http))


@permission.command()
async def shared(session: Session) -> Outcome:
    """Show what others share with you."""
    return Outcome(stdout="", access_rights_obtained=await access.shared(session.http))
