"""The audit: one event for each operation, whatever became of it.

An event names who did what to which object and how it ended. It never holds a request, a response,
a header or any other value that a secret could be in.
"""

from typing import NamedTuple

from twisted.logger import Logger

from kmsd.kmip.enums import Operation, ResultReason

_log = Logger(namespace="kmsd.audit")


class Event(NamedTuple):
    """One operation as the audit sees it."""

    caller: str
    mechanism: str
    door: str
    address: str
    operation: Operation
    unique_identifier: str
    result_reason: ResultReason | None
    duration_ms: float
    correlation: str = ""


def record(event: Event) -> None:
    """Write one event to the log, under the namespace `kmsd.audit`."""
    _log.info(
        "{caller} {operation} {unique_identifier} {result_status} {result_reason} {duration_ms}ms",
        caller=event.caller,
        mechanism=event.mechanism,
        door=event.door,
        address=event.address,
        operation=event.operation.wire_name,
        unique_identifier=event.unique_identifier,
        result_status="Success" if event.result_reason is None else "OperationFailed",
        result_reason="" if event.result_reason is None else event.result_reason.wire_name,
        duration_ms=round(event.duration_ms, 3),
        correlation=event.correlation,
    )
