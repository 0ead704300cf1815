"""What every operation that makes objects does: identifiers, tags, states and server attributes."""

import hashlib
import json
import uuid
from typing import Any

import msgspec

from kmsd.kmip import attributes as attribute_rules
from kmsd.kmip.attributes import Attributes
from kmsd.kmip.enums import (
    CryptographicUsageMask,
    HashingAlgorithm,
    KeyFormatType,
    ObjectType,
    ResultReason,
    State,
)
from kmsd.kmip.errors import KmipError
from kmsd.kmip.generations import Generation
from kmsd.kmip.objects import (
    TYPES,
    ManagedObject,
    Template,
    TransparentSymmetricKey,
    key_block,
    key_material,
)
from kmsd.kmip.states import effective_state
from kmsd.kmip.structures import Digest
from kmsd.operations import keysets, server_attributes
from kmsd.operations.call import Call
from kmsd.store.interfaces import EVERYONE, Record
from kmsd.ttlv import binary_format
from kmsd.ttlv.schema import Structure, dump

IDENTIFIER_LENGTH = 128
SYSTEM_TAGS = {
    ObjectType.SYMMETRIC_KEY: "_kk",
    ObjectType.PRIVATE_KEY: "_sk",
    ObjectType.PUBLIC_KEY: "_pk",
    ObjectType.CERTIFICATE: "_cert",
    ObjectType.SECRET_DATA: "_sd",
    ObjectType.OPAQUE_OBJECT: "_oo",
}
USER_KEY_TAG = "_uk"
CREATE = "create"


async def may_create(call: Call) -> None:
    """Let the caller make objects.

    Raises:
        KmipError: the server names privileged users, and the caller is none of them nor was
            granted the right by one.
    """
    privileged = call.services.privileged_users
    if not privileged or call.caller.name in privileged:
        return
    grants = await call.store.grants(EVERYONE)
    if not any(CREATE in grants.get(grantee, ()) for grantee in (call.caller.name, EVERYONE)):
        raise KmipError(
            ResultReason.PERMISSION_DENIED,
            f"{call.caller.name} may not create or import objects: ask a privileged user to grant"
            " 'create'",
        )


def new_identifier(asked_for: str | None) -> str:
    """Return the identifier asked for, or a new UUID.

    Raises:
        KmipError: it is too long, or would be taken for a list of tags or a part of a key set.
    """
    if not asked_for:
        return str(uuid.uuid4())
    if asked_for.startswith("[") or len(asked_for) > IDENTIFIER_LENGTH or "\0" in asked_for:
        raise KmipError(
            ResultReason.INVALID_FIELD,
            f"a unique identifier has up to {IDENTIFIER_LENGTH} characters and does not begin"
            " with '['",
        )
    if keysets.is_reserved(asked_for):
        raise KmipError(
            ResultReason.INVALID_FIELD,
            f"{asked_for} has the form of an identifier that Re-key gives to the keys of a set:"
            " choose another",
        )
    return asked_for


def requested(*sources: Attributes | None) -> Attributes:
    """Return what a request asks for: later sources add to and win over earlier ones.

    Raises:
        KmipError: an attribute is among them that only the server sets.
    """
    values: dict[str, Any] = {}
    for source in sources:
        if source is not None:
            values.update(
                {field: getattr(source, field) for field in attribute_rules.present(source)}
            )
    return Attributes(**values)


def checked(attributes: Attributes) -> Attributes:
    """Refuse attributes that a client may not set on a new object.

    Raises:
        KmipError: the first one that the server manages itself.
    """
    for field in attribute_rules.present(attributes):
        if not attribute_rules.rule(field).set:
            raise KmipError(
                ResultReason.INVALID_ATTRIBUTE, f"{field} is server-managed and cannot be set"
            )
    return attributes


def user_tags(attributes: Attributes, call: Call) -> frozenset[str]:
    """Return the tags a client gives a new object.

    Raises:
        KmipError: they are no list of texts, too many, empty, or begin with `_`.
    """
    try:
        tags = attribute_rules.tags(attributes)
    except (msgspec.MsgspecError, ValueError):
        raise KmipError(
            ResultReason.INVALID_ATTRIBUTE_VALUE, "the tag attribute is not a JSON list of texts"
        ) from None
    if len(tags) > call.services.limits.tags:
        raise KmipError(
            ResultReason.SERVER_LIMIT_EXCEEDED,
            f"an object may have {call.services.limits.tags} tags",
        )
    for tag in tags:
        if not tag or tag.startswith("_"):
            raise KmipError(
                ResultReason.INVALID_ATTRIBUTE_VALUE,
                f"Not Supported: the tag {json.dumps(tag)}: tags are not empty and do not begin"
                " with '_'",
            )
    return tags


