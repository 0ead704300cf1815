"""`cc policy`: make, read and change the policies of CoverCrypt keys."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import click
import msgspec

from kmsd.cli import files, keyfiles, options
from kmsd.cli.commands.cc_requests import POLICY, policy_of, rekeyed
from kmsd.cli.errors import CommandFailed
from kmsd.cli.outcome import Outcome
from kmsd.cli.session import Session
from kmsd.cli.tree import Group
from kmsd.kmip.attributes import Attributes, vendor_value
from kmsd.kmip.objects import KeyValue, key_block
from kmsd.operations.get_attributes import GetAttributes


@click.group(cls=Group)
def policy() -> None:
    """Make, read and change the policies of CoverCrypt keys."""


@policy.command()
@click.option(
    "-s",
    "--specifications",
    "--policy-specifications",
    "specifications",
    default="policy_specifications.json",
    show_default=True,
    metavar="FILE",
    help='JSON of names: {"Level::<": ["Low", "High::+"], "Department": ["HR", "IT"]}; `::<`'
    " orders a dimension, `::+` makes an attribute post-quantum.",
)
@click.option(
    "-p",
    "--policy",
    "--policy-binary",
    "target",
    default="policy.bin",
    show_default=True,
    metavar="FILE",
)
async def create(session: Session, *, specifications: str, target: str) -> Outcome:  # noqa: ARG001
    """Make a policy of a specification; no server is asked."""
    files.write(target, policy_of(files.read(specifications)), secret=False)
    return Outcome(stdout=f"The binary policy file was generated in {target}.")


def _of_key(function: Any) -> Any:
    """Give a command the two ways to name a key that has a policy."""
    key_file = click.option(
        "-f", "--key-file", metavar="FILE", help="A key in a file, as exported."
    )
    key_id = click.option("-i", "--key-id", metavar="ID", help="A key of the server.")
    return key_id(key_file(function))


@policy.command()
@_of_key
@click.option(
    "-s",
    "--specifications",
    "target",
    default="policy_specifications.json",
    show_default=True,
    metavar="FILE",
)
async def specs(
    session: Session, *, key_id: str | None, key_file: str | None, target: str
) -> Outcome:
    """Write the specification of a key's policy to a file."""
    found = _specification(msgspec.json.decode(await _policy(session, key_id, key_file)))
    files.write(target, _pretty(found) + b"\n", secret=False)
    return _saved("specifications", target)


@policy.command()
@_of_key
@click.option("-p", "--policy", "target", default="policy.bin", show_default=True, metavar="FILE")
async def binary(
    session: Session, *, key_id: str | None, key_file: str | None, target: str
) -> Outcome:
    """Write a key's policy to a file."""
    files.write(target, await _policy(session, key_id, key_file), secret=False)
    return _saved("binary policy", target)


def _saved(what: str, target: str) -> Outcome:
    if target == files.STANDARD:
        return Outcome(stdout="")
    return Outcome(stdout=f"The {what} file was saved in {target}.")


@policy.command()
@_of_key
@click.option("-d", "--detailed", is_flag=True, help="The whole policy, numbers and all.")
async def view(
    session: Session, *, key_id: str | None, key_file: str | None, detailed: bool
) -> Outcome:
    """Show a key's policy."""
    found = msgspec.json.decode(await _policy(session, key_id, key_file))
    return Outcome(stdout=_pretty(found if detailed else _specification(found)).decode())


def _pretty(found: Any) -> bytes:
    return msgspec.json.format(msgspec.json.encode(found), indent=2)


async def _policy(session: Session, key_id: str | None, key_file: str | None) -> bytes:
    """Return the policy of a key, as JSON of today's engine.

    Raises:
        CommandFailed: the key has none.
    """
    if (key_id is None) == (key_file is None):
        raise click.UsageError("name the key: --key-id ID or --key-file FILE")
    if key_file is not None:
        attributes = _attributes_in(files.read(key_file))
    else:
        answer = await session.kms_5(GetAttributes(unique_identifier=key_id))
        attributes = answer.attributes
    raw = vendor_value(attributes, POLICY)
    if raw is None:
        raise CommandFailed("the key has no policy: name a CoverCrypt master key")
    return policy_of(raw)


def _attributes_in(data: bytes) -> Attributes:
    block = key_block(keyfiles.from_json(data))
    value = block.key_value if block else None
    found = value.attributes if isinstance(value, KeyValue) else None
    return found or Attributes()


def _specification(found: dict[str, Any]) -> dict[str, list[str]]:
    """Return a policy as the names that it was made of."""
    return dict(_dimensions(found))


def _dimensions(found: dict[str, Any]) -> Iterator[tuple[str, list[str]]]:
    for name, dimension in found["dimensions"].items():
        ((kind, rows),) = dimension.items()
        mark = "::<" if kind == "Ordered" else ""
        yield (
            name + mark,
            [
                attribute + ("::+" if row["encryption_hint"] == "Hybridized" else "")
                for attribute, row in rows.items()
            ],
        )


# Changing the policy of master keys


async def _changed(
    session: Session, key_id: str | None, tags: Sequence[str], action: dict[str, Any], done: str
) -> Outcome:
    answer = await rekeyed(session, options.identified(key_id, tags), action)
    return Outcome(
        stdout=done,
        private_key_unique_identifier=answer.private_key_unique_identifier,
        public_key_unique_identifier=answer.public_key_unique_identifier,
    )


_attribute = click.argument("attribute", metavar="DIMENSION::ATTRIBUTE")


@policy.command("add-attribute")
@_attribute
@click.option("--hybridized", is_flag=True, help="Encrypt for it post-quantum.")
@options.by_key
async def add_attribute(
    session: Session,
    *,
    attribute: str,
    hybridized: bool,
    key_id: str | None,
    tags: Sequence[str],
) -> Outcome:
    """Add an attribute to the policy of master keys."""
    hint = "Hybridized" if hybridized else "Classic"
    action = {"AddAttribute": [[attribute, hint]]}
    done = f"New attribute {attribute} was successfully added to the policy."
    return await _changed(session, key_id, tags, action, done)


@policy.command("rename-attribute")
@_attribute
@click.argument("new_name")
@options.by_key
async def rename_attribute(
    session: Session, *, attribute: str, new_name: str, key_id: str | None, tags: Sequence[str]
) -> Outcome:
    """Give an attribute another name; what is encrypted for it stays so."""
    action = {"RenameAttribute": [[attribute, new_name]]}
    done = f"Attribute {attribute} was successfully renamed to {new_name}."
    return await _changed(session, key_id, tags, action, done)


@policy.command("disable-attribute")
@_attribute
@options.by_key
async def disable_attribute(
    session: Session, *, attribute: str, key_id: str | None, tags: Sequence[str]
) -> Outcome:
    """Let nobody encrypt for an attribute any more; decryption goes on."""
    action = {"DisableAttribute": [attribute]}
    done = f"Attribute {attribute} was successfully disabled from the policy."
    return await _changed(session, key_id, tags, action, done)


@policy.command("remove-attribute")
@_attribute
@options.by_key
async def remove_attribute(
    session: Session, *, attribute: str, key_id: str | None, tags: Sequence[str]
) -> Outcome:
    """Remove an attribute: what was encrypted for it alone is lost."""
    action = {"RemoveAttribute": [attribute]}
    done = f"Attribute {attribute} was successfully removed from the policy."
    return await _changed(session, key_id, tags, action, done)
