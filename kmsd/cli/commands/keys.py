"""What all kinds of keys have in common: export, import, wrap, unwrap, revoke, destroy."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import click
import msgspec

from kmsd.cli import files, keyfiles, options
from kmsd.cli.errors import CommandFailed
from kmsd.cli.outcome import Outcome
from kmsd.cli.session import Session
from kmsd.kmip import attributes as attribute_rules
from kmsd.kmip.attributes import TAG, Attributes
from kmsd.kmip.enums import (
    BlockCipherMode,
    CryptographicAlgorithm,
    EncodingOption,
    HashingAlgorithm,
    KeyWrapType,
    LinkType,
    PaddingMethod,
    RevocationReasonCode,
    WrappingMethod,
)
from kmsd.kmip.objects import TYPES, KeyValue, ManagedObject, key_block
from kmsd.kmip.structures import (
    CryptographicParameters,
    EncryptionKeyInformation,
    KeyWrappingSpecification,
    Link,
    RevocationReason,
)
from kmsd.operations.destroy import Destroy
from kmsd.operations.export import Export
from kmsd.operations.get import Get
from kmsd.operations.import_ import Import
from kmsd.operations.revoke import Revoke
from kmsd.ttlv import Item, ItemType

_Parameters = CryptographicParameters
WRAPPING_ALGORITHMS = {
    "nist-key-wrap": _Parameters(
        cryptographic_algorithm=CryptographicAlgorithm.AES,
        block_cipher_mode=BlockCipherMode.AES_KEY_WRAP_PADDING,
    ),
    "aes-gcm": _Parameters(
        cryptographic_algorithm=CryptographicAlgorithm.AES, block_cipher_mode=BlockCipherMode.GCM
    ),
    "rsa-pkcs-v15": _Parameters(
        cryptographic_algorithm=CryptographicAlgorithm.RSA,
        padding_method=PaddingMethod.PKCS1V15,
        hashing_algorithm=HashingAlgorithm.SHA256,
    ),
    "rsa-oaep": _Parameters(
        cryptographic_algorithm=CryptographicAlgorithm.RSA,
        padding_method=PaddingMethod.OAEP,
        hashing_algorithm=HashingAlgorithm.SHA256,
    ),
    "rsa-aes-key-wrap": _Parameters(
        cryptographic_algorithm=CryptographicAlgorithm.AES,
        padding_method=PaddingMethod.OAEP,
        hashing_algorithm=HashingAlgorithm.SHA256,
    ),
}


def add_key_commands(group: click.Group) -> None:
    """Give a group the commands that all kinds of keys have in common."""
    for command in (export_, import_, wrap, unwrap, revoke, destroy):
        group.command(command.__name__.rstrip("_"))(_fresh(command))


def _fresh(function: Any) -> Any:
    """Return a copy of a command's function: click takes its options off the original."""

    async def copy(session: Session, **given: Any) -> Outcome:
        outcome: Outcome = await function(session, **given)
        return outcome

    copy.__doc__, copy.__name__ = function.__doc__, function.__name__
    copy.__click_params__ = list(function.__click_params__)  # type: ignore[attr-defined]
    return copy


@click.argument("key_file", metavar="FILE")
@options.by_key
@click.option(
    "-f",
    "--key-format",
    type=click.Choice(list(keyfiles.EXPORT_FORMATS)),
    default="json-ttlv",
    show_default=True,
)
@click.option("-u", "--unwrap", is_flag=True, help="Have a wrapped key unwrapped first.")
@click.option("-w", "--wrap-key-id", metavar="ID", help="Have it wrapped under this key.")
@click.option(
    "-i", "--allow-revoked", is_flag=True, help="Also keys that are revoked or destroyed."
)
@click.option(
    "-m",
    "--wrapping-algorithm",
    type=click.Choice(list(WRAPPING_ALGORITHMS)),
    help="How to wrap; what fits the wrapping key, if not given.",
)
@click.option(
    "-d",
    "--authenticated-additional-data",
    metavar="DATA",
    help="Authenticated with the key by aes-gcm.",
)
async def export_(  # noqa: PLR0913
    session: Session,
    *,
    key_file: str,
    key_id: str | None,
    tags: Sequence[str],
    key_format: str,
    unwrap: bool,
    wrap_key_id: str | None,
    allow_revoked: bool,
    wrapping_algorithm: str | None,
    authenticated_additional_data: str | None,
) -> Outcome:
    """Write a key to FILE (`-`: standard output); one that is not public gets mode 0600."""
    named = options.identified(key_id, tags)
    if unwrap and wrap_key_id:
        raise click.UsageError("a key is exported unwrapped or wrapped, not both")
    form = keyfiles.EXPORT_FORMATS[key_format]
    specification = (
        _specification(wrap_key_id, wrapping_algorithm, form, authenticated_additional_data)
        if wrap_key_id
        else None
    )
    got = await fetched(
        session,
        named,
        allow_revoked=allow_revoked,
        key_format_type=None if specification else form.key_format,
        key_wrap_type=KeyWrapType.NOT_WRAPPED if unwrap else KeyWrapType.AS_REGISTERED,
        key_wrapping_specification=specification,
    )
    managed_object = got.managed_object
    data = keyfiles.written(managed_object, form.encoding)
    files.write(key_file, data, secret=not keyfiles.is_public(managed_object))
    return _exported(got.unique_identifier, keyfiles.type_of(managed_object), key_file)


