"""What RSA, elliptic curves and certificates share: key pairs, and encryption of small data."""

from __future__ import annotations

from collections.abc import Sequence
from typing import BinaryIO

import msgspec

from kmsd.cli import files
from kmsd.cli.commands.sym import each_file, wrapped_by
from kmsd.cli.outcome import Outcome
from kmsd.cli.session import Session
from kmsd.kmip.attributes import Attributes, with_tags
from kmsd.kmip.enums import ObjectType
from kmsd.kmip.structures import CryptographicParameters
from kmsd.operations.create_key_pair import CreateKeyPair
from kmsd.operations.decrypt import Decrypt
from kmsd.operations.encrypt import Encrypt


async def created_pair(
    session: Session,
    common: Attributes,
    what: str,
    *,
    key_id: str | None,
    tags: Sequence[str],
    sensitive: bool,
    wrapping_key_id: str | None = None,
) -> Outcome:
    """Create a key pair; the private key gets `key_id`."""
    common = with_tags(
        msgspec.structs.replace(common, object_type=ObjectType.PRIVATE_KEY), frozenset(tags)
    )
    private = Attributes(unique_identifier=key_id, sensitive=sensitive or None)
    request = CreateKeyPair(
        common_attributes=common, private_key_attributes=wrapped_by(private, wrapping_key_id)
    )
    made = await session(request)
    return Outcome(
        stdout=f"The {what} key pair has been created.",
        public_key_unique_identifier=made.public_key_unique_identifier,
        private_key_unique_identifier=made.private_key_unique_identifier,
        tags=list(tags),
    )


async def encrypted(
    session: Session,
    names: Sequence[str],
    output_file: str | None,
    *,
    key: str,
    parameters: CryptographicParameters | None = None,
    aad: str | None = None,
) -> Outcome:
    """Encrypt files to a public key or certificate, at the server."""

    async def one(source: BinaryIO, output: files.Output) -> None:
        request = Encrypt(
            unique_identifier=key,
            data=source.read(),
            cryptographic_parameters=parameters,
            authenticated_encryption_additional_data=aad.encode() if aad else None,
        )
        output.write((await session(request)).data or b"")

    return await each_file(session, names, output_file, one, "encrypted")


async def decrypted(
    session: Session,
    names: Sequence[str],
    output_file: str | None,
    *,
    key: str,
    parameters: CryptographicParameters | None = None,
    aad: str | None = None,
) -> Outcome:
    """Decrypt files with a private key, at the server."""

    async def one(source: BinaryIO, output: files.Output) -> None:
        request = Decrypt(
            unique_identifier=key,
            data=source.read(),
            cryptographic_parameters=parameters,
            authenticated_encryption_additional_data=aad.encode() if aad else None,
        )
        output.write((await session(request)).data or b"")

    return await each_file(session, names, output_file, one, "decrypted")
