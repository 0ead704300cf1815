"""The engine: takes a request as an item, has its operations carried out, returns the response.

A request is either one bare operation (the product's JSON: an item called `Create`) or a
RequestMessage with any number of them. For each the engine looks up the operation's row, loads the
payload, finds the objects the row asks for (`target.find`: permission, state, usage), runs the
handler and writes one audit event. A handler is run again when another writer was faster
(`StaleRecord`): it must not change anything but through `call.store.write`.

Errors: a bare operation raises KmipError; in a message each item tells its own.
"""

from typing import Any

from twisted.logger import Logger

from kmsd import audit
from kmsd.kmip.enums import (
    BatchErrorContinuationOption,
    Operation,
    ResultReason,
    ResultStatus,
)
from kmsd.kmip.errors import KmipError
from kmsd.kmip.messages import (
    RequestBatchItem,
    RequestMessage,
    ResponseBatchItem,
    ResponseHeader,
    ResponseMessage,
)
from kmsd.operations import BY_OPERATION, BY_TAG
from kmsd.operations.call import Batch, Call, Caller, Services
from kmsd.operations.row import Row
from kmsd.operations.target import find
from kmsd.store.interfaces import IStore, ObjectExists, StaleRecord, StoreError, StoreUnavailable
from kmsd.ttlv import FieldError, Item, ItemType, TtlvError
from kmsd.ttlv.schema import Structure, dump, load

_log = Logger()

TRIES = 8
"""How often an operation is tried while other writers change its objects first."""


class Engine:
    """Carries out operations; has no state of its own beyond what it was given."""

    def __init__(self, services: Services) -> None:
        """Work with `services`."""
        self._services = services

    async def handle(self, item: Item, caller: Caller, store: IStore, generation: int = 5) -> Item:
        """Carry out a message or a bare operation.

        Raises:
            KmipError: a bare operation failed, or the message is none.
            StoreUnavailable: the database does not answer; the door says when to come back.
        """
        if item.tag == "RequestMessage":
            return await self._message(item, caller, store, generation)
        row = BY_TAG.get(item.tag.lower())
        if row is None:
            raise KmipError(ResultReason.OPERATION_NOT_SUPPORTED, f"Operation: {item.tag}")
        call = self._call(caller, store, generation, Batch())
        return dump(await self._carry_out(row, item, call), row.response.__name__)

    def _call(self, caller: Caller, store: IStore, generation: int, batch: Batch) -> Call:
        return Call(
            caller=caller,
            store=store,
            services=self._services,
            now=int(self._services.clock()),
            generation=generation,
            batch=batch,
        )

    async def _message(self, item: Item, caller: Caller, store: IStore, generation: int) -> Item:
        request = _loaded(RequestMessage, item)
        items = request.batch_item
        if len(items) > self._services.limits.batch_items:
            raise KmipError(
                ResultReason.SERVER_LIMIT_EXCEEDED,
                f"a message may have {self._services.limits.batch_items} items",
            )
        default = BatchErrorContinuationOption.STOP
        if generation == 4:  # noqa: PLR2004 (its servers go on after an error)
            default = BatchErrorContinuationOption.CONTINUE
        option = request.request_header.batch_error_continuation_option or default
        batch = Batch()
        answers: list[ResponseBatchItem] = []
        for each in items:
            call = self._call(caller, store, generation, batch)
            answers.append(await self._batch_item(each, call))
            failed = answers[-1].result_status is not ResultStatus.SUCCESS
            if failed and option is not BatchErrorContinuationOption.CONTINUE:
                break
        header = ResponseHeader(
            protocol_version=request.request_header.protocol_version,
            time_stamp=int(self._services.clock()),
            client_correlation_value=request.request_header.client_correlation_value,
            batch_count=len(answers),
        )
        return dump(ResponseMessage(response_header=header, batch_item=tuple(answers)))

    async def _batch_item(self, item: RequestBatchItem, call: Call) -> ResponseBatchItem:
        try:
            row = BY_OPERATION.get(item.operation)
            if row is None:
                raise KmipError(
                    ResultReason.OPERATION_NOT_SUPPORTED, f"Operation: {item.operation.wire_name}"
                )
            payload = item.request_payload or Item("RequestPayload", ItemType.STRUCTURE, [])
            response = await self._carry_out(row, payload, call)
        except KmipError as error:
            return _failed(item, error.reason, error.message)
        except StoreUnavailable as error:
            return _failed(item, ResultReason.GENERAL_FAILURE, str(error))
        return ResponseBatchItem(
            operation=item.operation,
            unique_batch_item_id=item.unique_batch_item_id,
            result_status=ResultStatus.SUCCESS,
            response_payload=dump(response, "ResponsePayload"),
        )

    async def _carry_out(self, row: Row, payload: Item, call: Call) -> Structure:
        """Run one operation and write its audit event."""
        started = self._services.clock()
        named, reason = "", None
        try:
            request = _loaded(row.request, payload)
            named = _named(row, request) or ""
            response = await _tried(row, request, call)
            named = getattr(response, "unique_identifier", named)
        except KmipError as error:
            reason = error.reason
            raise
        except StoreUnavailable:
            reason = ResultReason.GENERAL_FAILURE
            raise
        except Exception:
            reason = ResultReason.GENERAL_FAILURE
            _log.failure("{operation} failed", operation=row.operation.wire_name)
            raise KmipError(reason, "Unexpected server error: see the server's log") from None
        finally:
            self._audit(row.operation, call, named, reason, started)
        if row.sets_placeholder:
            call.batch.placeholder = _made(response)
        return response

    def _audit(
        self,
        operation: Operation,
        call: Call,
        named: Any,
        reason: ResultReason | None,
        started: float,
    ) -> None:
        caller = call.caller
        audit.record(
            audit.Event(
                caller=caller.name,
                mechanism=caller.mechanism,
                door=caller.door,
                address=caller.address,
                operation=operation,
                unique_identifier=named if isinstance(named, str) else "",
                result_reason=reason,
                duration_ms=(self._services.clock() - started) * 1_000,
            )
        )


