"""`ec`: key pairs on elliptic curves, encryption and decryption by ECIES."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import click

from kmsd.cli import options
from kmsd.cli.commands import asymmetric
from kmsd.cli.commands.keys import add_key_commands
from kmsd.cli.outcome import Outcome
from kmsd.cli.session import Session
from kmsd.cli.tree import Group
from kmsd.kmip.attributes import Attributes
from kmsd.kmip.enums import CryptographicAlgorithm, RecommendedCurve
from kmsd.kmip.structures import CryptographicDomainParameters

CURVES = {
    "nist-p192": (CryptographicAlgorithm.ECDH, RecommendedCurve.P192),
    "nist-p224": (CryptographicAlgorithm.ECDH, RecommendedCurve.P224),
    "nist-p256": (CryptographicAlgorithm.ECDH, RecommendedCurve.P256),
    "nist-p384": (CryptographicAlgorithm.ECDH, RecommendedCurve.P384),
    "nist-p521": (CryptographicAlgorithm.ECDH, RecommendedCurve.P521),
    "x25519": (CryptographicAlgorithm.ECDH, RecommendedCurve.CURVE25519),
    "ed25519": (CryptographicAlgorithm.ED25519, RecommendedCurve.CURVE_ED25519),
    "x448": (CryptographicAlgorithm.ECDH, RecommendedCurve.CURVE448),
    "ed448": (CryptographicAlgorithm.ED448, RecommendedCurve.CURVE_ED448),
}


@click.group(cls=Group)
def ec() -> None:
    """Keys on elliptic curves: create, encrypt, decrypt."""


@ec.group()
def keys() -> None:
    """Create, export, import, wrap, revoke and destroy keys on elliptic curves."""


add_key_commands(keys)


@keys.command()
@click.argument("private_key_id", required=False)
@click.option(
    "-c", "--curve", type=click.Choice(list(CURVES)), default="nist-p256", show_default=True
)
@options.new_tags
@click.option("--sensitive", is_flag=True, help="The private key never leaves in clear.")
@click.option("-w", "--wrapping-key-id", metavar="ID", help="Store it wrapped under this key.")
async def create(
    session: Session, *, private_key_id: str | None, curve: str, **how: Any
) -> Outcome:
    """Create a key pair on an elliptic curve."""
    algorithm, recommended = CURVES[curve]
    common = Attributes(
        cryptographic_algorithm=algorithm,
        cryptographic_domain_parameters=CryptographicDomainParameters(
            recommended_curve=recommended
        ),
    )
    return await asymmetric.created_pair(session, common, "EC", key_id=private_key_id, **how)


@ec.command()
@click.argument("input_files", metavar="FILE...", nargs=-1, required=True)
@options.by_key
@options.output_file
@options.authenticated
async def encrypt(
    session: Session,
    *,
    input_files: Sequence[str],
    key_id: str | None,
    tags: Sequence[str],
    output_file: str | None,
    authentication_data: str | None,
) -> Outcome:
    """Encrypt a file to a public key."""
    return await asymmetric.encrypted(
        session,
        input_files,
        output_file,
        key=options.identified(key_id, tags),
        aad=authentication_data,
    )


@ec.command()
@click.argument("input_files", metavar="FILE...", nargs=-1, required=True)
@options.by_key
@options.output_file
@options.authenticated
async def decrypt(
    session: Session,
    *,
    input_files: Sequence[str],
    key_id: str | None,
    tags: Sequence[str],
    output_file: str | None,
    authentication_data: str | None,
) -> Outcome:
    """Decrypt a file with a private key."""
    return await asymmetric.decrypted(
        session,
        input_files,
        output_file,
        key=options.identified(key_id, tags),
        aad=authentication_data,
    )
