"""CoverCrypt in the words of 4.1 to 4.3: `cc init`, `cc new`, `cc rotate` and the others."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import click
import msgspec

from kmsd.cli import files, keyfiles, options, wrapping
from kmsd.cli.commands import cc_requests
from kmsd.cli.commands.keys import destroyed, fetched, imported, revoked
from kmsd.cli.outcome import Outcome
from kmsd.cli.session import Session
from kmsd.kmip.attributes import Attributes
from kmsd.kmip.enums import CryptographicAlgorithm, KeyFormatType, LinkType
from kmsd.kmip.objects import KeyBlock, KeyValue, PrivateKey, PublicKey
from kmsd.kmip.structures import KeyWrappingData, Link


def add_commands(group: click.Group) -> None:
    """Add the commands of 4.1 to `cc`."""
    for name, command in _COMMANDS.items():
        group.command(name)(command)


@click.option("-p", "--policy", default="policy.json", show_default=True, metavar="FILE")
async def init(session: Session, *, policy: str) -> Outcome:
    """Create a master key pair for the policy in a file (4.1)."""
    made = await cc_requests.master_pair(session, files.read(policy), (), sensitive=False)
    return Outcome(
        stdout="The master key pair has been properly generated.\nStore the following securely for"
        " any further uses:\n",
        private_key_unique_identifier=made.private_key_unique_identifier,
        public_key_unique_identifier=made.public_key_unique_identifier,
        as_in_4_1=True,
    )


_secret_key_id = click.option(
    "-s", "--secret-key-id", required=True, metavar="ID", help="The private master key."
)


@_secret_key_id
@click.option("-a", "--attributes", "first", multiple=True, required=True, metavar="ATTRIBUTE...")
@click.argument("more", nargs=-1, metavar="")
async def rotate(
    session: Session, *, secret_key_id: str, first: Sequence[str], more: Sequence[str]
) -> Outcome:
    """Rotate attributes of the master keys (4.1)."""
    for attribute in (*first, *more):
        await cc_requests.rekeyed(session, secret_key_id, {"RekeyAccessPolicy": attribute})
    return Outcome(stdout="The master key pair has been properly rotated.")


@_secret_key_id
@click.argument("access_policy")
async def new(session: Session, *, secret_key_id: str, access_policy: str) -> Outcome:
    """Create a user key for an access policy (4.1)."""
    uid = await cc_requests.user_key(session, secret_key_id, access_policy, (), sensitive=False)
    return Outcome(
        stdout="The decryption user key has been properly generated.\nStore the following securely"
        f" for any further uses:\n\nDecryption user key unique identifier: {uid}",
    )


@click.option("-i", "--object-id", required=True, metavar="ID")
@click.option("-o", "--object-file", default="object.json", show_default=True, metavar="FILE")
async def export(session: Session, *, object_id: str, object_file: str) -> Outcome:
    """Write the TTLV JSON of an object to a file (4.1)."""
    got = await fetched(session, object_id)
    managed_object = got.managed_object
    files.write(object_file, keyfiles.to_json(managed_object), secret=True)
    kind = keyfiles.type_of(managed_object)
    return Outcome(stdout=f"The object {object_id} of type {kind} was exported to {object_file}")


@click.option("-f", "--object-file", default="object.json", show_default=True, metavar="FILE")
@click.option("-i", "--unique-id", default="", metavar="ID", help="A new one, if not given.")
@click.option("-r", "--replace-existing", is_flag=True)
async def import_(
    session: Session, *, object_file: str, unique_id: str, replace_existing: bool
) -> Outcome:
    """Import the object in a file (4.1)."""
    managed_object = keyfiles.from_json(files.read(object_file))
    uid = await imported(session, managed_object, unique_id, replace=replace_existing)
    kind = keyfiles.type_of(managed_object)
    return Outcome(stdout=f"The object in {object_file} of type {kind} was imported with id: {uid}")


_password = click.option(
    "-W",
    "--password",
    type=options.SECRET,
    envvar="CKMS_WRAP_PASSWORD",
    help=f"Wrap the key by it, on this side. {options.SECRET_HELP}",
)


@click.option("-S", "--secret-key-file", metavar="FILE")
@click.option("-P", "--public-key-file", metavar="FILE")
@click.option("-p", "--policy", metavar="FILE", help="The policy of the master keys.")
@click.option("-U", "--user-key-file", metavar="FILE")
@click.option("-s", "--secret-key-id", metavar="ID", help="The user key's private master key.")
@click.option("-a", "--access-policy", metavar="POLICY", help="The user key's.")
@_password
@click.option("-w", "--wrapped", is_flag=True, help="The files hold wrapped keys.")
async def import_keys(
    session: Session, *, password: str | None, wrapped: bool, **named: str | None
) -> Outcome:
    """Import raw keys: a master key pair, or a user key (4.1)."""
    wrap = _Wrap(password, wrapped=wrapped)
    masters = [named[each] for each in ("secret_key_file", "public_key_file", "policy")]
    user = [named[each] for each in ("user_key_file", "secret_key_id", "access_policy")]
    if all(masters) and not any(user):
        return await _import_masters(session, wrap, *map(str, masters))
    if all(user) and not any(masters):
        return await _import_user_key(session, wrap, *map(str, user))
    raise click.UsageError(
        "give either --secret-key-file, --public-key-file and --policy, or --user-key-file,"
        " --secret-key-id and --access-policy"
    )


class _Wrap:
    """How the keys in files become objects: as they are, wrapped by a password, or said to be."""

    def __init__(self, password: str | None, *, wrapped: bool) -> None:
        self._key = wrapping.password_key(password) if password is not None else None
        self._wrapped = wrapped

    def object(self, kind: type[Any], key_format: KeyFormatType, raw: bytes) -> Any:
        data = wrapping.wrapping_data() if self._wrapped else None
        made = kind(key_block=_block(key_format, raw, data))
        return made if self._key is None else wrapping.wrapped(made, self._key)


def _block(key_format: KeyFormatType, raw: bytes, data: KeyWrappingData | None) -> KeyBlock:
    return KeyBlock(
        key_format_type=key_format,
        key_value=KeyValue(key_material=raw),
        cryptographic_algorithm=CryptographicAlgorithm.COVERCRYPT,
        cryptographic_length=len(raw) * 8,
        key_wrapping_data=data,
    )


async def _import_masters(
    session: Session, wrap: _Wrap, secret_file: str, public_file: str, policy_file: str
) -> Outcome:
    policy = cc_requests.policy_of(files.read(policy_file))
    attributes = cc_requests.valued(Attributes(), cc_requests.POLICY, policy)
    private = wrap.object(PrivateKey, KeyFormatType.COVERCRYPT_SECRET_KEY, files.read(secret_file))
    public = wrap.object(PublicKey, KeyFormatType.COVERCRYPT_PUBLIC_KEY, files.read(public_file))
    private_uid = await imported(session, private, added=attributes)
    public_uid = await imported(
        session, public, added=_linked(attributes, LinkType.PRIVATE_KEY_LINK, private_uid)
    )
    await imported(
        session,
        private,
        private_uid,
        replace=True,
        added=_linked(attributes, LinkType.PUBLIC_KEY_LINK, public_uid),
    )
    return Outcome(
        stdout="The master keys have been properly imported.\n",
        private_key_unique_identifier=private_uid,
        public_key_unique_identifier=public_uid,
        as_in_4_1=True,
    )


async def _import_user_key(
    session: Session, wrap: _Wrap, user_file: str, secret_key_id: str, access_policy: str
) -> Outcome:
    attributes = cc_requests.valued(Attributes(), cc_requests.ACCESS_POLICY, access_policy.encode())
    key = wrap.object(PrivateKey, KeyFormatType.COVERCRYPT_SECRET_KEY, files.read(user_file))
    uid = await imported(
        session, key, added=_linked(attributes, LinkType.PARENT_LINK, secret_key_id)
    )
    return Outcome(
        stdout="The decryption user key has been properly imported.\n\n"
        f"Decryption user key unique identifier: {uid}"
    )


def _linked(attributes: Attributes, kind: LinkType, uid: str) -> Attributes:
    link = Link(link_type=kind, linked_object_identifier=uid)
    return msgspec.structs.replace(attributes, link=(link,))


@click.argument("key_file", metavar="FILE")
@click.option("-k", "--key-id", required=True, metavar="ID")
@_password
async def export_keys(
    session: Session, *, key_file: str, key_id: str, password: str | None
) -> Outcome:
    """Write the bytes of a key to a file, unwrapped by the password if there is one (4.1)."""
    managed_object = (await fetched(session, key_id)).managed_object
    if password is not None:
        managed_object = wrapping.unwrapped(managed_object, wrapping.password_key(password))
    files.write(key_file, keyfiles.material(managed_object), secret=True)
    return Outcome(stdout=f"The key {key_id} was exported to {key_file}")


_user_key_id = click.option(
    "-u", "--user-key-id", required=True, metavar="ID", help="The user key, or a master key."
)


@_user_key_id
@click.option("-r", "--revocation-reason", required=True, metavar="TEXT")
async def revoke(session: Session, *, user_key_id: str, revocation_reason: str) -> Outcome:
    """Revoke a user key (4.1)."""
    await revoked(session, user_key_id, revocation_reason, "key")
    return Outcome(stdout="The decryption user key has been properly revoked.")


@_user_key_id
async def destroy(session: Session, *, user_key_id: str) -> Outcome:
    """Destroy a user key; one that was not revoked is revoked before (4.1)."""
    from kmsd.client import ClientError

    try:
        await destroyed(session, user_key_id, "key", remove=False)
    except ClientError as error:
        if "revoked first" not in error.message:
            raise
        await revoked(session, user_key_id, "destroyed", "key")
        await destroyed(session, user_key_id, "key", remove=False)
    return Outcome(stdout="The decryption user key has been properly destroyed.")


_COMMANDS: dict[str, Any] = {
    "init": init,
    "rotate": rotate,
    "new": new,
    "export": export,
    "import": import_,
    "import-keys": import_keys,
    "export-keys": export_keys,
    "revoke": revoke,
    "destroy": destroy,
}
