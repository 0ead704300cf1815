"""Export (KMIP 2.1 §6.1.18)."""

from typing import Annotated

from kmsd.kmip.attributes import Attributes
from kmsd.kmip.enums import ObjectType
from kmsd.kmip.generations import Generation
from kmsd.kmip.objects import ManagedObject
from kmsd.operations.call import Call
from kmsd.operations.get import Get, get
from kmsd.operations.get_attributes import current, without_book
from kmsd.ttlv.schema import BY_TAG, Structure


class Export(Get):
    """Request payload."""


class ExportResponse(Structure):
    """Response payload."""

    object_type: ObjectType
    unique_identifier: str
    attributes: Attributes
    managed_object: Annotated[ManagedObject, BY_TAG]


def _told(call: Call) -> Attributes:
    attributes = current(call, call.target)
    return attributes if call.generation is Generation.KMIP else without_book(attributes)


async def export(call: Call, request: Export) -> ExportResponse:
    """Return an object with all its attributes. Raises: KmipError, as Get."""
    response = await get(call, request)
    return ExportResponse(
        object_type=response.object_type,
        unique_identifier=response.unique_identifier,
        attributes=_told(call),
        managed_object=response.managed_object,
    )
