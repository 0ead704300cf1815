"""Loading a request's structures, with KMIP's reasons for what is wrong with them."""

from typing import TypeVar

from kmsd.kmip.enums import ResultReason
from kmsd.kmip.errors import KmipError
from kmsd.ttlv import FieldError, Item, TtlvError
from kmsd.ttlv.schema import Structure, load

S = TypeVar("S", bound=Structure)


def loaded(cls: type[S], item: Item) -> S:
    """Make a `cls` of an item.

    Raises:
        KmipError: INVALID_FIELD for a wrong value, INVALID_MESSAGE for a wrong structure.
    """
    try:
        return load(cls, item)
    except FieldError as error:
        raise KmipError(ResultReason.INVALID_FIELD, str(error)) from None
    except TtlvError as error:
        raise KmipError(ResultReason.INVALID_MESSAGE, str(error)) from None
