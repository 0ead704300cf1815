"""`secret-data`: passwords, seeds and other secrets that are no keys."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import click
import msgspec

from kmsd.cli import options
from kmsd.cli.commands.keys import add_key_commands, imported
from kmsd.cli.outcome import Outcome
from kmsd.cli.session import Session
from kmsd.cli.tree import Group
from kmsd.kmip.attributes import Attributes, with_tags
from kmsd.kmip.enums import (
    KeyFormatType,
    ObjectType,
    SecretDataType,
)
from kmsd.kmip.objects import KeyBlock, KeyValue, SecretData
from kmsd.operations.create import Create

_TYPES = {"password": SecretDataType.PASSWORD, "seed": SecretDataType.SEED}


@click.group(cls=Group)
def secret_data() -> None:
    """Passwords, seeds and other secrets: create, export, import, revoke, destroy."""


add_key_commands(secret_data)


@secret_data.command()
@click.argument("secret_id", required=False)
@click.option(
    "-v",
    "--value",
    "--secret-value",
    "value",
    type=options.SECRET,
    envvar="CKMS_SECRET_VALUE",
    help=f"The secret; 32 random bytes, if not given. {options.SECRET_HELP}",
)
@click.option(
    "-s",
    "--type",
    "kind",
    type=click.Choice(list(_TYPES)),
    default="password",
    show_default=True,
    help="What a given value is; random bytes are a seed.",
)
@options.new_tags
@click.option("--sensitive", is_flag=True, help="It never leaves the server in clear.")
async def create(
    session: Session,
    *,
    secret_id: str | None,
    value: str | None,
    kind: str,
    tags: Sequence[str],
    sensitive: bool,
) -> Outcome:
    """Keep a secret: one that is given, or random bytes."""
    attributes = Attributes(object_type=ObjectType.SECRET_DATA, sensitive=sensitive or None)
    if value is None:
        uid = await _random(session, secret_id, attributes, tags)
    else:
        managed_object: Any = SecretData(
            secret_data_type=_TYPES[kind],
            key_block=KeyBlock(
                key_format_type=KeyFormatType.RAW,
                key_value=KeyValue(key_material=value.encode()),
                cryptographic_length=len(value.encode()) * 8,
            ),
        )
        uid = await imported(session, managed_object, secret_id or "", tags=tags, added=attributes)
    return Outcome(
        stdout="The secret data was successfully created.", unique_identifier=uid, tags=list(tags)
    )


async def _random(
    session: Session, secret_id: str | None, attributes: Attributes, tags: Sequence[str]
) -> str:
    attributes = msgspec.structs.replace(
        with_tags(attributes, frozenset(tags)),
        unique_identifier=secret_id,
        cryptographic_length=256,
    )
    made = await session(Create(object_type=ObjectType.SECRET_DATA, attributes=attributes))
    return str(made.unique_identifier)
