"""What an operation is to the engine: one row of the table."""

from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple

from kmsd.kmip.enums import Operation
from kmsd.operations.call import Call
from kmsd.operations.target import Target
from kmsd.ttlv.schema import Structure

Handler = Callable[[Call, Any], Awaitable[Structure]]


class Row(NamedTuple):
    """One operation: its structures, what carries it out, and what that needs.

    Without a `target` the operation needs no object. `sets_placeholder` makes the identifier in its
    response the ID Placeholder for the rest of a batch.
    """

    operation: Operation
    request: type[Structure]
    response: type[Structure]
    handler: Handler
    target: Target | None = None
    sets_placeholder: bool = False