def _loaded(cls: type[Any], item: Item) -> Any:
    try:
        return load(cls, item)
    except FieldError as error:
        raise KmipError(ResultReason.INVALID_FIELD, str(error)) from None
    except TtlvError as error:
        raise KmipError(ResultReason.INVALID_MESSAGE, str(error)) from None


def _named(row: Row, request: Structure) -> str | None:
    return getattr(request, row.target.field, None) if row.target else None


async def _tried(row: Row, request: Structure, call: Call) -> Structure:
    """Find the targets and run the handler, again while others change them in between."""
    for _ in range(TRIES):
        try:
            if row.target is not None:
                named = _named(row, request)
                if named is not None or not row.target.optional:
                    call.targets = await find(
                        call, row.operation, row.target, call.identified(named)
                    )
            return await row.handler(call, request)
        except StaleRecord:
            continue
        except ObjectExists as error:
            raise KmipError(ResultReason.OBJECT_ALREADY_EXISTS, str(error)) from None
        except StoreUnavailable:
            raise
        except StoreError as error:
            raise KmipError(ResultReason.GENERAL_FAILURE, str(error)) from None
    raise KmipError(
        ResultReason.GENERAL_FAILURE,
        "others change this object all the time: nothing was done, try again",
    )


def _made(response: Structure) -> str | None:
    """Return the identifier that becomes the ID Placeholder: of several or none, none does."""
    made = getattr(response, "private_key_unique_identifier", None) or getattr(
        response, "unique_identifier", None
    )
    if isinstance(made, tuple):
        return made[0] if len(made) == 1 else None
    return made


def _failed(item: RequestBatchItem, reason: ResultReason, message: str) -> ResponseBatchItem:
    return ResponseBatchItem(
        operation=item.operation,
        unique_batch_item_id=item.unique_batch_item_id,
        result_status=ResultStatus.OPERATION_FAILED,
        result_reason=reason,
        result_message=message,
    )
