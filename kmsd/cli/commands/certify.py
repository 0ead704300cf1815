"""`certificates certify`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import click

from kmsd.cli import files, options
from kmsd.cli.commands.ec import CURVES
from kmsd.cli.outcome import Outcome
from kmsd.cli.session import Session
from kmsd.cli.tree import Command
from kmsd.kmip import attributes as attribute_rules
from kmsd.kmip.attributes import Attributes
from kmsd.kmip.enums import (
    CertificateRequestType,
    CryptographicAlgorithm,
    LinkType,
    ObjectType,
)
from kmsd.kmip.structures import CertificateAttributes, CryptographicDomainParameters, Link
from kmsd.operations.certify import Certify
from kmsd.ttlv import Item, ItemType

_RSA = {f"rsa{bits}": bits for bits in (1024, 2048, 3072, 4096)}
_ALGORITHMS = [*CURVES, *_RSA]
_REQUESTS = {"pem": CertificateRequestType.PEM, "der": CertificateRequestType.PKCS10}
_NAMES = ("cn", "o", "ou", "email", "c", "st", "l", "uid", "serial_number", "title", "dc")
_ALIASES = {"emailaddress": "email", "s": "st", "serialnumber": "serial_number"}


@click.command(cls=Command)
@click.option(
    "-c", "--certificate-id", metavar="ID", help="The new certificate's; else it gets one."
)
@click.option("-r", "--certificate-signing-request", metavar="FILE", help="Certify a request.")
@click.option(
    "-f",
    "--certificate-signing-request-format",
    "request_format",
    type=click.Choice(list(_REQUESTS)),
    default="pem",
    show_default=True,
)
@click.option("-p", "--public-key-id-to-certify", metavar="ID", help="Certify a public key.")
@click.option("-n", "--certificate-id-to-re-certify", metavar="ID", help="Renew a certificate.")
@click.option("-g", "--generate-key-pair", is_flag=True, help="Certify a new key pair.")
@click.option(
    "-a",
    "--algorithm",
    type=click.Choice(_ALGORITHMS),
    default="rsa4096",
    show_default=True,
    help="The new key pair's.",
)
@click.option("-s", "--subject-name", metavar="NAME", help='"CN=kms.example.com, O=Example, C=FR".')
@click.option("-k", "--issuer-private-key-id", metavar="ID")
@click.option("-i", "--issuer-certificate-id", metavar="ID")
@click.option("-d", "--days", "--number-of-days", "days", type=int, default=365, show_default=True)
@click.option(
    "-e",
    "--certificate-extensions",
    metavar="FILE",
    help="X.509 extensions, as OpenSSL's configuration has them in [ v3_ca ].",
)
@options.new_tags
async def certify(  # noqa: PLR0913
    session: Session,
    *,
    certificate_id: str | None,
    certificate_signing_request: str | None,
    request_format: str,
    public_key_id_to_certify: str | None,
    certificate_id_to_re_certify: str | None,
    generate_key_pair: bool,
    algorithm: str,
    subject_name: str | None,
    issuer_private_key_id: str | None,
    issuer_certificate_id: str | None,
    days: int,
    certificate_extensions: str | None,
    tags: Sequence[str],
) -> Outcome:
    """Issue a certificate for a request, a public key, a certificate or a new key pair.

    Without an issuer it is signed by its own key.
    """
    sources = (
        certificate_signing_request,
        public_key_id_to_certify,
        certificate_id_to_re_certify,
        generate_key_pair,
    )
    if sum(map(bool, sources)) != 1:
        raise click.UsageError(
            "say what to certify, in one way: --certificate-signing-request,"
            " --public-key-id-to-certify, --certificate-id-to-re-certify or --generate-key-pair"
        )
    if (public_key_id_to_certify or generate_key_pair) and not subject_name:
        raise click.UsageError("say who it is for: --subject-name")
    values: dict[str, Any] = _generated(algorithm) if generate_key_pair else {}
    attributes = Attributes(
        **values,
        object_type=ObjectType.CERTIFICATE,
        unique_identifier=certificate_id,
        certificate_attributes=name(subject_name) if subject_name else None,
        link=tuple(_issuer(issuer_private_key_id, issuer_certificate_id)),
    )
    attributes = _vendor(attributes, "requested_validity_days", str(days).encode())
    if certificate_extensions:
        attributes = _vendor(attributes, "x509-extension", files.read(certificate_extensions))
    request = Certify(
        unique_identifier=public_key_id_to_certify or certificate_id_to_re_certify,
        attributes=attribute_rules.with_tags(attributes, frozenset(tags)),
    )
    if certificate_signing_request:
        request = Certify(
            certificate_request_type=_REQUESTS[request_format],
            certificate_request_value=files.read(certificate_signing_request),
            attributes=request.attributes,
        )
    uid = (await session(request)).unique_identifier
    return Outcome(
        stdout="The certificate was successfully generated.",
        unique_identifier=uid,
        tags=list(tags),
    )


def _generated(algorithm: str) -> dict[str, Any]:
    """Return the attributes that ask for a new key pair."""
    if algorithm in _RSA:
        return {
            "cryptographic_algorithm": CryptographicAlgorithm.RSA,
            "cryptographic_length": _RSA[algorithm],
        }
    kind, curve = CURVES[algorithm]
    return {
        "cryptographic_algorithm": kind,
        "cryptographic_domain_parameters": CryptographicDomainParameters(recommended_curve=curve),
    }


def _issuer(private_key: str | None, certificate: str | None) -> list[Link]:
    named = (
        (LinkType.PRIVATE_KEY_LINK, private_key),
        (LinkType.CERTIFICATE_LINK, certificate),
    )
    return [Link(link_type=kind, linked_object_identifier=uid) for kind, uid in named if uid]


def _vendor(attributes: Attributes, key: str, value: bytes) -> Attributes:
    item = Item("AttributeValue", ItemType.BYTE_STRING, value)
    return attribute_rules.with_vendor(attributes, key, item)


def name(text: str) -> CertificateAttributes:
    r"""Read a subject's name: `CN=…, O=…`; a comma in a value is written `\,`.

    Raises:
        click.UsageError: a part is no `KEY=value`, or its key is not known.
    """
    values = {}
    for part in text.replace("\\,", "\0").split(","):
        key, equals, value = part.replace("\0", ",").partition("=")
        key = key.strip().lower()
        field = _ALIASES.get(key, key)
        if not equals or field not in _NAMES:
            known = ", ".join(each.upper() for each in _NAMES)
            raise click.UsageError(
                f"{part.strip()!r} is no part of a name: write KEY=value, {known}"
            )
        values[f"certificate_subject_{field}"] = value.strip()
    return CertificateAttributes(**values)
