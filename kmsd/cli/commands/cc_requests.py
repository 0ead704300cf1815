"""What CoverCrypt's commands ask of the server. Source: the product, 4.13 and later."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from kmsd.cli.configuration import lenient_json
from kmsd.cli.errors import CommandFailed
from kmsd.cli.session import Session
from kmsd.crypto import covercrypt_policy
from kmsd.kmip.attributes import Attributes, with_tags, with_vendor
from kmsd.kmip.enums import (
    CryptographicAlgorithm,
    CryptographicUsageMask,
    KeyFormatType,
    LinkType,
    ObjectType,
)
from kmsd.kmip.structures import Link
from kmsd.operations.create import Create
from kmsd.operations.create_key_pair import CreateKeyPair
from kmsd.operations.rekey_key_pair import ReKeyKeyPair
from kmsd.ttlv import Item, ItemType

POLICY = "cover_crypt_policy"
ACCESS_POLICY = "cover_crypt_access_policy"
_ACTION = "cover_crypt_rekey_action"


def policy_of(raw: bytes) -> bytes:
    """Return the policy in a file, of whatever generation, as the engine has it today.

    Raises:
        CommandFailed: it is not JSON.
        KmipError: it is no policy.
    """
    try:
        found = lenient_json(raw.decode())
    except ValueError as error:
        raise CommandFailed(f"the policy is not JSON: {error}") from None
    return covercrypt_policy.to_v2(json.dumps(found, ensure_ascii=False).encode())


def _attributes(tags: Sequence[str], *, sensitive: bool) -> Attributes:
    plain = Attributes(
        cryptographic_algorithm=CryptographicAlgorithm.COVERCRYPT,
        cryptographic_usage_mask=CryptographicUsageMask.UNRESTRICTED,
        key_format_type=KeyFormatType.COVERCRYPT_SECRET_KEY,
        object_type=ObjectType.PRIVATE_KEY,
        sensitive=sensitive or None,
    )
    return with_tags(plain, frozenset(tags))


def valued(attributes: Attributes, name: str, value: bytes) -> Attributes:
    """Return attributes with a vendor attribute of the product's."""
    return with_vendor(attributes, name, Item("AttributeValue", ItemType.BYTE_STRING, value))


async def master_pair(session: Session, raw: bytes, tags: Sequence[str], *, sensitive: bool) -> Any:
    """Create a master key pair for the policy in the bytes of a file; return the response."""
    attributes = valued(_attributes(tags, sensitive=sensitive), POLICY, policy_of(raw))
    return await session(CreateKeyPair(common_attributes=attributes))


async def user_key(
    session: Session, master: str, access_policy: str, tags: Sequence[str], *, sensitive: bool
) -> str:
    """Create a user key of a private master key; return its identifier."""
    attributes = valued(
        _attributes(tags, sensitive=sensitive), ACCESS_POLICY, access_policy.encode()
    )
    link = Link(link_type=LinkType.PARENT_LINK, linked_object_identifier=master)
    attributes = msgspec.structs.replace(attributes, link=(link,))
    made = await session(Create(object_type=ObjectType.PRIVATE_KEY, attributes=attributes))
    return str(made.unique_identifier)


async def rekeyed(session: Session, master: str, action: Mapping[str, Any]) -> Any:
    """Change the master keys by an action; return the response."""
    text = json.dumps(action, separators=(",", ":"), ensure_ascii=False)
    attributes = valued(_attributes((), sensitive=False), _ACTION, text.encode())
    return await session(
        ReKeyKeyPair(private_key_unique_identifier=master, private_key_attributes=attributes)
    )