def _exported(uid: str, kind: str, key_file: str) -> Outcome:
    if key_file == files.STANDARD:
        return Outcome(stdout="")
    return Outcome(
        stdout=f"The key {uid} of type {kind} was exported to {key_file}", unique_identifier=uid
    )


async def fetched(session: Session, named: str, *, allow_revoked: bool = False, **how: Any) -> Any:
    """Get an object, or export one that may be revoked; return the response."""
    request = Export if allow_revoked else Get
    return await session(request(unique_identifier=named, **how))


def _specification(
    wrap_key_id: str, algorithm: str | None, form: keyfiles.ExportForm, aad: str | None
) -> KeyWrappingSpecification:
    encoding = EncodingOption.NO_ENCODING
    if form.encoding == "json":
        encoding = EncodingOption.TTLV_ENCODING
    return KeyWrappingSpecification(
        wrapping_method=WrappingMethod.ENCRYPT,
        encryption_key_information=EncryptionKeyInformation(
            unique_identifier=wrap_key_id,
            cryptographic_parameters=WRAPPING_ALGORITHMS[algorithm] if algorithm else None,
        ),
        attribute_name=(aad,) if aad else (),
        encoding_option=encoding,
    )


@click.argument("key_file", metavar="FILE")
@click.argument("key_id", required=False)
@click.option(
    "-f",
    "--key-format",
    type=click.Choice(keyfiles.IMPORT_FORMATS),
    default="json-ttlv",
    show_default=True,
)
@click.option("-p", "--public-key-id", metavar="ID", help="Link it to this public key.")
@click.option("-k", "--private-key-id", metavar="ID", help="Link it to this private key.")
@click.option("-c", "--certificate-id", metavar="ID", help="Link it to this certificate.")
@click.option("-u", "--unwrap", is_flag=True, help="Have a wrapped key unwrapped and so kept.")
@click.option("-r", "--replace", is_flag=True, help="Replace the object of that identifier.")
@options.new_tags
@click.option("--key-usage", multiple=True, metavar="USE", help="encrypt, sign …; repeat it.")
@click.option(
    "-d",
    "--authenticated-additional-data",
    metavar="DATA",
    help="What aes-gcm authenticated when the key was wrapped.",
)
async def import_(  # noqa: PLR0913
    session: Session,
    *,
    key_file: str,
    key_id: str | None,
    key_format: str,
    public_key_id: str | None,
    private_key_id: str | None,
    certificate_id: str | None,
    unwrap: bool,
    replace: bool,
    tags: Sequence[str],
    key_usage: Sequence[str],
    authenticated_additional_data: str | None,
) -> Outcome:
    """Import the key in FILE (`-`: standard input), or all keys in a folder."""
    added = Attributes(
        cryptographic_usage_mask=options.usage_mask(key_usage),
        link=tuple(_links(public_key_id, private_key_id, certificate_id)),
    )
    if authenticated_additional_data:
        value = Item("AttributeValue", ItemType.BYTE_STRING, authenticated_additional_data.encode())
        added = attribute_rules.with_vendor(added, "aad", value)
    how: dict[str, Any] = {
        "replace": replace,
        "key_wrap_type": KeyWrapType.NOT_WRAPPED if unwrap else KeyWrapType.AS_REGISTERED,
        "tags": tags,
        "added": added,
    }
    paths = files.inside(key_file)
    if paths is not None:
        if key_id:
            raise click.UsageError("one identifier cannot be that of a whole folder")
        return await _import_folder(session, key_file, paths, key_format, how)
    managed_object = keyfiles.read(files.read(key_file), key_format)
    uid = await imported(session, managed_object, key_id or "", **how)
    return Outcome(
        stdout=f"The {keyfiles.type_of(managed_object)} in file {key_file} was imported"
        f" with id: {uid}",
        unique_identifier=uid,
        tags=list(tags),
    )


