"""`locate`."""

from __future__ import annotations

from collections.abc import Sequence

import click

from kmsd.cli import options
from kmsd.cli.outcome import Format, Outcome, table
from kmsd.cli.plain import plain_attributes
from kmsd.cli.session import Session
from kmsd.cli.tree import Command
from kmsd.client import ClientError
from kmsd.kmip.attributes import Attributes, with_tags
from kmsd.kmip.enums import CryptographicAlgorithm, KeyFormatType, LinkType, ObjectType
from kmsd.kmip.structures import Link
from kmsd.operations.get_attributes import GetAttributes
from kmsd.operations.locate import Locate
from kmsd.ttlv.schema import dump

_DESCRIBED = 100
"""Objects beyond these are listed by identifier alone: each costs a request."""


@click.command(cls=Command)
@click.option("-t", "--tag", "tags", multiple=True, metavar="TAG", help="All of these tags.")
@click.option("-a", "--algorithm", type=options.Folded(CryptographicAlgorithm))
@click.option("-l", "--cryptographic-length", type=int, metavar="BITS")
@click.option("-f", "--key-format-type", type=options.Folded(KeyFormatType))
@click.option("-o", "--object-type", type=options.Folded(ObjectType))
@click.option("-p", "--public-key-id", metavar="ID", help="Linked to this public key.")
@click.option("-k", "--private-key-id", metavar="ID", help="Linked to this private key.")
@click.option("-c", "--certificate-id", metavar="ID", help="Linked to this certificate.")
async def locate(  # noqa: PLR0913, PLR0917
    session: Session,
    tags: Sequence[str],
    algorithm: CryptographicAlgorithm | None,
    cryptographic_length: int | None,
    key_format_type: KeyFormatType | None,
    object_type: ObjectType | None,
    public_key_id: str | None,
    private_key_id: str | None,
    certificate_id: str | None,
) -> Outcome:
    """Find active objects that are all that is asked for."""
    wanted = Attributes(
        cryptographic_algorithm=algorithm,
        cryptographic_length=cryptographic_length,
        key_format_type=key_format_type,
        object_type=object_type,
        link=tuple(
            Link(link_type=kind, linked_object_identifier=uid)
            for kind, uid in (
                (LinkType.PUBLIC_KEY_LINK, public_key_id),
                (LinkType.PRIVATE_KEY_LINK, private_key_id),
                (LinkType.CERTIFICATE_LINK, certificate_id),
            )
            if uid
        ),
    )
    wanted = with_tags(wanted, frozenset(tags))
    found = (await session(Locate(attributes=dump(wanted)))).unique_identifier
    if not found:
        return Outcome(stdout="No object found.", unique_identifiers=[])
    if session.options.output is Format.TABLE and len(found) <= _DESCRIBED:
        return Outcome(stdout="\n".join(await _described(session, found)))
    return Outcome(stdout="List of unique identifiers:", unique_identifiers=list(found))


async def _described(session: Session, found: Sequence[str]) -> list[str]:
    """Return a table of what was found; of what may not be looked at, the identifier."""
    rows = []
    for uid in found:
        try:
            attributes = (await session.kms_5(GetAttributes(unique_identifier=uid))).attributes
        except ClientError:
            attributes = Attributes()
        rows.append({"uid": uid, "attributes": attributes})
    return table(
        {
            "Unique identifier": lambda row: str(row["uid"]),
            "Type": lambda row: _name(row["attributes"].object_type),
            "Algorithm": lambda row: _name(row["attributes"].cryptographic_algorithm),
            "Bits": lambda row: str(row["attributes"].cryptographic_length or ""),
            "Tags": lambda row: ", ".join(plain_attributes(row["attributes"]).get("Tags", ())),
        },
        rows,
    )


def _name(value: ObjectType | CryptographicAlgorithm | None) -> str:
    return value.wire_name if value else ""
