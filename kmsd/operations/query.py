"""Query (KMIP 2.1 §6.1.40)."""

from collections.abc import Callable
from typing import Any

from kmsd.kmip.attributes import VENDOR
from kmsd.kmip.enums import Enumeration, ObjectType, Operation, QueryFunction
from kmsd.kmip.objects import OBJECTS
from kmsd.kmip.structures import (
    CapabilityInformation,
    ProfileInformation,
    ProtectionStorageMasks,
    RNGParameters,
    ServerInformation,
)
from kmsd.kmip.versions import TWO, Version
from kmsd.operations import capabilities
from kmsd.operations.call import Call
from kmsd.ttlv.schema import Structure

SERVER_NAME = "kmsd"


class Query(Structure):
    """Request payload."""

    query_function: tuple[QueryFunction, ...] = ()
    object_group: tuple[str, ...] = ()


class QueryResponse(Structure):
    """Response payload."""

    operation: tuple[Operation, ...] = ()
    object_type: tuple[ObjectType, ...] = ()
    vendor_identification: str | None = None
    server_information: ServerInformation | None = None
    application_namespace: tuple[str, ...] = ()
    rng_parameters: tuple[RNGParameters, ...] = ()
    profile_information: tuple[ProfileInformation, ...] = ()
    capability_information: tuple[CapabilityInformation, ...] = ()
    protection_storage_masks: ProtectionStorageMasks | None = None


async def query(call: Call, request: Query) -> QueryResponse:
    """Tell what the server can do. Functions that it has nothing to say to are left out."""
    values: dict[str, Any] = {}
    for function in dict.fromkeys(request.query_function):
        if (answer := _ANSWERS.get(function)) is not None:
            values |= answer(call)
    return QueryResponse(**values)


def _operations(call: Call) -> dict[str, Any]:
    from kmsd.operations import OPERATIONS

    return {
        "operation": tuple(
            row.operation for row in OPERATIONS if _is_since(row.operation, call.version)
        )
    }


def _objects(call: Call) -> dict[str, Any]:
    kinds = [kind for kind in OBJECTS if _is_since(kind, call.version)]
    if call.version >= TWO:
        kinds.remove(ObjectType.TEMPLATE)
    return {"object_type": tuple(kinds)}


def _is_since(value: Enumeration, version: Version) -> bool:
    major, minor = value.since.split(".")
    return (int(major), int(minor)) <= version


def _server(call: Call) -> dict[str, Any]:
    return {
        "vendor_identification": VENDOR,
        "server_information": ServerInformation(
            server_name=SERVER_NAME, server_version=call.services.version
        ),
    }


_ANSWERS: dict[QueryFunction, Callable[[Call], dict[str, Any]]] = {
    QueryFunction.QUERY_OPERATIONS: _operations,
    QueryFunction.QUERY_OBJECTS: _objects,
    QueryFunction.QUERY_SERVER_INFORMATION: _server,
    QueryFunction.QUERY_RNGS: lambda _: {"rng_parameters": (capabilities.RNG,)},
    QueryFunction.QUERY_PROFILES: lambda call: {
        "profile_information": capabilities.profiles(call.version)
    },
    QueryFunction.QUERY_CAPABILITIES: lambda _: {
        "capability_information": (capabilities.CAPABILITIES,)
    },
    QueryFunction.QUERY_STORAGE_PROTECTION_MASKS: lambda _: {
        "protection_storage_masks": capabilities.STORAGE
    },
}
