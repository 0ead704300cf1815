"""Query (KMIP 2.1 §6.1.40)."""

from kmsd.kmip.attributes import VENDOR
from kmsd.kmip.enums import ObjectType, Operation, QueryFunction
from kmsd.kmip.objects import OBJECTS
from kmsd.kmip.structures import ServerInformation
from kmsd.operations.call import Call
from kmsd.ttlv.schema import Structure

SERVER_NAME = "kmsd"


class Query(Structure):
    """Request payload."""

    query_function: tuple[QueryFunction, ...] = ()


class QueryResponse(Structure):
    """Response payload."""

    operation: tuple[Operation, ...] = ()
    object_type: tuple[ObjectType, ...] = ()
    vendor_identification: str | None = None
    server_information: ServerInformation | None = None
    application_namespace: tuple[str, ...] = ()


async def query(call: Call, request: Query) -> QueryResponse:
    """Tell what the server can do. Functions that it has nothing to say to are left out."""
    from kmsd.operations import OPERATIONS

    asked = frozenset(request.query_function)
    information = QueryFunction.QUERY_SERVER_INFORMATION in asked
    return QueryResponse(
        operation=tuple(row.operation for row in OPERATIONS)
        if QueryFunction.QUERY_OPERATIONS in asked
        else (),
        object_type=tuple(OBJECTS) if QueryFunction.QUERY_OBJECTS in asked else (),
        vendor_identification=VENDOR if information else None,
        server_information=ServerInformation(
            server_name=SERVER_NAME, server_version=call.services.version
        )
        if information
        else None,
    )
