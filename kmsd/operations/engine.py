"""The engine: takes a request as an item, has its operations carried out, returns the response.

A request is either one bare operation (the product's JSON: an item called `Create`) or a
RequestMessage with any number of them (`messages`). For each the engine looks up the operation's
row, loads the payload, finds the objects the row asks for (`target.find`: permission, state,
usage), runs the handler and writes one audit event. A handler is run again when another writer was
faster (`StaleRecord`): it must not change anything but through `call.store.write`.

Errors: a bare operation raises KmipError; in a message each item tells its own.
"""

import functools
from typing import Any

from twisted.logger import Logger

from kmsd import audit
from kmsd.kmip.enums import Operation, ResultReason
from kmsd.kmip.errors import KmipError
from kmsd.kmip.generations import Generation
from kmsd.operations import BY_TAG, messages
from kmsd.operations.call import Call, Caller, Services
from kmsd.operations.loading import loaded
from kmsd.operations.row import Row
from kmsd.operations.target import find
from kmsd.store.interfaces import IStore, ObjectExists, StaleRecord, StoreError, StoreUnavailable
from kmsd.ttlv import Item
from kmsd.ttlv.schema import Structure, dump

_log = Logger()

TRIES = 8
"""How often an operation is tried while other writers change its objects first."""


class Engine:
    """Carries out operations; has no state of its own beyond what it was given."""

    def __init__(self, services: Services) -> None:
        """Work with `services`."""
        self.services = services

    async def handle(
        self, item: Item, caller: Caller, store: IStore, generation: int = Generation.V5
    ) -> Item:
        """Carry out a message or a bare operation.

        Raises:
            KmipError: a bare operation failed, or the message is none.
            StoreUnavailable: the database does not answer; the door says when to come back.
        """
        if item.tag == "RequestMessage":
            make = functools.partial(self._call, caller, store, generation)
            return await messages.answer(item, make, self.carry_out)
        row = BY_TAG.get(item.tag.lower())
        if row is None:
            raise KmipError(ResultReason.OPERATION_NOT_SUPPORTED, f"Operation: {item.tag}")
        call = self._call(caller, store, generation)
        return dump(await self.carry_out(row, item, call), row.response.__name__)

    def _call(self, caller: Caller, store: IStore, generation: int) -> Call:
        return Call(
            caller=caller,
            store=store,
            services=self.services,
            now=int(self.services.clock()),
            generation=Generation(generation),
        )

    async def carry_out(self, row: Row, payload: Item, call: Call) -> Structure:
        """Run one operation and write its audit event."""
        started = self.services.clock()
        named, reason = "", None
        try:
            call.caller.check(row.operation.wire_name.lower())
            request = loaded(row.request, payload)
            named = _named(row, request) or ""
            response = await _tried(row, request, call)
            named = getattr(response, "unique_identifier", named)
        except KmipError as error:
            reason = error.reason
            raise
        except StoreUnavailable:
            reason = ResultReason.GENERAL_FAILURE
            raise
        except Exception:  # noqa: BLE001 (a bug: told to the log, not to the caller)
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
                duration_ms=(self.services.clock() - started) * 1_000,
            )
        )


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
