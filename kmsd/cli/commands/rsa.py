"""`rsa`: key pairs, encryption and decryption."""

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
from kmsd.kmip.enums import CryptographicAlgorithm, HashingAlgorithm, PaddingMethod
from kmsd.kmip.structures import CryptographicParameters

_HASHES = {
    "sha1": HashingAlgorithm.SHA1,
    "sha224": HashingAlgorithm.SHA224,
    "sha256": HashingAlgorithm.SHA256,
    "sha384": HashingAlgorithm.SHA384,
    "sha512": HashingAlgorithm.SHA512,
    "sha3-224": HashingAlgorithm.SHA3_224,
    "sha3-256": HashingAlgorithm.SHA3_256,
    "sha3-384": HashingAlgorithm.SHA3_384,
    "sha3-512": HashingAlgorithm.SHA3_512,
}
_PADDINGS = {
    "ckm-rsa-pkcs": (CryptographicAlgorithm.RSA, PaddingMethod.PKCS1V15),
    "ckm-rsa-pkcs-oaep": (CryptographicAlgorithm.RSA, PaddingMethod.OAEP),
    "ckm-rsa-aes-key-wrap": (CryptographicAlgorithm.AES, PaddingMethod.OAEP),
}
"""The last one takes data of any size: it is wrapped under an AES key, and that one by OAEP."""

encryption_algorithm = click.option(
    "-e",
    "--encryption-algorithm",
    type=click.Choice(list(_PADDINGS)),
    default="ckm-rsa-pkcs-oaep",
    show_default=True,
)
hashing_algorithm = click.option(
    "-s",
    "--hashing-algorithm",
    type=click.Choice(list(_HASHES)),
    default="sha256",
    show_default=True,
)


def parameters(encryption_algorithm: str, hashing_algorithm: str) -> CryptographicParameters:
    """Return what the names of algorithms mean to the server."""
    algorithm, padding = _PADDINGS[encryption_algorithm]
    return CryptographicParameters(
        cryptographic_algorithm=algorithm,
        padding_method=padding,
        hashing_algorithm=_HASHES[hashing_algorithm],
    )


@click.group(cls=Group)
def rsa() -> None:
    """RSA keys: create, encrypt, decrypt."""


@rsa.group()
def keys() -> None:
    """Create, export, import, wrap, revoke and destroy RSA keys."""


add_key_commands(keys)


@keys.command()
@click.argument("private_key_id", required=False)
@click.option(
    "-s",
    "--size_in_bits",
    "--size-in-bits",
    "size_in_bits",
    type=int,
    default=4096,
    show_default=True,
)
@options.new_tags
@click.option("--sensitive", is_flag=True, help="The private key never leaves in clear.")
@click.option("-w", "--wrapping-key-id", metavar="ID", help="Store it wrapped under this key.")
async def create(
    session: Session, *, private_key_id: str | None, size_in_bits: int, **how: Any
) -> Outcome:
    """Create an RSA key pair."""
    common = Attributes(
        cryptographic_algorithm=CryptographicAlgorithm.RSA, cryptographic_length=size_in_bits
    )
    return await asymmetric.created_pair(session, common, "RSA", key_id=private_key_id, **how)


@rsa.command()
@click.argument("input_files", metavar="FILE...", nargs=-1, required=True)
@options.by_key
@encryption_algorithm
@hashing_algorithm
@options.output_file
async def encrypt(
    session: Session,
    *,
    input_files: Sequence[str],
    key_id: str | None,
    tags: Sequence[str],
    encryption_algorithm: str,
    hashing_algorithm: str,
    output_file: str | None,
) -> Outcome:
    """Encrypt a file to a public key; a large one with -e ckm-rsa-aes-key-wrap."""
    return await asymmetric.encrypted(
        session,
        input_files,
        output_file,
        key=options.identified(key_id, tags),
        parameters=parameters(encryption_algorithm, hashing_algorithm),
    )


@rsa.command()
@click.argument("input_files", metavar="FILE...", nargs=-1, required=True)
@options.by_key
@encryption_algorithm
@hashing_algorithm
@options.output_file
async def decrypt(
    session: Session,
    *,
    input_files: Sequence[str],
    key_id: str | None,
    tags: Sequence[str],
    encryption_algorithm: str,
    hashing_algorithm: str,
    output_file: str | None,
) -> Outcome:
    """Decrypt a file with a private key."""
    return await asymmetric.decrypted(
        session,
        input_files,
        output_file,
        key=options.identified(key_id, tags),
        parameters=parameters(encryption_algorithm, hashing_algorithm),
    )
