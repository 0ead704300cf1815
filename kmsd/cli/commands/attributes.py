"""`attributes`: get, set, delete."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import click
import msgspec

from kmsd.cli import files, options
from kmsd.cli.outcome import Outcome
from kmsd.cli.plain import plain_attributes
from kmsd.cli.session import Session
from kmsd.cli.tree import Group
from kmsd.kmip.attributes import Attributes
from kmsd.kmip.enums import CryptographicAlgorithm, LinkType
from kmsd.kmip.structures import Attribute, AttributeReference, Link
from kmsd.operations.delete_attribute import DeleteAttribute
from kmsd.operations.get_attributes import GetAttributes
from kmsd.operations.set_attribute import SetAttribute
from kmsd.ttlv import Item, ItemType
from kmsd.ttlv.schema import compiled, dump
from kmsd.ttlv.tags import spelled


@click.group(cls=Group)
def attributes() -> None:
    """Look at and change the attributes of objects."""


_id = click.option("-i", "--id", "identifier", metavar="ID", help="The object.")
_tags = click.option(
    "-t", "--tag", "tags", multiple=True, metavar="TAG", help="The object by its tags; repeat it."
)

_LINKS = {
    "certificate_id": LinkType.CERTIFICATE_LINK,
    "public_key_id": LinkType.PUBLIC_KEY_LINK,
    "private_key_id": LinkType.PRIVATE_KEY_LINK,
    "p12_id": LinkType.PKCS12_CERTIFICATE_LINK,
    "p12_pwd": LinkType.PKCS12_PASSWORD_LINK,
    "parent_id": LinkType.PARENT_LINK,
    "child_id": LinkType.CHILD_LINK,
}


@attributes.command()
@_id
@_tags
@click.option(
    "-a", "--attribute", "names", multiple=True, metavar="NAME", help="Only these; KMIP's names."
)
@click.option(
    "-l", "--link-type", "links", multiple=True, type=options.Folded(LinkType), help="These links."
)
@options.output_file
async def get(
    session: Session,
    identifier: str | None,
    tags: Sequence[str],
    names: Sequence[str],
    links: Sequence[LinkType],
    output_file: str | None,
) -> Outcome:
    """Show the attributes of an object, or some of them."""
    named = options.identified(identifier, tags, "--id")
    references = tuple(_references(names, links))
    answer = await session.kms_5(
        GetAttributes(unique_identifier=named, attribute_reference=references)
    )
    shown = plain_attributes(_linked(answer.attributes, links))
    if references and not any(spelled(name) == "ObjectType" for name in names):
        shown.pop("ObjectType", None)  # the server's addition
    if output_file:
        text = msgspec.json.format(msgspec.json.encode(shown), indent=2)
        files.write(output_file, text, secret=False)
        return Outcome(
            stdout=f"The attributes for {answer.unique_identifier} were exported to {output_file}"
        )
    return Outcome(
        stdout=f"Attributes for {answer.unique_identifier}",
        unique_identifier=answer.unique_identifier,
        attributes=shown,
    )


def _references(names: Sequence[str], links: Sequence[LinkType]) -> Iterator[Item]:
    """Yield what to ask for: tags of KMIP attributes, vendor attributes as VENDOR::NAME."""
    for name in names:
        vendor, colons, rest = name.partition("::")
        if colons:
            reference = AttributeReference(vendor_identification=vendor, attribute_name=rest)
            yield dump(reference)
        elif name.lower() in {"tag", "tags"}:
            yield dump(AttributeReference(vendor_identification="cosmian", attribute_name="tag"))
        else:
            yield Item("AttributeReference", ItemType.ENUMERATION, _known(name))
    if links:
        yield Item("AttributeReference", ItemType.ENUMERATION, "Link")


def _known(name: str) -> str:
    tag = spelled(name)
    known = {field.tag for field in compiled(Attributes).fields}
    if tag not in known and tag not in {"LinkType", "VendorExtension"}:
        raise click.UsageError(f"{name!r} is no attribute; KMIP has {', '.join(sorted(known))}")
    return tag


def _linked(found: Attributes, links: Sequence[LinkType]) -> Attributes:
    if not links:
        return found
    kept = tuple(each for each in found.link if each.link_type in links)
    return msgspec.structs.replace(found, link=kept)


def _changes(function: Any) -> Any:
    """Give a command the options that name attributes and their values."""
    for option in reversed(
        (
            _id,
            _tags,
            click.option("-d", "--activation-date", metavar="DATE", help="Seconds, or ISO 8601."),
            click.option(
                "-a", "--cryptographic-algorithm", type=options.Folded(CryptographicAlgorithm)
            ),
            click.option("--cryptographic-length", type=int, metavar="BITS"),
            click.option("-u", "--key-usage", multiple=True, metavar="USE", help="encrypt, sign …"),
            click.option("--public-key-id", metavar="ID", help="Link to the public key."),
            click.option("--private-key-id", metavar="ID", help="Link to the private key."),
            click.option("--certificate-id", metavar="ID", help="Link to the certificate."),
            click.option("--p12-id", metavar="ID", help="Link to the PKCS#12 certificate."),
            click.option(
                "--p12-pwd",
                type=options.SECRET,
                envvar="CKMS_P12_PASSWORD",
                help=f"Link to the PKCS#12 password. {options.SECRET_HELP}",
            ),
            click.option("--parent-id", metavar="ID", help="Link to the parent."),
            click.option("--child-id", metavar="ID", help="Link to the child."),
            click.option("-v", "--vendor-identification", metavar="VENDOR"),
            click.option("-n", "--attribute-name", metavar="NAME"),
            click.option("--attribute-value", type=options.HEX, metavar="HEX"),
        )
    ):
        function = option(function)
    return function


@attributes.command("set")
@_changes
async def set_(
    session: Session, identifier: str | None, tags: Sequence[str], **values: Any
) -> Outcome:
    """Give attributes a value; links are set for each type, vendor attributes for each name."""
    named = options.identified(identifier, tags, "--id")
    wanted = list(_wanted(values))
    if not wanted:
        raise click.UsageError("say which attribute to set")
    for each in wanted:
        answer = await session.kms_5(SetAttribute(unique_identifier=named, new_attribute=each))
    return Outcome(stdout="Attribute set successfully", unique_identifier=answer.unique_identifier)


@attributes.command()
@_changes
@click.option(
    "--attribute", "names", multiple=True, metavar="NAME", help="Whatever its value is; repeat it."
)
async def delete(
    session: Session,
    identifier: str | None,
    tags: Sequence[str],
    names: Sequence[str],
    **values: Any,
) -> Outcome:
    """Delete attributes: those that have the given value, or by their name."""
    named = options.identified(identifier, tags, "--id")
    wanted, references = list(_wanted(values)), list(_references(names, ()))
    if not wanted and not references:
        raise click.UsageError("say which attribute to delete")
    for each in wanted:
        answer = await session.kms_5(
            DeleteAttribute(unique_identifier=named, current_attribute=each)
        )
    for reference in references:
        answer = await session.kms_5(
            DeleteAttribute(unique_identifier=named, attribute_reference=(reference,))
        )
    return Outcome(
        stdout="Attribute deleted successfully", unique_identifier=answer.unique_identifier
    )


def _wanted(values: Mapping[str, Any]) -> Iterator[Attributes]:
    """Yield each attribute that the options name, by itself: a request changes one."""
    if values["activation_date"]:
        yield Attributes(activation_date=moment(values["activation_date"]))
    if values["cryptographic_algorithm"]:
        yield Attributes(cryptographic_algorithm=values["cryptographic_algorithm"])
    if values["cryptographic_length"]:
        yield Attributes(cryptographic_length=values["cryptographic_length"])
    mask = options.usage_mask(values["key_usage"])
    if mask is not None:
        yield Attributes(cryptographic_usage_mask=mask)
    for name, link_type in _LINKS.items():
        if values[name]:
            link = Link(link_type=link_type, linked_object_identifier=values[name])
            yield Attributes(link=(link,))
    yield from _vendor(
        values["vendor_identification"], values["attribute_name"], values["attribute_value"]
    )


def _vendor(vendor: str | None, name: str | None, value: bytes | None) -> Iterator[Attributes]:
    if vendor and name:
        item = None if value is None else Item("AttributeValue", ItemType.BYTE_STRING, value)
        attribute = Attribute(
            vendor_identification=vendor, attribute_name=name, attribute_value=item
        )
        yield Attributes(attribute=(attribute,))
    elif vendor or name or value is not None:
        raise click.UsageError(
            "a vendor attribute needs --vendor-identification, --attribute-name and a value"
        )


def moment(text: str) -> int:
    """Read seconds since the epoch, or ISO 8601, of UTC unless it says. Raises: UsageError."""
    if text.isdigit():
        return int(text)
    try:
        found = dt.datetime.fromisoformat(text)
    except ValueError:
        raise click.UsageError(f"{text!r} is no time: write 2026-01-31T12:00:00Z") from None
    return int((found if found.tzinfo else found.replace(tzinfo=dt.UTC)).timestamp())
