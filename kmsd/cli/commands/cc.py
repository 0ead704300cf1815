"""`cc`: CoverCrypt. The commands of 4.4 and later; those of 4.1 are in `cc_4_1`.

`encrypt` and `decrypt` are one command for both: 4.1 names the keys by other options, and calls the
access policy `-a`, which later is the authentication data.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from kmsd.cli import files, leb128, options
from kmsd.cli.commands import cc_4_1
from kmsd.cli.commands.cc_policy import policy
from kmsd.cli.commands.cc_requests import master_pair, rekeyed, user_key
from kmsd.cli.commands.keys import add_key_commands
from kmsd.cli.errors import CommandFailed
from kmsd.cli.outcome import Outcome
from kmsd.cli.session import Session
from kmsd.cli.tree import Group
from kmsd.kmip.enums import CryptographicAlgorithm
from kmsd.kmip.structures import CryptographicParameters
from kmsd.operations.decrypt import Decrypt
from kmsd.operations.encrypt import Encrypt

_BULK = CryptographicParameters(cryptographic_algorithm=CryptographicAlgorithm.COVERCRYPT_BULK)
_SINGLE = CryptographicParameters(cryptographic_algorithm=CryptographicAlgorithm.COVERCRYPT)
_BATCH_BYTES = 4 << 20
"""Several files go to the server together, in requests of about this size."""


@click.group(cls=Group)
def cc() -> None:
    """CoverCrypt: encrypt for attributes, decrypt by access policies."""


@cc.group()
def keys() -> None:
    """Create, rotate, export, import, wrap, revoke and destroy CoverCrypt keys."""


add_key_commands(keys)
cc.add_command(policy)
cc_4_1.add_commands(cc)


@keys.command("create-master-key-pair")
@click.option("-s", "--policy-specifications", metavar="FILE", help="The policy as JSON of names.")
@click.option(
    "-b", "--policy-binary", metavar="FILE", help="The policy as `cc policy create` made."
)
@options.new_tags
@click.option("--sensitive", is_flag=True, help="The private key never leaves in clear.")
async def create_master_key_pair(
    session: Session,
    *,
    policy_specifications: str | None,
    policy_binary: str | None,
    tags: Sequence[str],
    sensitive: bool,
) -> Outcome:
    """Create a master key pair for a policy."""
    if (policy_specifications is None) == (policy_binary is None):
        raise click.UsageError("name the policy: --policy-specifications or --policy-binary FILE")
    raw = files.read(policy_specifications or policy_binary or "")
    made = await master_pair(session, raw, tags, sensitive=sensitive)
    return Outcome(
        stdout="The master key pair has been properly generated.",
        private_key_unique_identifier=made.private_key_unique_identifier,
        public_key_unique_identifier=made.public_key_unique_identifier,
        tags=list(tags),
    )


@keys.command("create-user-key")
@click.argument("master_private_key_id")
@click.argument("access_policy")
@options.new_tags
@click.option("--sensitive", is_flag=True, help="It never leaves the server in clear.")
async def create_user_key(
    session: Session,
    *,
    master_private_key_id: str,
    access_policy: str,
    tags: Sequence[str],
    sensitive: bool,
) -> Outcome:
    """Create a user key: it decrypts what ACCESS_POLICY allows, `Dept::HR && Level::Secret`."""
    uid = await user_key(session, master_private_key_id, access_policy, tags, sensitive=sensitive)
    return Outcome(
        stdout="The user decryption key pair has been created.",
        unique_identifier=uid,
        tags=list(tags),
    )


@keys.command()
@click.argument("access_policy")
@options.by_key
async def rekey(
    session: Session, *, access_policy: str, key_id: str | None, tags: Sequence[str]
) -> Outcome:
    """Rotate what ACCESS_POLICY covers: old ciphertexts stay readable, also to user keys."""
    return await _master_rekeyed(
        session,
        key_id,
        tags,
        "RekeyAccessPolicy",
        access_policy,
        "were rekeyed for the access policy",
    )


@keys.command()
@click.argument("access_policy")
@options.by_key
async def prune(
    session: Session, *, access_policy: str, key_id: str | None, tags: Sequence[str]
) -> Outcome:
    """Forget the old keys of what ACCESS_POLICY covers: old ciphertexts become unreadable."""
    return await _master_rekeyed(
        session,
        key_id,
        tags,
        "PruneAccessPolicy",
        access_policy,
        "were pruned for the access policy",
    )


async def _master_rekeyed(
    session: Session,
    key_id: str | None,
    tags: Sequence[str],
    action: str,
    access_policy: str,
    done: str,
) -> Outcome:
    named = options.identified(key_id, tags)
    answer = await rekeyed(session, named, {action: access_policy})
    private, public = answer.private_key_unique_identifier, answer.public_key_unique_identifier
    return Outcome(
        stdout=f"The master secret key {private} and master public key {public} {done}"
        f' "{access_policy}"',
        private_key_unique_identifier=private,
        public_key_unique_identifier=public,
    )


# Encryption


@cc.command()
@click.argument("words", metavar="FILE... ENCRYPTION_POLICY", nargs=-1, required=True)
@options.by_key
@options.output_file
@click.option(
    "-a",
    "short_a",
    metavar="DATA",
    help="--authentication-data; with -p, as in 4.1, --access-policy.",
)
@click.option("--authentication-data", metavar="DATA", help="Data that is authenticated with it.")
@click.option("-p", "--public-key-id", metavar="ID", help="The public master key, as in 4.1.")
@click.option("--access-policy", metavar="POLICY", help="The policy, as in 4.1.")
@click.option(
    "-r", "--resource-uid", metavar="TEXT", help="Metadata that goes with the ciphertext."
)
async def encrypt(  # noqa: PLR0913
    session: Session,
    *,
    words: Sequence[str],
    key_id: str | None,
    tags: Sequence[str],
    output_file: str | None,
    short_a: str | None,
    authentication_data: str | None,
    public_key_id: str | None,
    access_policy: str | None,
    resource_uid: str | None,
) -> Outcome:
    """Encrypt files for an encryption policy, such as `Department::HR && Level::Secret`."""
    if public_key_id:
        access_policy = access_policy or short_a
    else:
        authentication_data = authentication_data or short_a
    names = list(words)
    if access_policy is None:
        access_policy = names.pop()
    if not names:
        raise click.UsageError("say what to encrypt, and for which policy")
    key = options.identified(key_id or public_key_id, tags)
    head = leb128.prefixed(access_policy.encode()) + leb128.prefixed((resource_uid or "").encode())

    async def sealed(contents: list[bytes]) -> list[bytes]:
        several = len(names) > 1
        answer = await session(
            Encrypt(
                unique_identifier=key,
                cryptographic_parameters=_BULK if several else _SINGLE,
                data=head + (leb128.listed(contents) if several else contents[0]),
                authenticated_encryption_additional_data=_bytes(authentication_data),
            )
        )
        data = answer.data or b""
        return leb128.unlisted(data) if several else [data]

    return await _each(session, names, output_file, sealed, "encrypted")


@cc.command()
@click.argument("names", metavar="FILE...", nargs=-1, required=True)
@options.by_key
@options.output_file
@options.authenticated
@click.option("-u", "--user-key-id", metavar="ID", help="The user key, as in 4.1.")
@click.option(
    "-r", "--resource-uid", metavar="TEXT", help="What the metadata must be; not checked if empty."
)
async def decrypt(
    session: Session,
    *,
    names: Sequence[str],
    key_id: str | None,
    tags: Sequence[str],
    output_file: str | None,
    authentication_data: str | None,
    user_key_id: str | None,
    resource_uid: str | None,
) -> Outcome:
    """Decrypt files with a user key."""
    key = options.identified(key_id or user_key_id, tags)

    async def opened(contents: list[bytes]) -> list[bytes]:
        several = len(names) > 1
        answer = await session(
            Decrypt(
                unique_identifier=key,
                cryptographic_parameters=_BULK if several else _SINGLE,
                data=leb128.listed(contents) if several else contents[0],
                authenticated_encryption_additional_data=_bytes(authentication_data),
            )
        )
        metadata, data = leb128.split(answer.data or b"")
        if resource_uid and metadata != resource_uid.encode():
            raise CommandFailed("the data was encrypted for another resource: --resource-uid")
        return leb128.unlisted(data) if several else [data]

    return await _each(session, list(names), output_file, opened, "decrypted")


def _bytes(text: str | None) -> bytes | None:
    return text.encode() if text else None


async def _each(
    session: Session, names: Sequence[str], output_file: str | None, turn: Any, done: str
) -> Outcome:
    """Turn files, together when they are several; these go beside them or into a folder."""
    targets = _targets(names, output_file, {"encrypted": "enc", "decrypted": "plain"}[done])
    with session.progress(len(names), f"{done[:-2]}ing") as bar:
        for batch in _batches(list(zip(names, targets, strict=True))):
            contents = [files.read(name) for name, _ in batch]
            results = await turn(contents)
            for (_, target), result in zip(batch, results, strict=True):
                files.write(target, result, secret=done == "decrypted")
            bar.update(len(batch))
    if files.STANDARD in targets:
        return Outcome(stdout="")
    what = "file is" if len(targets) == 1 else "files are"
    return Outcome(stdout=f"The {done} {what} available at {', '.join(targets)}")


def _targets(names: Sequence[str], output_file: str | None, extension: str) -> list[str]:
    """Return where each file goes; of several, `output_file` is the folder."""
    if output_file is None:
        return [files.beside(name, extension) for name in names]
    if len(names) == 1:
        return [output_file]
    targets = [str(Path(output_file) / Path(files.beside(name, extension)).name) for name in names]
    if len(set(targets)) != len(targets):
        raise click.UsageError(
            "two of the files have the same name: they cannot go into one folder"
        )
    files.make_folder(output_file)
    return targets


def _batches(pairs: list[tuple[str, str]]) -> list[list[tuple[str, str]]]:
    """Return the files in batches of about `_BATCH_BYTES`."""
    batches: list[list[tuple[str, str]]] = [[]]
    filled = 0
    for pair in pairs:
        length = files.length(pair[0])
        if batches[-1] and filled + length > _BATCH_BYTES:
            batches.append([])
            filled = 0
        batches[-1].append(pair)
        filled += length
    return batches
