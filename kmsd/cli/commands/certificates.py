"""`certificates`: issue, import, export, use, revoke and validate certificates."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import click
import msgspec

from kmsd.cli import certificate_files, files, options
from kmsd.cli.commands import asymmetric, rsa
from kmsd.cli.commands.certify import certify
from kmsd.cli.commands.keys import destroyed, fetched, imported, revoked
from kmsd.cli.outcome import Outcome
from kmsd.cli.plain import plain_attributes
from kmsd.cli.session import Session
from kmsd.cli.tree import Group
from kmsd.kmip.attributes import Attributes
from kmsd.kmip.enums import (
    KeyFormatType,
    LinkType,
    ValidityIndicator,
    WrappingMethod,
)
from kmsd.kmip.structures import (
    CryptographicParameters,
    EncryptionKeyInformation,
    KeyWrappingSpecification,
    Link,
)
from kmsd.operations.get_attributes import GetAttributes
from kmsd.operations.validate import Validate


@click.group(cls=Group)
def certificates() -> None:
    """Issue, keep and use certificates."""


certificates.add_command(certify)

_certificate_id = click.option("-c", "--certificate-id", metavar="ID", help="The certificate.")
_tags = click.option(
    "-t", "--tag", "tags", multiple=True, metavar="TAG", help="The certificate by its tags."
)
_FILES = click.argument("input_files", metavar="FILE...", nargs=-1, required=True)


# Import


@certificates.command("import")
@click.argument("certificate_file", metavar="[FILE]", required=False)
@click.argument("certificate_id", required=False)
@click.option(
    "-f",
    "--format",
    "form",
    type=click.Choice(certificate_files.IMPORT_FORMATS),
    default="json-ttlv",
    show_default=True,
    help="chain: PEM from the leaf to the root; ccadb: PEM of many authorities, Mozilla's if there"
    " is no FILE.",
)
@click.option("-k", "--private-key-id", metavar="ID", help="Link it to this private key.")
@click.option("-q", "--public-key-id", metavar="ID", help="Link it to this public key.")
@click.option("-i", "--issuer-certificate-id", metavar="ID", help="Link it to its issuer's.")
@click.option(
    "-p",
    "--pkcs12-password",
    type=options.SECRET,
    envvar="CKMS_P12_PASSWORD",
    help=f"What opens the PKCS#12 file. {options.SECRET_HELP}",
)
@click.option("-r", "--replace", is_flag=True, help="Replace the object of that identifier.")
@options.new_tags
@click.option("--key-usage", multiple=True, metavar="USE", help="encrypt, sign …; repeat it.")
async def import_(  # noqa: PLR0913
    session: Session,
    *,
    certificate_file: str | None,
    certificate_id: str | None,
    form: str,
    private_key_id: str | None,
    public_key_id: str | None,
    issuer_certificate_id: str | None,
    pkcs12_password: str | None,
    replace: bool,
    tags: Sequence[str],
    key_usage: Sequence[str],
) -> Outcome:
    """Import a certificate, a chain, a list of authorities, or a PKCS#12 file with its key."""
    links = (
        (LinkType.PRIVATE_KEY_LINK, private_key_id),
        (LinkType.PUBLIC_KEY_LINK, public_key_id),
        (LinkType.CERTIFICATE_LINK, issuer_certificate_id),
        (LinkType.PKCS12_PASSWORD_LINK, pkcs12_password if form == "pkcs12" else None),
    )
    added = Attributes(
        cryptographic_usage_mask=options.usage_mask(key_usage),
        link=tuple(
            Link(link_type=kind, linked_object_identifier=value)
            for kind, value in links
            if value is not None
        ),
    )
    data = await _contents(session, certificate_file, form)
    how: dict[str, Any] = {"replace": replace, "tags": tags}
    if form == "chain":
        return await _import_chain(session, data, certificate_id or "", added, how)
    if form == "ccadb":
        return await _import_authorities(session, data, added, how)
    managed_object = certificate_files.read(data, form)
    uid = await imported(session, managed_object, certificate_id or "", added=added, **how)
    what = "PKCS12 certificate and its private key" if form == "pkcs12" else "certificate"
    return Outcome(
        stdout=f"The {what} in {certificate_file} was imported with id: {uid}",
        unique_identifier=uid,
        tags=list(tags),
    )