def _links(
    public_key_id: str | None, private_key_id: str | None, certificate_id: str | None
) -> Iterator[Link]:
    for kind, uid in (
        (LinkType.PUBLIC_KEY_LINK, public_key_id),
        (LinkType.PRIVATE_KEY_LINK, private_key_id),
        (LinkType.CERTIFICATE_LINK, certificate_id),
    ):
        if uid:
            yield Link(link_type=kind, linked_object_identifier=uid)


async def _import_folder(
    session: Session, folder: str, paths: Sequence[str], key_format: str, how: dict[str, Any]
) -> Outcome:
    """Import every file of a folder; one that fails does not keep the others from it."""
    from kmsd.client import ClientError

    done: list[str] = []
    failed: list[str] = []
    with session.progress(len(paths), "importing") as bar:
        for path in paths:
            try:
                managed_object = keyfiles.read(files.read(path), key_format)
                done.append(await imported(session, managed_object, "", **how))
            except (ClientError, CommandFailed) as error:
                failed.append(f"{path}: {error}")
            bar.update(1)
    if failed:
        imported_ids = ", ".join(done) or "none"
        raise CommandFailed("\n  ".join([*failed, f"imported of the others: {imported_ids}"]))
    return Outcome(stdout=f"{len(done)} keys in {folder} were imported", unique_identifiers=done)


async def imported(
    session: Session,
    managed_object: ManagedObject,
    unique_identifier: str = "",
    *,
    replace: bool = False,
    key_wrap_type: KeyWrapType = KeyWrapType.AS_REGISTERED,
    tags: Sequence[str] = (),
    added: Attributes | None = None,
) -> str:
    """Import an object with the attributes that it brings and those that are `added`."""
    attributes = _brought(managed_object)
    if added is not None:
        merged = {field: getattr(added, field) for field in attribute_rules.present(added)}
        if added.link:
            kinds = {each.link_type for each in added.link}
            kept = tuple(each for each in attributes.link if each.link_type not in kinds)
            merged["link"] = (*kept, *added.link)
        if added.attribute:
            merged["attribute"] = (*attributes.attribute, *added.attribute)
        attributes = msgspec.structs.replace(attributes, **merged)
    request = Import(
        unique_identifier=unique_identifier,
        object_type=TYPES[type(managed_object)],
        replace_existing=replace,
        key_wrap_type=key_wrap_type,
        attributes=_tagged(attributes, tags),
        managed_object=managed_object,
    )
    return str((await session(request)).unique_identifier)


def _brought(managed_object: ManagedObject) -> Attributes:
    """Return the attributes inside an object's key, without what is only the old server's."""
    block = key_block(managed_object)
    value = block.key_value if block else None
    found = value.attributes if isinstance(value, KeyValue) else None
    found = found or Attributes()
    return msgspec.structs.replace(
        found,
        unique_identifier=None,
        object_type=TYPES[type(managed_object)],
        key_format_type=block.key_format_type if block else None,
        cryptographic_algorithm=block.cryptographic_algorithm if block else None,
        cryptographic_length=block.cryptographic_length if block else None,
    )


def _tagged(attributes: Attributes, tags: Sequence[str]) -> Attributes:
    """Set the tags, even to none: it is how the product asks for the tags of the system's."""
    if tags:
        return attribute_rules.with_tags(attributes, frozenset(tags))
    if attribute_rules.vendor_value(attributes, TAG) is not None:
        return attributes
    empty = Item("AttributeValue", ItemType.BYTE_STRING, b"[]")
    return attribute_rules.with_vendor(attributes, TAG, empty)


def _wrapper(function: Any) -> Any:
    """Give a command the four ways to name a wrapping key."""
    for option in reversed(
        (
            click.argument("key_file_in", metavar="FILE_IN"),
            click.argument("key_file_out", metavar="[FILE_OUT]", required=False),
            click.option(
                "-p",
                "--wrap-password",
                "password",
                type=options.SECRET,
                envvar="CKMS_WRAP_PASSWORD",
                help=f"A password. {options.SECRET_HELP}",
            ),
            click.option(
                "-k",
                "--wrap-key-b64",
                "key_b64",
                type=options.SECRET,
                envvar="CKMS_WRAP_KEY_B64",
                help=f"An AES key in base64. {options.SECRET_HELP}",
            ),
            click.option(
                "-i", "--wrap-key-id", "key_id", metavar="ID", help="A key of the server."
            ),
            click.option(
                "-f", "--wrap-key-file", "key_file", metavar="FILE", help="A key in a JSON file."
            ),
        )
    ):
        function = option(function)
    return function


