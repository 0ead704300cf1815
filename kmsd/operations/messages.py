"""Messages: batches of operations, in any version of KMIP, carried out by the rules of batches.

The items of a batch run in their order, one after the other; each may set the ID Placeholder for
those behind it. When one fails the Batch Error Continuation Option decides: Stop answers up to and
including it, Continue goes on, Undo takes back what the items before it did.

Source: KMIP 2.1 §8, §9.5 to §9.8.
"""

from collections.abc import Awaitable, Callable

import msgspec

from kmsd.kmip import spreading, versions
from kmsd.kmip.enums import BatchErrorContinuationOption as Option
from kmsd.kmip.enums import ResultReason, ResultStatus
from kmsd.kmip.errors import KmipError
from kmsd.kmip.generations import Generation
from kmsd.kmip.messages import (
    RequestBatchItem,
    RequestHeader,
    RequestMessage,
    ResponseBatchItem,
    ResponseHeader,
    ResponseMessage,
)
from kmsd.kmip.structures import ProtocolVersion
from kmsd.operations import BY_OPERATION, templates
from kmsd.operations.call import Batch, Call
from kmsd.operations.discover_versions import VERSIONS
from kmsd.operations.journal import JournalStore
from kmsd.operations.loading import loaded
from kmsd.operations.row import Row
from kmsd.store.interfaces import StoreUnavailable
from kmsd.ttlv import FieldError, Item, TtlvError, binary_format, structure
from kmsd.ttlv.schema import Structure, dump

_NEXT = 3
"""A major version whose drafts are answered as 2.1: what they share is the same."""

CarryOut = Callable[[Row, Item, Call], Awaitable[Structure]]


async def answer(message: Item, make_call: Callable[[], Call], carry_out: CarryOut) -> Item:
    """Carry out a RequestMessage and return its ResponseMessage.

    Raises:
        KmipError: the message as a whole cannot be carried out; `refusal` makes the answer.
    """
    request = loaded(RequestMessage, message)
    header = request.request_header
    call = make_call()
    _check(request, call)
    batch = _Batch(header, call, carry_out)
    answers = await batch.run(request.batch_item)
    response = _response(call, header, answers)
    limit = header.maximum_response_size
    if limit is not None and _size(response) > limit:
        answers = [_too_large(each, limit) for each in answers]
        response = _response(call, header, answers)
    return response


def refusal(message: Item, error: KmipError, now: int) -> Item:
    """Return the answer to a message that failed as a whole, in a version the server speaks."""
    version = _version_of(message)
    failed = ResponseBatchItem(
        result_status=ResultStatus.OPERATION_FAILED,
        result_reason=versions.reason(error.reason, version),
        result_message=error.message,
    )
    header = ResponseHeader(
        protocol_version=_protocol_version(version), time_stamp=now, batch_count=1
    )
    return dump(ResponseMessage(response_header=header, batch_item=(failed,)))


def _version_of(message: Item) -> versions.Version:
    """Return the version of a message as far as it can be read, else the server's favourite."""
    header = message.child("RequestHeader")
    item = header.child("ProtocolVersion") if header else None
    try:
        protocol_version = loaded(ProtocolVersion, item) if item else None
    except KmipError:
        protocol_version = None
    version = _version(protocol_version) if protocol_version else VERSIONS[0]
    return version if version in VERSIONS else VERSIONS[0]


def _version(protocol_version: ProtocolVersion) -> versions.Version:
    return protocol_version.protocol_version_major, protocol_version.protocol_version_minor


def _protocol_version(version: versions.Version) -> ProtocolVersion:
    return ProtocolVersion(protocol_version_major=version[0], protocol_version_minor=version[1])


def _check(request: RequestMessage, call: Call) -> None:
    """Refuse a message that cannot be answered as a whole. Raises: KmipError."""
    header, items = request.request_header, request.batch_item
    version = _version(header.protocol_version)
    known = version in VERSIONS or version[0] == _NEXT
    if not known and call.generation is not Generation.V4:  # whose clients say anything
        spoken = ", ".join(f"{major}.{minor}" for major, minor in VERSIONS)
        raise KmipError(
            ResultReason.UNSUPPORTED_PROTOCOL_VERSION,
            f"KMIP {version[0]}.{version[1]} is not spoken here: use one of {spoken}",
        )
    if header.batch_count is not None and header.batch_count != len(items):
        raise KmipError(
            ResultReason.INVALID_MESSAGE,
            f"BatchCount is {header.batch_count}, but the message has {len(items)} items",
        )
    if len(items) > call.services.limits.batch_items:
        raise KmipError(
            ResultReason.SERVER_LIMIT_EXCEEDED,
            f"a message may have {call.services.limits.batch_items} items",
        )