async def _contents(session: Session, name: str | None, form: str) -> bytes:
    if name is not None:
        return files.read(name)
    if form != "ccadb":
        raise click.UsageError("name the FILE to import")
    return await certificate_files.mozilla(session.reactor)


async def _import_chain(
    session: Session, data: bytes, leaf: str, added: Attributes, how: dict[str, Any]
) -> Outcome:
    """Import the chain from its root, each certificate linked to its issuer."""
    chain = certificate_files.pem_certificates(data)
    uids: list[str] = []
    for at, managed_object in enumerate(reversed(chain)):
        is_leaf = at == len(chain) - 1
        attributes = added if is_leaf else Attributes()
        if uids:
            issuer = Link(link_type=LinkType.CERTIFICATE_LINK, linked_object_identifier=uids[-1])
            attributes = msgspec.structs.replace(attributes, link=(*attributes.link, issuer))
        uid = leaf if is_leaf else ""
        uids.append(await imported(session, managed_object, uid, added=attributes, **how))
    return Outcome(
        stdout="The certificate chain was imported; its identifiers, from the leaf to the root:",
        unique_identifiers=uids[::-1],
        tags=list(how["tags"]),
    )


async def _import_authorities(
    session: Session, data: bytes, added: Attributes, how: dict[str, Any]
) -> Outcome:
    found = certificate_files.pem_certificates(data)
    uids = []
    with session.progress(len(found), "importing") as bar:
        for managed_object in found:
            uids.append(await imported(session, managed_object, "", added=added, **how))
            bar.update(1)
    return Outcome(
        stdout="The list of Mozilla CCADB certificates was imported.",
        unique_identifiers=uids,
        tags=list(how["tags"]),
    )


# Export


@certificates.command()
@click.argument("certificate_file", metavar="FILE")
@_certificate_id
@_tags
@click.option(
    "-f",
    "--format",
    "form",
    type=click.Choice(list(certificate_files.EXPORT_FORMATS)),
    default="json-ttlv",
    show_default=True,
)
@click.option(
    "-p",
    "--pkcs12-password",
    type=options.SECRET,
    envvar="CKMS_P12_PASSWORD",
    help=f"What will open the PKCS#12 file. {options.SECRET_HELP}",
)
@click.option("-r", "--allow-revoked", is_flag=True, help="Also if it is revoked or destroyed.")
async def export(
    session: Session,
    *,
    certificate_file: str,
    certificate_id: str | None,
    tags: Sequence[str],
    form: str,
    pkcs12_password: str | None,
    allow_revoked: bool,
) -> Outcome:
    """Write a certificate to FILE; PKCS#12 with its key and chain, PKCS#7 with its chain."""
    named = options.identified(certificate_id, tags, "--certificate-id")
    wanted = certificate_files.EXPORT_FORMATS[form]
    is_pkcs12 = wanted in {KeyFormatType.PKCS12, KeyFormatType.PKCS12_LEGACY}
    specification = None
    if is_pkcs12:
        specification = KeyWrappingSpecification(
            wrapping_method=WrappingMethod.ENCRYPT,
            encryption_key_information=EncryptionKeyInformation(
                unique_identifier=pkcs12_password or ""
            ),
        )
    got = await fetched(
        session,
        named,
        allow_revoked=allow_revoked,
        key_format_type=wanted,
        key_wrapping_specification=specification,
    )
    data = certificate_files.written(got.managed_object, form)
    files.write(certificate_file, data, secret=is_pkcs12)
    if certificate_file == files.STANDARD:
        return Outcome(stdout="")
    done = f"The certificate {named} was exported to {certificate_file}"
    if form in {"json-ttlv", "pem"}:
        beside = await _with_attributes(session, got.unique_identifier, certificate_file)
        done += f"\nIts attributes were exported to {beside}"
    return Outcome(stdout=done, unique_identifier=got.unique_identifier)