@_wrapper
async def wrap(
    session: Session, *, key_file_in: str, key_file_out: str | None, **named: Any
) -> Outcome:
    """Wrap the key in a JSON file, on this side, in place or to another file."""
    from kmsd.cli import wrapping

    key = await _wrapping_key(session, to_wrap=True, **named)
    managed_object = keyfiles.from_json(files.read(key_file_in))
    done = wrapping.wrapped(managed_object, key, named["key_id"])
    return _rewritten(done, key_file_in, key_file_out, "wrapped")


@_wrapper
async def unwrap(
    session: Session, *, key_file_in: str, key_file_out: str | None, **named: Any
) -> Outcome:
    """Unwrap the key in a JSON file, on this side, in place or to another file."""
    from kmsd.cli import wrapping

    key = await _wrapping_key(session, to_wrap=False, **named)
    managed_object = keyfiles.from_json(files.read(key_file_in))
    return _rewritten(
        wrapping.unwrapped(managed_object, key), key_file_in, key_file_out, "unwrapped"
    )


def _rewritten(
    managed_object: ManagedObject, name_in: str, name_out: str | None, done: str
) -> Outcome:
    where = name_out or name_in
    files.write(where, keyfiles.to_json(managed_object), secret=True)
    if where == files.STANDARD:
        return Outcome(stdout="")
    kind = keyfiles.type_of(managed_object)
    return Outcome(stdout=f"The key of type {kind} in file {name_in} was {done} in file: {where}")


async def _wrapping_key(
    session: Session,
    *,
    to_wrap: bool,
    password: str | None,
    key_b64: str | None,
    key_id: str | None,
    key_file: str | None,
) -> Any:
    """Return the key that one of the four options names."""
    from kmsd.cli import wrapping

    if sum(each is not None for each in (password, key_b64, key_id, key_file)) != 1:
        raise click.UsageError(
            "say by what, in one way: --wrap-password, --wrap-key-b64, --wrap-key-id or"
            " --wrap-key-file"
        )
    if password is not None:
        return wrapping.password_key(password)
    if key_b64 is not None:
        return wrapping.checked(options.decoded_base64(key_b64))
    if key_file is not None:
        found = keyfiles.from_json(files.read(key_file))
        return wrapping.wrapping_key(found, to_wrap=to_wrap)
    got = await fetched(session, str(key_id))
    return wrapping.wrapping_key(got.managed_object, to_wrap=to_wrap)


@click.argument("revocation_reason", metavar="REASON")
@options.by_key
async def revoke(
    session: Session, *, revocation_reason: str, key_id: str | None, tags: Sequence[str]
) -> Outcome:
    """Revoke a key, and what belongs to it: it cannot be used any more. REASON is any text."""
    return await revoked(session, options.identified(key_id, tags), revocation_reason, "key")


async def revoked(session: Session, named: str, reason: str, what: str) -> Outcome:
    """Revoke an object."""
    answer = await session(
        Revoke(
            unique_identifier=named,
            revocation_reason=RevocationReason(
                revocation_reason_code=RevocationReasonCode.UNSPECIFIED, revocation_message=reason
            ),
        )
    )
    return Outcome(
        stdout=f"Successfully revoked the {what}.", unique_identifier=answer.unique_identifier
    )


@options.by_key
@click.option("--remove", is_flag=True, help="Forget it altogether, attributes too.")
async def destroy(
    session: Session, *, key_id: str | None, tags: Sequence[str], remove: bool
) -> Outcome:
    """Destroy a key that has been revoked: its material is erased for good."""
    return await destroyed(session, options.identified(key_id, tags), "key", remove=remove)


async def destroyed(session: Session, named: str, what: str, *, remove: bool) -> Outcome:
    """Destroy an object."""
    answer = await session(Destroy(unique_identifier=named, remove=remove or None))
    done = "removed" if remove else "destroyed"
    return Outcome(
        stdout=f"Successfully {done} the {what}.", unique_identifier=answer.unique_identifier
    )