def without_system_tags(attributes: Attributes) -> Attributes:
    """Return attributes that a server gave out without the tags that it had added."""
    try:
        tags = attribute_rules.tags(attributes)
    except (msgspec.MsgspecError, ValueError):  # told when the object is made
        return attributes
    system = {*SYSTEM_TAGS.values(), USER_KEY_TAG}
    return attribute_rules.with_tags(attributes, tags - system) if tags & system else attributes


def new_record(
    call: Call,
    unique_identifier: str,
    attributes: Attributes,
    managed_object: ManagedObject,
    system_tag: str | None = None,
    *,
    received: bool = False,
) -> Record:
    """Make the record of a new object: what the caller asked for, and what the server adds.

    A 4.x client's object is born Active. Any other is Pre-Active until its Activation Date.
    `received` tells an object that the client made from one that the server makes.
    """
    keysets.check_name(unique_identifier, attributes)
    server_attributes.check_quantum_safe(attributes)
    kind = TYPES[type(managed_object)]
    tags = user_tags(attributes, call) | {system_tag or SYSTEM_TAGS.get(kind, "")} - {""}
    complete = msgspec.structs.replace(
        attribute_rules.with_tags(attributes, tags),
        unique_identifier=unique_identifier,
        object_type=kind,
        state=State.ACTIVE if call.generation is Generation.V4 else State.PRE_ACTIVE,
        initial_date=call.now,
        original_creation_date=attributes.original_creation_date or call.now,
        last_change_date=call.now,
        digest=digests(managed_object),
        cryptographic_usage_mask=_usage(attributes, kind),
        **_described(attributes, managed_object),
        **_secrecy(attributes, kind, call.generation),
        **server_attributes.given(attributes, unique_identifier, call.version, received=received),
    )
    complete = msgspec.structs.replace(complete, state=effective_state(complete, call.now))
    return Record(
        unique_identifier=unique_identifier,
        owner=call.caller.name,
        attributes=complete,
        managed_object=managed_object,
    )


def _usage(attributes: Attributes, kind: ObjectType) -> CryptographicUsageMask | None:
    """A key that nobody limited may be used for everything."""
    if kind in {ObjectType.CERTIFICATE, ObjectType.OPAQUE_OBJECT, ObjectType.TEMPLATE}:
        return attributes.cryptographic_usage_mask
    if attributes.cryptographic_usage_mask is None:
        return CryptographicUsageMask.UNRESTRICTED
    return attributes.cryptographic_usage_mask


def _described(attributes: Attributes, managed_object: ManagedObject) -> dict[str, object]:
    """Return what the key block says of the key, which counts more than the request's word."""
    block = key_block(managed_object)
    if block is None:
        return {}
    return {
        "key_format_type": attributes.key_format_type or _default_format(block.key_format_type),
        "cryptographic_algorithm": block.cryptographic_algorithm
        or attributes.cryptographic_algorithm,
        "cryptographic_length": block.cryptographic_length or attributes.cryptographic_length,
    }


def _default_format(stored: KeyFormatType) -> KeyFormatType:
    """A symmetric key is Raw unless it was asked for or came in another form (KMIP 2.1 §4.26)."""
    return KeyFormatType.RAW if stored is KeyFormatType.TRANSPARENT_SYMMETRIC_KEY else stored


def _secrecy(attributes: Attributes, kind: ObjectType, generation: Generation) -> dict[str, object]:
    """Sensitive and Extractable, with what was always so (KMIP 2.1 §4.3, §4.33).

    By the book every object has them; in the product, what is no secret has not.
    """
    public = {ObjectType.CERTIFICATE, ObjectType.PUBLIC_KEY, ObjectType.OPAQUE_OBJECT}
    if generation is not Generation.KMIP and kind in public:
        return {}
    sensitive = bool(attributes.sensitive)
    extractable = attributes.extractable is not False
    return {
        "sensitive": sensitive,
        "always_sensitive": sensitive,
        "extractable": extractable,
        "never_extractable": not extractable,
    }


def digests(managed_object: ManagedObject) -> tuple[Digest, ...]:
    """Return the SHA-256 of what is stored (KMIP 2.1 §4.21)."""
    if isinstance(managed_object, Template):
        return ()
    block = key_block(managed_object)
    if block is None:
        value: bytes = getattr(managed_object, "certificate_value", b"") or getattr(
            managed_object, "opaque_data_value", b""
        )
        return (_digest(value, None),)
    material = key_material(block)
    if isinstance(material, TransparentSymmetricKey):
        return (_digest(material.key, KeyFormatType.RAW),)
    if isinstance(material, Structure):
        material = binary_format.encode(dump(material, "KeyMaterial"))
    return (_digest(material or b"", block.key_format_type),)


def _digest(value: bytes, key_format_type: KeyFormatType | None) -> Digest:
    return Digest(
        hashing_algorithm=HashingAlgorithm.SHA256,
        digest_value=hashlib.sha256(value).digest(),
        key_format_type=key_format_type,
    )
