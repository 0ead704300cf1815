"""The messages that carry operations. Source: KMIP 2.1 §8."""

from typing import Annotated

from kmsd.kmip import enums
from kmsd.kmip.structures import ProtocolVersion
from kmsd.ttlv import Item
from kmsd.ttlv.schema import SECRET, DateTime, Structure


class Credential(Structure):
    """Who the sender says to be; the value's structure depends on the type. Source: §9.11."""

    credential_type: enums.CredentialType
    credential_value: Annotated[Item, SECRET]


class Authentication(Structure):
    """Source: KMIP 2.1 §9.4."""

    credential: tuple[Credential, ...] = ()


class MessageExtension(Structure):
    """Source: KMIP 2.1 §9.13."""

    vendor_identification: str
    criticality_indicator: bool
    vendor_extension: Item | None = None


class RequestHeader(Structure):
    """Source: KMIP 2.1 §8.2."""

    protocol_version: ProtocolVersion
    maximum_response_size: int | None = None
    client_correlation_value: str | None = None
    server_correlation_value: str | None = None
    asynchronous_indicator: enums.AsynchronousIndicator | bool | None = None
    attestation_capable_indicator: bool | None = None
    attestation_type: tuple[enums.AttestationType, ...] = ()
    authentication: tuple[Authentication, ...] = ()
    batch_error_continuation_option: enums.BatchErrorContinuationOption | None = None
    batch_order_option: bool | None = None
    time_stamp: DateTime | None = None
    batch_count: int | None = None


class RequestBatchItem(Structure):
    """One operation of a request; its payload is loaded by the operation's row. Source: §8.2."""

    operation: enums.Operation
    ephemeral: bool | None = None
    unique_batch_item_id: bytes | None = None
    request_payload: Annotated[Item | None, SECRET] = None
    message_extension: MessageExtension | None = None


class RequestMessage(Structure):
    """Source: KMIP 2.1 §8.1."""

    request_header: RequestHeader
    batch_item: tuple[RequestBatchItem, ...] = ()


class ResponseHeader(Structure):
    """Source: KMIP 2.1 §8.3."""

    protocol_version: ProtocolVersion
    time_stamp: DateTime
    client_correlation_value: str | None = None
    server_correlation_value: str | None = None
    attestation_type: tuple[enums.AttestationType, ...] = ()
    batch_count: int


class ResponseBatchItem(Structure):
    """The result of one operation. Source: KMIP 2.1 §8.3."""

    operation: enums.Operation | None = None
    unique_batch_item_id: bytes | None = None
    result_status: enums.ResultStatus
    result_reason: enums.ResultReason | None = None
    result_message: str | None = None
    asynchronous_correlation_value: bytes | None = None
    response_payload: Annotated[Item | None, SECRET] = None
    message_extension: MessageExtension | None = None


class ResponseMessage(Structure):
    """Source: KMIP 2.1 §8.1."""

    response_header: ResponseHeader
    batch_item: tuple[ResponseBatchItem, ...] = ()