def _response(call: Call, header: RequestHeader, answers: list[ResponseBatchItem]) -> Item:
    version = header.protocol_version
    response_header = ResponseHeader(
        protocol_version=version,
        time_stamp=int(call.services.clock()),
        batch_count=len(answers),
    )
    return dump(ResponseMessage(response_header=response_header, batch_item=tuple(answers)))


def _size(response: Item) -> int:
    try:
        return len(binary_format.encode(response))
    except TtlvError:  # an extension that only JSON can spell
        return 0


def _too_large(item: ResponseBatchItem, limit: int) -> ResponseBatchItem:
    if item.result_status is not ResultStatus.SUCCESS:
        return item
    return ResponseBatchItem(
        operation=item.operation,
        unique_batch_item_id=item.unique_batch_item_id,
        result_status=ResultStatus.OPERATION_FAILED,
        result_reason=ResultReason.RESPONSE_TOO_LARGE,
        result_message=f"the response would be longer than the {limit} bytes asked for",
    )


class _Batch:
    """One batch on its way."""

    def __init__(self, header: RequestHeader, call: Call, carry_out: CarryOut) -> None:
        self._template = call
        self._carry_out = carry_out
        self._version = _version(header.protocol_version)
        default = Option.CONTINUE if call.generation is Generation.V4 else Option.STOP
        self._option = header.batch_error_continuation_option or default
        self._journal = JournalStore(call.store) if self._option is Option.UNDO else None
        self._shared = Batch()

    async def run(self, items: tuple[RequestBatchItem, ...]) -> list[ResponseBatchItem]:
        """Return the answers, as many as the continuation option lets there be."""
        answers: list[ResponseBatchItem] = []
        for item in items:
            answers.append(await self._item(item))
            if answers[-1].result_status is ResultStatus.SUCCESS:
                continue
            if self._option is Option.UNDO and self._journal is not None:
                await self._journal.undo()
                answers[:-1] = map(_undone, answers[:-1])
            if self._option is not Option.CONTINUE:
                break
        return answers

    async def _item(self, item: RequestBatchItem) -> ResponseBatchItem:
        """Carry out one item; whatever goes wrong is its answer."""
        try:
            payload = await self._result(item)
        except KmipError as error:
            return self._failed(item, error.reason, error.message)
        except StoreUnavailable as error:
            return self._failed(item, ResultReason.GENERAL_FAILURE, str(error))
        return ResponseBatchItem(
            operation=item.operation,
            unique_batch_item_id=item.unique_batch_item_id,
            result_status=ResultStatus.SUCCESS,
            response_payload=payload,
        )

    async def _result(self, item: RequestBatchItem) -> Item:
        operation = item.operation.wire_name
        row = BY_OPERATION.get(item.operation)
        if row is None:
            raise KmipError(ResultReason.OPERATION_NOT_SUPPORTED, f"Operation: {operation}")
        extension = item.message_extension
        if extension is not None and extension.criticality_indicator:
            raise KmipError(
                ResultReason.FEATURE_NOT_SUPPORTED,
                f"the critical extension of {extension.vendor_identification} is not known here",
            )
        payload = item.request_payload or structure("RequestPayload")
        call = self._call()
        payload = await self._read(payload, operation, call)
        response = dump(await self._carry_out(row, payload, call), "ResponsePayload")
        if call.generation is Generation.KMIP:
            response = spreading.spread(response)
        return versions.write(response, self._version)

    async def _read(self, payload: Item, operation: str, call: Call) -> Item:
        """Return a payload in the shape of 2.1. Raises: KmipError."""
        try:
            payload = versions.read(payload, operation, self._version)
        except FieldError as error:
            raise KmipError(ResultReason.INVALID_FIELD, str(error)) from None
        except TtlvError as error:
            raise KmipError(ResultReason.INVALID_MESSAGE, str(error)) from None
        if call.generation is Generation.KMIP:
            payload = spreading.gathered(payload)
        return await templates.expanded(call, payload)

    def _call(self) -> Call:
        call = self._template
        return Call(
            caller=call.caller,
            store=self._journal or call.store,
            services=call.services,
            now=int(call.services.clock()),
            generation=call.generation,
            version=self._version,
            batch=self._shared,
        )

    def _failed(
        self, item: RequestBatchItem, reason: ResultReason, message: str
    ) -> ResponseBatchItem:
        return ResponseBatchItem(
            operation=item.operation,
            unique_batch_item_id=item.unique_batch_item_id,
            result_status=ResultStatus.OPERATION_FAILED,
            result_reason=versions.reason(reason, self._version),
            result_message=message,
        )


def _undone(item: ResponseBatchItem) -> ResponseBatchItem:
    return msgspec.structs.replace(item, result_status=ResultStatus.OPERATION_UNDONE)
