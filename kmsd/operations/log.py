"""Log (KMIP 2.1 §6.1.29)."""

from twisted.logger import Logger

from kmsd.kmip.enums import ResultReason
from kmsd.kmip.errors import KmipError
from kmsd.operations.call import Call
from kmsd.ttlv.schema import Structure

_MOST = 4_096
_log = Logger()


class Log(Structure):
    """Request payload."""

    log_message: str


class LogResponse(Structure):
    """Response payload: empty."""


async def log(call: Call, request: Log) -> LogResponse:
    """Write a client's message to the server's log, on one line and under the client's name.

    Raises:
        KmipError: it has more than 4096 characters.
    """
    if len(request.log_message) > _MOST:
        raise KmipError(ResultReason.INVALID_FIELD, f"a LogMessage has up to {_MOST} characters")
    _log.info("{caller} says {text!r}", caller=call.caller.name, text=request.log_message)
    return LogResponse()
