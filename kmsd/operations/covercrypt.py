"""CoverCrypt keys in the operations: master pairs, user keys, encryption and rekeying.

A master key pair is made from a policy and carries it as a vendor attribute; a user key is made
from the private master key and an access policy, and links to it as its parent. Rekeying changes
the master keys in place and brings the user keys up to date.

The engine runs in a thread, and without its package every one of these says so.
Source: the product, 4.x.
"""

from collections.abc import Sequence
from typing import NamedTuple

import msgspec

from kmsd.crypto import bulk, covercrypt, covercrypt_policy
from kmsd.kmip import attributes as attribute_rules
from kmsd.kmip.attributes import Attributes
from kmsd.kmip.enums import (
    CryptographicAlgorithm,
    CryptographicUsageMask,
    KeyFormatType,
    LinkType,
    ObjectType,
    Operation,
    ResultReason,
    State,
)
from kmsd.kmip.errors import KmipError
from kmsd.kmip.generations import Generation
from kmsd.kmip.objects import (
    KeyBlock,
    KeyValue,
    ManagedObject,
    PrivateKey,
    PublicKey,
    key_block,
    key_material,
)
from kmsd.kmip.structures import CryptographicParameters, Link
from kmsd.operations import covercrypt_policies, making, wrapping
from kmsd.operations.call import Call
from kmsd.operations.links import linked
from kmsd.operations.target import Target, find
from kmsd.store.interfaces import Query, Record
from kmsd.ttlv import Item, ItemType

POLICY = "cover_crypt_policy"
ACCESS_STRUCTURE = "cover_crypt_access_structure"
"""The name of the policy in 5.x."""
ACCESS_POLICY = "cover_crypt_access_policy"

_ALGORITHMS = frozenset({CryptographicAlgorithm.COVERCRYPT, CryptographicAlgorithm.COVERCRYPT_BULK})
_IN_USE = frozenset({State.ACTIVE, State.PRE_ACTIVE})
_BITS = 8
_PAGE = 500


def is_key(record: Record) -> bool:
    """Tell whether a record is a CoverCrypt key."""
    return record.attributes.cryptographic_algorithm in _ALGORITHMS


def is_requested(attributes: Attributes) -> bool:
    """Tell whether a CoverCrypt key is asked for."""
    return attributes.cryptographic_algorithm in _ALGORITHMS


def is_user_key(attributes: Attributes) -> bool:
    """Tell a user key from a master key: it has an access policy."""
    return attribute_rules.vendor_value(attributes, ACCESS_POLICY) is not None


def can_decrypt(record: Record) -> bool:
    """Tell whether a key may decrypt at all: a CoverCrypt master key makes keys, and no more."""
    return not is_key(record) or is_user_key(record.attributes)


def can_rekey(record: Record) -> bool:
    """Tell whether a private key is rotated as a pair: user keys follow their master key."""
    return not is_key(record) or not is_user_key(record.attributes)


_MASTER = Target(
    permit=frozenset({"get"}),
    states=frozenset({State.ACTIVE}),
    types=frozenset({ObjectType.PRIVATE_KEY}),
    accepts=lambda record: is_key(record) and not is_user_key(record.attributes),
)
"""Who makes user keys can read whatever they read: nothing less than the right to get will do."""


async def master_pair(
    call: Call, private_uid: str, public_uid: str, private: Attributes, public: Attributes
) -> tuple[Record, Record]:
    """Make a master key pair for the policy among the attributes.

    Raises:
        KmipError: there is no policy or it is malformed, or CoverCrypt is not available.
    """
    given = _policy(private) or _policy(public)
    if given is None:
        raise KmipError(
            ResultReason.INVALID_ATTRIBUTE_VALUE,
            f"a CoverCrypt master key pair needs a policy: set the vendor attribute {POLICY}",
        )
    keys, policy = await call.offload(_generated, given)
    secret_object = PrivateKey(key_block=_block(KeyFormatType.COVERCRYPT_SECRET_KEY, keys.secret))
    public_object = PublicKey(key_block=_block(KeyFormatType.COVERCRYPT_PUBLIC_KEY, keys.public))
    return (
        making.new_record(
            call,
            private_uid,
            _completed(private, policy, LinkType.PUBLIC_KEY_LINK, public_uid),
            secret_object,
        ),
        making.new_record(
            call,
            public_uid,
            _completed(public, policy, LinkType.PRIVATE_KEY_LINK, private_uid),
            public_object,
        ),
    )


def _generated(given: bytes) -> tuple[covercrypt.MasterKeys, bytes]:
    policy = covercrypt_policy.to_v2(given)
    return covercrypt.generate_master_keys(policy), policy


