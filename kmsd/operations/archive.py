"""Archive (KMIP 2.1 §6.1.4), and what archived objects are kept from."""

from typing import Any

import msgspec

from kmsd.kmip.enums import Operation, ResultReason
from kmsd.kmip.errors import KmipError
from kmsd.operations.call import Call
from kmsd.operations.row import Handler, Row
from kmsd.store.interfaces import Record, Replace
from kmsd.ttlv.schema import Structure

_OFF_LINE = frozenset(
    {
        Operation.RECOVER,
        Operation.CHECK,
        Operation.GET_ATTRIBUTES,
        Operation.GET_ATTRIBUTE_LIST,
        Operation.REVOKE,
        Operation.DESTROY,
    }
)
"""What can be done to an object without fetching it from the archive."""


class Archive(Structure):
    """Request payload."""

    unique_identifier: str | None = None


class ArchiveResponse(Structure):
    """Response payload."""

    unique_identifier: str


async def archive(call: Call, _request: Archive) -> ArchiveResponse:
    """Put an object into the archive: until it is recovered nothing can be done with it.

    The object stays in the database; what counts is that nobody uses it by oversight.
    """
    record = call.target
    attributes = msgspec.structs.replace(
        record.attributes, archive_date=call.now, last_change_date=call.now
    )
    await call.store.write(Replace(msgspec.structs.replace(record, attributes=attributes)))
    return ArchiveResponse(unique_identifier=record.unique_identifier)


def check_on_line(record: Record) -> None:
    """Refuse an archived object. Raises: KmipError."""
    if record.attributes.archive_date is not None:
        raise KmipError(
            ResultReason.OBJECT_ARCHIVED,
            f"{record.unique_identifier} is archived: Recover it first",
        )


def on_line(row: Row) -> Row:
    """Return an operation's row with a handler that refuses archived objects, where it should."""
    if row.target is None or row.operation in _OFF_LINE:
        return row
    handler: Handler = row.handler

    async def checked(call: Call, request: Any) -> Structure:
        for record in call.targets:
            check_on_line(record)
        return await handler(call, request)

    return row._replace(handler=checked)
