"""`sym`: symmetric keys, and encryption with them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import click
import msgspec

from kmsd.cli import files, keyfiles, options
from kmsd.cli.ciphers import DATA_ALGORITHMS, KEY_ALGORITHMS
from kmsd.cli.commands.keys import add_key_commands, imported
from kmsd.cli.errors import CommandFailed
from kmsd.cli.outcome import Outcome
from kmsd.cli.session import Session
from kmsd.cli.tree import Group
from kmsd.kmip import attributes as attribute_rules
from kmsd.kmip.attributes import Attributes
from kmsd.kmip.enums import (
    CryptographicAlgorithm,
    CryptographicUsageMask,
    KeyFormatType,
    ObjectType,
)
from kmsd.operations.create import Create
from kmsd.operations.rekey import ReKey
from kmsd.ttlv import Item, ItemType

_Mask = CryptographicUsageMask
_USES = _Mask.ENCRYPT | _Mask.DECRYPT | _Mask.WRAP_KEY | _Mask.UNWRAP_KEY | _Mask.KEY_AGREEMENT

# Name → bits → algorithm; None is any number of bits.
_ALGORITHMS: dict[str, dict[int | None, CryptographicAlgorithm]] = {
    "aes": {None: CryptographicAlgorithm.AES},
    "chacha20": {None: CryptographicAlgorithm.CHACHA20},
    "sha3": {
        224: CryptographicAlgorithm.SHA3_224,
        256: CryptographicAlgorithm.SHA3_256,
        384: CryptographicAlgorithm.SHA3_384,
        512: CryptographicAlgorithm.SHA3_512,
    },
    "shake": {
        128: CryptographicAlgorithm.SHAKE128,
        256: CryptographicAlgorithm.SHAKE256,
    },
}


@click.group(cls=Group)
def sym() -> None:
    """Symmetric keys: create, rotate, encrypt, decrypt."""


@sym.group()
def keys() -> None:
    """Create, rotate, export, import, wrap, revoke and destroy symmetric keys."""


add_key_commands(keys)


@keys.command()
@click.argument("key_id", required=False)
@click.option("-l", "--number-of-bits", type=int, help="Bits of a new key.  [default: 256]")
@click.option(
    "-k",
    "--bytes-b64",
    type=options.SECRET,
    envvar="CKMS_KEY_B64",
    help=f"A key there is, in base64. {options.SECRET_HELP}",
)
@click.option(
    "-a", "--algorithm", type=click.Choice(list(_ALGORITHMS)), default="aes", show_default=True
)
@options.new_tags
@click.option("--sensitive", is_flag=True, help="It never leaves the server in clear.")
@click.option("-w", "--wrapping-key-id", metavar="ID", help="Store it wrapped under this key.")
async def create(
    session: Session,
    *,
    key_id: str | None,
    number_of_bits: int | None,
    bytes_b64: str | None,
    algorithm: str,
    tags: Sequence[str],
    sensitive: bool,
    wrapping_key_id: str | None,
) -> Outcome:
    """Create a symmetric key, or bring one along (--bytes-b64)."""
    if bytes_b64 is not None and number_of_bits is not None:
        raise click.UsageError("--number-of-bits is for a new key, --bytes-b64 brings one along")
    brought = options.decoded_base64(bytes_b64) if bytes_b64 is not None else None
    bits = len(brought) * 8 if brought is not None else number_of_bits or 256
    attributes = Attributes(
        cryptographic_algorithm=_algorithm(algorithm, bits),
        cryptographic_length=bits,
        cryptographic_usage_mask=_USES,
        key_format_type=KeyFormatType.TRANSPARENT_SYMMETRIC_KEY,
        object_type=ObjectType.SYMMETRIC_KEY,
        sensitive=sensitive or None,
    )
    if brought is not None:
        uid = await _brought(session, brought, attributes, key_id, wrapping_key_id, tags)
    else:
        uid = await _created(session, attributes, key_id, wrapping_key_id, tags)
    return Outcome(
        stdout="The symmetric key was successfully generated.",
        unique_identifier=uid,
        tags=list(tags),
    )


def _algorithm(name: str, bits: int) -> CryptographicAlgorithm:
    by_bits = _ALGORITHMS[name]
    found = by_bits.get(bits, by_bits.get(None))
    if found is None:
        known = ", ".join(str(each) for each in by_bits)
        raise click.UsageError(f"{name} has {known} bits: say --number-of-bits")
    return found


async def _created(
    session: Session,
    attributes: Attributes,
    key_id: str | None,
    wrapping_key_id: str | None,
    tags: Sequence[str],
) -> str:
    attributes = msgspec.structs.replace(attributes, unique_identifier=key_id)
    attributes = attribute_rules.with_tags(attributes, frozenset(tags))
    attributes = wrapped_by(attributes, wrapping_key_id)
    made = await session(Create(object_type=ObjectType.SYMMETRIC_KEY, attributes=attributes))
    return str(made.unique_identifier)


def wrapped_by(attributes: Attributes, wrapping_key_id: str | None) -> Attributes:
    """Ask for a new key to be stored wrapped under another."""
    if not wrapping_key_id:
        return attributes
    value = Item("AttributeValue", ItemType.BYTE_STRING, wrapping_key_id.encode())
    return attribute_rules.with_vendor(attributes, "wrapping_key_id", value)


async def _brought(
    session: Session,
    key: bytes,
    attributes: Attributes,
    key_id: str | None,
    wrapping_key_id: str | None,
    tags: Sequence[str],
) -> str:
    """Import a key, to be stored wrapped if a wrapping key is named."""
    algorithm = attributes.cryptographic_algorithm
    assert algorithm is not None  # noqa: S101 (`create` has set it)
    managed_object = keyfiles.symmetric_key(key, algorithm)
    added = wrapped_by(attributes, wrapping_key_id)
    return await imported(session, managed_object, key_id or "", tags=tags, added=added)


@keys.command("re-key")
@options.by_key
async def re_key(session: Session, *, key_id: str | None, tags: Sequence[str]) -> Outcome:
    """Rotate a symmetric key: new bytes of the same kind."""
    answer = await session(ReKey(unique_identifier=options.identified(key_id, tags)))
    return Outcome(
        stdout="The symmetric key was successfully refreshed.",
        unique_identifier=answer.unique_identifier,
        tags=list(tags),
    )


# Encryption

_data_algorithm = click.option(
    "-d",
    "--data-encryption-algorithm",
    "data_algorithm",
    type=click.Choice(list(DATA_ALGORITHMS)),
    default="aes-gcm",
    show_default=True,
    help="What encrypts the data.",
)
_key_algorithm = click.option(
    "-e",
    "--key-encryption-algorithm",
    "key_algorithm",
    type=click.Choice(list(KEY_ALGORITHMS)),
    help="Encrypt here, under a key of the file's own that the server's key encrypts this way;"
    " for files of any size.",
)
_aad = click.option(
    "-a",
    "--authentication-data",
    type=options.HEX,
    metavar="HEX",
    help="Data that is authenticated with it.",
)
_files = click.argument("input_files", metavar="FILE...", nargs=-1, required=True)


@sym.command()
@_files
@options.by_key
@_data_algorithm
@_key_algorithm
@options.output_file
@click.option(
    "-n",
    "--nonce",
    type=options.HEX,
    metavar="HEX",
    help="The nonce or tweak; a random one, if not given. Never use one twice with a key.",
)
@_aad
async def encrypt(  # noqa: PLR0913
    session: Session,
    *,
    input_files: Sequence[str],
    key_id: str | None,
    tags: Sequence[str],
    data_algorithm: str,
    key_algorithm: str | None,
    output_file: str | None,
    nonce: bytes | None,
    authentication_data: bytes | None,
) -> Outcome:
    """Encrypt files (`-`: standard input), at the server or, with -e, here."""
    from kmsd.cli import flowing

    key, row = options.identified(key_id, tags), DATA_ALGORITHMS[data_algorithm]
    if nonce is not None and len(nonce) != row.nonce_bytes:
        raise click.UsageError(f"{data_algorithm} has a nonce of {row.nonce_bytes} bytes")
    if nonce is not None and len(input_files) > 1:
        raise click.UsageError("one nonce is for one file")

    async def one(source: Any, output: files.Output) -> None:
        if key_algorithm:
            await flowing.encrypt_here(
                session,
                source,
                output,
                key=key,
                row=row,
                key_algorithm=KEY_ALGORITHMS[key_algorithm],
                nonce=nonce,
                aad=authentication_data or b"",
            )
        else:
            await flowing.encrypt_there(
                session,
                source,
                output,
                key=key,
                row=row,
                nonce=nonce,
                aad=authentication_data,
            )

    return await each_file(session, input_files, output_file, one, "encrypted")


@sym.command()
@_files
@options.by_key
@_data_algorithm
@_key_algorithm
@options.output_file
@_aad
async def decrypt(
    session: Session,
    *,
    input_files: Sequence[str],
    key_id: str | None,
    tags: Sequence[str],
    data_algorithm: str,
    key_algorithm: str | None,
    output_file: str | None,
    authentication_data: bytes | None,
) -> Outcome:
    """Decrypt files, with the same options that they were encrypted with."""
    from kmsd.cli import flowing

    key, row = options.identified(key_id, tags), DATA_ALGORITHMS[data_algorithm]

    async def one(source: Any, output: files.Output) -> None:
        if key_algorithm:
            await flowing.decrypt_here(
                session,
                source,
                output,
                key=key,
                row=row,
                key_algorithm=KEY_ALGORITHMS[key_algorithm],
                aad=authentication_data or b"",
            )
            return
        await flowing.decrypt_there(
            session, source, output, key=key, row=row, aad=authentication_data
        )

    return await each_file(session, input_files, output_file, one, "decrypted")


async def each_file(
    session: Session, names: Sequence[str], output_file: str | None, one: Any, done: str
) -> Outcome:
    """Have `one` turn each file into an output beside it, or into `output_file`."""
    if output_file and len(names) > 1:
        raise click.UsageError("--output-file is for one FILE; several are written beside them")
    extension = {"encrypted": "enc", "decrypted": "plain"}[done]
    written = []
    with session.progress(len(names), f"{done[:-2]}ing") as bar:
        for name in names:
            target = output_file or files.beside(name, extension)
            if target == name != files.STANDARD:
                raise CommandFailed(f"{name} would be overwritten by itself: say --output-file")
            with (
                files.opened(name) as source,
                files.Output(target, secret=done == "decrypted") as output,
            ):
                await one(source, output)
            written.append(target)
            bar.update(1)
    if files.STANDARD in written:
        return Outcome(stdout="")
    where = ", ".join(written)
    return Outcome(stdout=f"The {done} file is available at {where}")
