"""Changes of attributes: what Set, Add, Modify and Delete Attribute share."""

from typing import Any

import msgspec

from kmsd.kmip import attributes as attribute_rules
from kmsd.kmip import versions
from kmsd.kmip.attributes import Attributes
from kmsd.kmip.enums import ResultReason, State
from kmsd.kmip.errors import KmipError
from kmsd.kmip.generations import Generation
from kmsd.kmip.states import effective_state
from kmsd.kmip.structures import Attribute, AttributeReference, Link
from kmsd.operations import keysets, server_attributes
from kmsd.operations.call import Call
from kmsd.operations.usage import remaining
from kmsd.store.interfaces import Record, Replace
from kmsd.ttlv import Item, TtlvError
from kmsd.ttlv.schema import compiled, load
from kmsd.ttlv.tags import spelled, tag_name

_DATES = frozenset({"activation_date", "process_start_date"})
"""What is fixed once the object has been active, in the product."""

_BOOK_DATES: dict[str, frozenset[State]] = {
    "activation_date": frozenset({State.PRE_ACTIVE}),
    "deactivation_date": frozenset({State.PRE_ACTIVE, State.ACTIVE}),
    "process_start_date": frozenset({State.PRE_ACTIVE, State.ACTIVE}),
    "protect_stop_date": frozenset({State.PRE_ACTIVE, State.ACTIVE}),
}
"""The states in which a client may change a date (KMIP 2.1 §4.1, §4.18, §4.40, §4.41)."""

_UNTIL_REACHED = frozenset({"process_start_date", "protect_stop_date"})


def single(new: Attributes) -> tuple[str, Any]:
    """Return the field and value of the one attribute that a request carries.

    Raises:
        KmipError: it carries none, or several.
    """
    fields = attribute_rules.present(new)
    if len(fields) != 1:
        raise KmipError(
            ResultReason.INVALID_ATTRIBUTE,
            f"one attribute is wanted, the request has {len(fields)}",
        )
    return fields[0], getattr(new, fields[0])


def is_repeated(field: str) -> bool:
    """Tell whether an object may have several values of an attribute."""
    return compiled(Attributes).by_tag[spelled(field)].repeated


def key_of(value: Any) -> Any:
    """Return what makes two values of a repeated attribute the same instance of it."""
    if isinstance(value, Link):
        return value.link_type
    if isinstance(value, Attribute):
        return value.vendor_identification, value.attribute_name
    return value


def check_modifiable(record: Record, field: str, call: Call) -> None:
    """Let a client change an attribute.

    Raises:
        KmipError: the server manages it, or the object's state forbids it.
    """
    if not attribute_rules.rule(field).modify:
        raise _read_only(field)
    is_set = getattr(record.attributes, field, None) is not None
    if call.generation is Generation.KMIP:
        _check_book(record, field, call, is_set=is_set)
        return
    state = effective_state(record.attributes, call.now)
    if field in _DATES and is_set and state is not State.PRE_ACTIVE:
        raise _fixed(field, state)


def check_addable(record: Record, field: str, call: Call) -> None:
    """Let a client give an object an attribute: also what can be given but once, and is not there.

    Raises:
        KmipError: as `check_modifiable`.
    """
    rule = attribute_rules.rule(field)
    absent = getattr(record.attributes, field) in (None, ())
    if not (rule.set and absent):
        check_modifiable(record, field, call)


def _check_book(record: Record, field: str, call: Call, *, is_set: bool) -> None:
    if field in attribute_rules.BY_THE_BOOK_FIXED and is_set:
        raise _read_only(field)
    limits = record.attributes.usage_limits
    if (
        field == "usage_limits"
        and limits is not None
        and remaining(limits) != (limits.usage_limits_total)
    ):
        raise _read_only(field)
    state = effective_state(record.attributes, call.now)
    date = getattr(record.attributes, field) if field in _UNTIL_REACHED else None
    reached = date is not None and date <= call.now
    if state not in _BOOK_DATES.get(field, State) or reached:
        raise _fixed(field, state)


def _read_only(field: str) -> KmipError:
    return KmipError(
        ResultReason.ATTRIBUTE_READ_ONLY, f"{spelled(field)} is server-managed and read-only"
    )


def _fixed(field: str, state: State) -> KmipError:
    return KmipError(
        ResultReason.WRONG_KEY_LIFECYCLE_STATE,
        f"{spelled(field)} is fixed once the object has been active: it is in state"
        f" '{state.wire_name}'",
    )


def instance(field: str, present: tuple[Any, ...], index: int) -> Any:
    """Return the value of a repeated attribute that KMIP 1.x counts as `index`.

    Raises:
        KmipError: there are not so many.
    """
    if not 0 <= index < len(present):
        raise KmipError(
            ResultReason.ATTRIBUTE_INSTANCE_NOT_FOUND,
            f"the object has {len(present)} values of {spelled(field)}: there is no index {index}",
        )
    return present[index]


def echoed(call: Call, field: str, value: Any) -> Attributes | None:
    """Return the attribute for the answer: KMIP 1.x repeats it, 2.x does not (1.4 §4.14)."""
    if call.version >= versions.TWO:
        return None
    return Attributes(**{field: value})


async def write(call: Call, record: Record, attributes: Attributes) -> None:
    """Store changed attributes, with what follows from them. Raises: StaleRecord, KmipError."""
    check_tags(attributes)
    if attributes.rotate_name != record.attributes.rotate_name:
        keysets.check_name(record.unique_identifier, attributes)
    changed = msgspec.structs.replace(
        attributes,
        last_change_date=call.now,
        usage_limits=server_attributes.counted(attributes.usage_limits),
        always_sensitive=attributes.always_sensitive and attributes.sensitive,
        never_extractable=attributes.never_extractable and attributes.extractable is False,
    )
    changed = msgspec.structs.replace(changed, state=effective_state(changed, call.now))
    await call.store.write(Replace(msgspec.structs.replace(record, attributes=changed)))


def check_tags(attributes: Attributes) -> None:
    """Refuse a tag attribute that is no list of texts. Raises: KmipError."""
    try:
        attribute_rules.tags(attributes)
    except (msgspec.MsgspecError, ValueError):
        raise KmipError(
            ResultReason.INVALID_ATTRIBUTE_VALUE, "the tag attribute is not a JSON list of texts"
        ) from None


def referenced(reference: Item) -> str | tuple[str, str]:
    """Return the field that an Attribute Reference names, or a vendor attribute's two names.

    Raises:
        KmipError: it is no reference.
    """
    value = reference.value
    if isinstance(value, list):
        try:
            vendor = load(AttributeReference, reference)
        except TtlvError as error:
            raise KmipError(ResultReason.INVALID_FIELD, str(error)) from None
        return vendor.vendor_identification, vendor.attribute_name
    if isinstance(value, int):
        value = tag_name(value)
    if not isinstance(value, str):
        raise KmipError(ResultReason.INVALID_FIELD, "an Attribute Reference is a tag or a name")
    field = compiled(Attributes).by_tag.get(spelled(value.replace(" ", "")))
    return field.name if field else value