async def _with_attributes(session: Session, uid: str, certificate_file: str) -> str:
    """Write a certificate's attributes beside it; return the name of the file."""
    answer = await session.kms_5(GetAttributes(unique_identifier=uid))
    name = files.beside(certificate_file, "attributes.json")
    shown = msgspec.json.encode(plain_attributes(answer.attributes))
    files.write(name, msgspec.json.format(shown, indent=2) + b"\n", secret=False)
    return name


# Use


@certificates.command()
@_FILES
@_certificate_id
@_tags
@options.output_file
@options.authenticated
@rsa.encryption_algorithm
async def encrypt(
    session: Session,
    *,
    input_files: Sequence[str],
    certificate_id: str | None,
    tags: Sequence[str],
    output_file: str | None,
    authentication_data: str | None,
    encryption_algorithm: str,
) -> Outcome:
    """Encrypt a file to a certificate; -e is for RSA."""
    key = options.identified(certificate_id, tags, "--certificate-id")
    return await asymmetric.encrypted(
        session,
        input_files,
        output_file,
        key=key,
        parameters=_parameters(encryption_algorithm),
        aad=authentication_data,
    )


@certificates.command()
@_FILES
@click.option("-k", "--private-key-id", "--key-id", "key_id", metavar="ID", help="The private key.")
@_tags
@options.output_file
@options.authenticated
@rsa.encryption_algorithm
async def decrypt(
    session: Session,
    *,
    input_files: Sequence[str],
    key_id: str | None,
    tags: Sequence[str],
    output_file: str | None,
    authentication_data: str | None,
    encryption_algorithm: str,
) -> Outcome:
    """Decrypt a file with the private key of a certificate."""
    return await asymmetric.decrypted(
        session,
        input_files,
        output_file,
        key=options.identified(key_id, tags, "--private-key-id"),
        parameters=_parameters(encryption_algorithm),
        aad=authentication_data,
    )


def _parameters(encryption_algorithm: str) -> CryptographicParameters | None:
    """Leave the default to the server: a certificate's key may be on an elliptic curve."""
    if encryption_algorithm == "ckm-rsa-pkcs-oaep":
        return None
    return rsa.parameters(encryption_algorithm, "sha256")


# Life


@certificates.command()
@click.argument("revocation_reason", metavar="REASON")
@_certificate_id
@_tags
async def revoke(
    session: Session, *, revocation_reason: str, certificate_id: str | None, tags: Sequence[str]
) -> Outcome:
    """Revoke a certificate. REASON is any text."""
    named = options.identified(certificate_id, tags, "--certificate-id")
    return await revoked(session, named, revocation_reason, "certificate")


@certificates.command()
@_certificate_id
@_tags
@click.option("--remove", is_flag=True, help="Forget it altogether, attributes too.")
async def destroy(
    session: Session, *, certificate_id: str | None, tags: Sequence[str], remove: bool
) -> Outcome:
    """Destroy a certificate that has been revoked."""
    named = options.identified(certificate_id, tags, "--certificate-id")
    return await destroyed(session, named, "certificate", remove=remove)


_WORDS = {
    ValidityIndicator.VALID: "The certificate chain is valid.",
    ValidityIndicator.INVALID: "The certificate chain is invalid.",
    ValidityIndicator.UNKNOWN: "Whether the certificate chain is valid is unknown.",
}


@certificates.command()
@click.option(
    "-v", "--certificate", "names", multiple=True, metavar="FILE", help="PEM or DER; repeat it."
)
@click.option(
    "-k",
    "--unique-identifier",
    "uids",
    multiple=True,
    metavar="ID",
    help="A certificate of the server; repeat it.",
)
@click.option("-t", "--validity-time", metavar="TIME", help="As in ASN.1: 4804152030Z.")
async def validate(
    session: Session, *, names: Sequence[str], uids: Sequence[str], validity_time: str | None
) -> Outcome:
    """Say whether certificates make a chain that is valid: Valid, Invalid or Unknown."""
    if not names and not uids:
        raise click.UsageError("name certificates: --certificate FILE or --unique-identifier ID")
    answer = await session(
        Validate(
            certificate=tuple(certificate_files.der(files.read(name)) for name in names),
            unique_identifier=tuple(uids),
            validity_time=validity_time,
        )
    )
    indicator = answer.validity_indicator
    return Outcome(stdout=f"{indicator.wire_name}\n{_WORDS[indicator]}")