def _completed(
    attributes: Attributes, policy: bytes, link_type: LinkType, other: str
) -> Attributes:
    """Add the policy, the link to the other half, and the right to all uses."""
    link = Link(link_type=link_type, linked_object_identifier=other)
    completed = msgspec.structs.replace(
        attributes, link=(link, *attributes.link), cryptographic_usage_mask=_usage(attributes)
    )
    return _with_policy(completed, policy)


def _with_policy(attributes: Attributes, policy: bytes) -> Attributes:
    value = Item("AttributeValue", ItemType.BYTE_STRING, policy)
    attributes = attribute_rules.without_vendor(attributes, ACCESS_STRUCTURE)
    return attribute_rules.with_vendor(attributes, POLICY, value)


def _usage(attributes: Attributes) -> CryptographicUsageMask:
    mask = attributes.cryptographic_usage_mask or CryptographicUsageMask(0)
    return mask | CryptographicUsageMask.UNRESTRICTED


def _policy(attributes: Attributes) -> bytes | None:
    value = attribute_rules.vendor_value(attributes, POLICY)
    return value or attribute_rules.vendor_value(attributes, ACCESS_STRUCTURE)


def _block(key_format_type: KeyFormatType, key: bytes) -> KeyBlock:
    return KeyBlock(
        key_format_type=key_format_type,
        key_value=KeyValue(key_material=key),
        cryptographic_algorithm=CryptographicAlgorithm.COVERCRYPT,
        cryptographic_length=len(key) * _BITS,
    )


async def user_key(call: Call, unique_identifier: str, attributes: Attributes) -> Record:
    """Make a user key of the master key that the parent link names.

    Raises:
        KmipError: there is no such master key for the caller, or its policy does not know what the
            access policy speaks of.
    """
    access = attribute_rules.vendor_value(attributes, ACCESS_POLICY)
    parent = next(
        (link for link in attributes.link if link.link_type is LinkType.PARENT_LINK), None
    )
    if access is None or parent is None or not parent.linked_object_identifier:
        raise KmipError(
            ResultReason.INVALID_MESSAGE,
            "a CoverCrypt user key needs a ParentLink to its private master key and the vendor"
            f" attribute {ACCESS_POLICY}",
        )
    (master,) = await find(call, Operation.CREATE, _MASTER, parent.linked_object_identifier)
    key = await call.offload(
        covercrypt.generate_user_key,
        await _material(call, master),
        covercrypt_policies.access_policy(access),
        _required_policy(master),
    )
    link = Link(link_type=LinkType.PARENT_LINK, linked_object_identifier=master.unique_identifier)
    completed = msgspec.structs.replace(
        attributes,
        link=tuple(link if each is parent else each for each in attributes.link),
        cryptographic_usage_mask=_usage(attributes),
    )
    private_key = PrivateKey(key_block=_block(KeyFormatType.COVERCRYPT_SECRET_KEY, key))
    return making.new_record(
        call, unique_identifier, completed, private_key, system_tag=making.USER_KEY_TAG
    )


async def _material(call: Call, record: Record) -> bytes:
    """Return a key's bytes, unwrapped if need be."""
    return _bytes(await wrapping.clear(call, record), record)


def _bytes(managed_object: ManagedObject, record: Record) -> bytes:
    block = key_block(managed_object)
    material = key_material(block) if block else None
    if not isinstance(material, bytes):
        raise KmipError(
            ResultReason.INVALID_OBJECT_TYPE, f"{record.unique_identifier} is no CoverCrypt key"
        )
    return material


def _required_policy(record: Record) -> bytes:
    policy = _policy(record.attributes)
    if policy is None:
        raise KmipError(
            ResultReason.INVALID_FIELD,
            f"the CoverCrypt key {record.unique_identifier} has no policy: import it with the"
            f" vendor attribute {POLICY}",
        )
    return policy


async def encrypted(
    call: Call,
    record: Record,
    data: bytes,
    aad: bytes | None,
    parameters: CryptographicParameters | None,
) -> bytes:
    """Encrypt a payload (access policy, metadata, plaintext) to a public master key."""
    key, policy, aad = await _material(call, record), _required_policy(record), aad or b""
    if _is_bulk(parameters):
        return await call.offload(covercrypt.encrypt_bulk, key, policy, data, aad)
    if not bulk.is_bulk(data):
        return await call.offload(covercrypt.encrypt, key, policy, data, aad)
    return bulk.build(
        [
            await call.offload(covercrypt.encrypt, key, policy, item, aad)
            for item in bulk.parse(data)
        ]
    )


