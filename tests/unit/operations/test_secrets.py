"""No secret gets out but where it was asked for: not into logs, audit, errors or reprs."""

import base64
from collections.abc import Iterator
from typing import Any

import pytest
import pytest_twisted
from twisted.logger import LogEvent, formatEvent, globalLogPublisher

from kmsd.kmip.attributes import Attributes
from kmsd.kmip.enums import (
    CryptographicAlgorithm,
    KeyFormatType,
    ObjectType,
    OpaqueDataType,
    RevocationReasonCode,
    SecretDataType,
)
from kmsd.kmip.errors import KmipError
from kmsd.kmip.objects import (
    KeyBlock,
    KeyValue,
    OpaqueObject,
    SecretData,
    SymmetricKey,
    TransparentSymmetricKey,
)
from kmsd.kmip.structures import RevocationReason
from kmsd.operations import OPERATIONS
from kmsd.operations.decrypt import Decrypt
from kmsd.operations.destroy import Destroy
from kmsd.operations.encrypt import Encrypt
from kmsd.operations.export import Export
from kmsd.operations.get import Get
from kmsd.operations.import_ import Import
from kmsd.operations.register import Register
from kmsd.operations.revoke import Revoke
from kmsd.ttlv import Item, ItemType
from kmsd.ttlv.schema import Structure, dump
from tests.server import NOW, Kms

ensure = pytest_twisted.ensureDeferred
CANARY = b"canary-key-bytes-0123456789abcde"
PLAIN = b"plain text that nobody else may read"


@pytest.fixture
def events() -> Iterator[list[LogEvent]]:
    """Everything that is logged, debugging included."""
    seen: list[LogEvent] = []
    observer: Any = seen.append
    globalLogPublisher.addObserver(observer)
    yield seen
    globalLogPublisher.removeObserver(observer)


def spellings(secret: bytes) -> list[str]:
    """Return the ways in which bytes could turn up in a text."""
    return [
        secret.decode(),
        secret.hex(),
        secret.hex().upper(),
        base64.b64encode(secret).decode().rstrip("="),
        base64.urlsafe_b64encode(secret).decode().rstrip("="),
        str(list(secret))[1:-1],
    ]


def block(material: Any, key_format: KeyFormatType) -> KeyBlock:
    return KeyBlock(
        key_format_type=key_format,
        key_value=KeyValue(key_material=material),
        cryptographic_algorithm=CryptographicAlgorithm.AES,
        cryptographic_length=256,
    )


KEY = SymmetricKey(
    key_block=block(TransparentSymmetricKey(key=CANARY), KeyFormatType.TRANSPARENT_SYMMETRIC_KEY)
)
ACTIVE = Attributes(activation_date=NOW)
EVERYTHING: list[Structure] = [
    Import(
        unique_identifier="k",
        attributes=ACTIVE,
        object_type=ObjectType.SYMMETRIC_KEY,
        managed_object=KEY,
    ),
    Import(unique_identifier="k", object_type=ObjectType.SYMMETRIC_KEY, managed_object=KEY),
    Import(unique_identifier="w", object_type=ObjectType.PUBLIC_KEY, managed_object=KEY),
    Register(
        object_type=ObjectType.SYMMETRIC_KEY,
        attributes=Attributes(),
        managed_object=SymmetricKey(key_block=block(CANARY, KeyFormatType.PKCS1)),
    ),
    Register(
        object_type=ObjectType.SECRET_DATA,
        attributes=Attributes(),
        managed_object=SecretData(
            secret_data_type=SecretDataType.PASSWORD, key_block=block(CANARY, KeyFormatType.RAW)
        ),
    ),
    Register(
        object_type=ObjectType.OPAQUE_OBJECT,
        attributes=Attributes(),
        managed_object=OpaqueObject(
            opaque_data_type=OpaqueDataType.UNKNOWN, opaque_data_value=CANARY
        ),
    ),
    Get(unique_identifier="k"),
    Get(unique_identifier="k", key_format_type=KeyFormatType.PKCS8),
    Export(unique_identifier="k"),
    Encrypt(unique_identifier="k", data=PLAIN),
    Encrypt(unique_identifier="none", data=PLAIN),
    Decrypt(unique_identifier="k", data=PLAIN, iv_counter_nonce=b"0" * 12),
    Revoke(
        unique_identifier="k",
        revocation_reason=RevocationReason(revocation_reason_code=RevocationReasonCode.UNSPECIFIED),
    ),
    Destroy(unique_identifier="k"),
]


@ensure  # type: ignore[untyped-decorator]
async def test_no_operation_shows_a_secret(kms: Kms, events: list[LogEvent]) -> None:
    """Whether it succeeds or fails: neither in logs nor in errors nor in any repr."""
    texts: list[str] = []
    for request in EVERYTHING:
        texts.append(repr(request) + repr(dump(request)))
        try:
            texts.append(repr(await kms(request)))
        except KmipError as error:
            texts.append(repr(error) + error.message)
    for event in events:
        texts += [formatEvent(event), repr(event)]
    everything = "\n".join(texts)
    for secret in (CANARY, PLAIN):
        for spelling in spellings(secret):
            assert spelling not in everything


@ensure  # type: ignore[untyped-decorator]
async def test_a_destroyed_key_has_no_material(kms: Kms) -> None:
    """Only its attributes are left in the store."""
    for request in (EVERYTHING[0], EVERYTHING[-2], EVERYTHING[-1]):
        await kms(request)
    record = await kms.store.get("k")
    assert record is not None
    assert record.managed_object is None


@ensure  # type: ignore[untyped-decorator]
async def test_every_operation_leaves_one_audit_event(kms: Kms, events: list[LogEvent]) -> None:
    """Also one that fails, or cannot even be read."""
    for row in OPERATIONS:
        events.clear()
        request = Item(row.request.__name__, ItemType.STRUCTURE, [])
        try:
            await kms.item(request)
        except KmipError as error:
            expected = error.reason.wire_name
        else:
            expected = ""
        audited = [event for event in events if event["log_namespace"] == "kmsd.audit"]
        assert len(audited) == 1, row.operation
        (event,) = audited
        assert event["operation"] == row.operation.wire_name
        assert event["caller"] == "alice"
        assert event["result_reason"] == expected
        assert event["duration_ms"] >= 0