async def decrypted(
    call: Call,
    record: Record,
    data: bytes,
    aad: bytes | None,
    parameters: CryptographicParameters | None,
) -> bytes:
    """Decrypt with a user key: for 4.x clients to metadata and plaintext, else to the plaintext."""
    key, aad = await _material(call, record), aad or b""
    if _is_bulk(parameters):
        return _shown(call, await call.offload(covercrypt.decrypt_bulk, key, data, aad))
    if not bulk.is_bulk(data):
        return _shown(call, await call.offload(covercrypt.decrypt, key, data, aad))
    return bulk.build(
        [
            _shown(call, await call.offload(covercrypt.decrypt, key, item, aad))
            for item in bulk.parse(data)
        ]
    )


def _is_bulk(parameters: CryptographicParameters | None) -> bool:
    algorithm = parameters.cryptographic_algorithm if parameters else None
    return algorithm is CryptographicAlgorithm.COVERCRYPT_BULK


def _shown(call: Call, opened: bytes) -> bytes:
    if call.generation is Generation.V4:  # later clients know no metadata
        return opened
    _, at = bulk.read_bytes(opened)
    return opened[at:]


class Masters(NamedTuple):
    """The two records of a master key pair."""

    private: Record
    public: Record


async def rekeyed(call: Call, masters: Masters, attributes: Attributes) -> list[Record]:
    """Carry out a rekey action; return all records that it changes, the masters first.

    Raises:
        KmipError: there is no action, or the policy does not allow it.
    """
    action = covercrypt_policies.rekey_action(attributes)
    if action is None:
        raise KmipError(
            ResultReason.INVALID_ATTRIBUTE,
            "a CoverCrypt master key pair is rotated by an action: set the vendor attribute"
            f" {covercrypt_policies.ACTION}",
        )
    keys = covercrypt.MasterKeys(
        await _material(call, masters.private), await _material(call, masters.public)
    )
    after = await call.offload(covercrypt.rekey, action, keys, _required_policy(masters.private))
    changed = [
        await _changed(call, masters.private, after.keys.secret, after.policy),
        await _changed(call, masters.public, after.keys.public, after.policy),
    ]
    if after.refresh_user_keys:
        changed += [
            each
            for record in await user_keys(call, masters[:1])
            if (each := await _refreshed(call, record, after.keys.secret)) is not None
        ]
    return changed


async def _changed(call: Call, record: Record, key: bytes, policy: bytes | None) -> Record:
    """Return a record with a new value of its key, wrapped as the old one was."""
    before = record.managed_object
    assert isinstance(before, PrivateKey | PublicKey)  # noqa: S101 (`_material` was asked)
    block = before.key_block
    managed_object: ManagedObject = msgspec.structs.replace(
        before,
        key_block=msgspec.structs.replace(
            block,
            key_value=KeyValue(key_material=key),
            cryptographic_length=len(key) * _BITS,
            key_wrapping_data=None,
        ),
    )
    attributes = msgspec.structs.replace(
        record.attributes,
        cryptographic_length=len(key) * _BITS,
        digest=making.digests(managed_object),
        last_change_date=call.now,
    )
    if policy is not None:
        attributes = _with_policy(attributes, policy)
    specification = wrapping.specification(record)
    if specification is not None:
        managed_object = await wrapping.wrap(call, managed_object, specification)
    return msgspec.structs.replace(record, managed_object=managed_object, attributes=attributes)


async def _refreshed(call: Call, record: Record, master_secret: bytes) -> Record | None:
    """Bring a user key up to date; None for one that this master key did not make.

    It may belong to anyone: what its holder can read follows from the master key.
    """
    try:
        material = await _material(call, record)
        key = await call.offload(covercrypt.refresh_user_key, material, master_secret)
        return await _changed(call, record, key, None)
    except KmipError:
        return None


async def user_keys(
    call: Call, masters: Sequence[Record], states: frozenset[State] = _IN_USE
) -> list[Record]:
    """Return the user keys, not yet revoked or in other `states`, of private master keys."""
    found: dict[str, Record] = {}
    for master in masters:
        if is_key(master) and can_rekey(master):
            found |= await _children(call, master.unique_identifier, states)
    return list(found.values())


async def _children(call: Call, master: str, states: frozenset[State]) -> dict[str, Record]:
    labels = (
        ("Link.LinkType", str(int(LinkType.PARENT_LINK))),
        ("Link.LinkedObjectIdentifier", master),
    )
    children: dict[str, Record] = {}
    offset = 0
    while True:
        query = Query(
            labels=labels,
            object_type=ObjectType.PRIVATE_KEY,
            states=states,
            now=call.now,
            limit=_PAGE,
            offset=offset,
        )
        found = (await call.store.find(query)).unique_identifiers
        children |= {
            uid: record
            for uid, record in (await call.store.get_many(found)).items()
            if linked(record, LinkType.PARENT_LINK) == master and is_key(record)
        }
        offset += _PAGE
        if len(found) < _PAGE:
            return children
