"""CoverCrypt policies: every generation's JSON, to the V2 that the engine reads.

Order is meaning: the attributes of an ordered dimension go from lowest to highest, so nothing here
may sort. Source: the product's policy formats.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from kmsd.crypto.errors import invalid_policy

_LARGEST_JSON = 1 << 20
_MOST_RIGHTS = 20_000
"""Keys in a master key: one for every combination of at most one attribute per dimension."""
_MOST_TERMS = 1_000
_LONGEST_EXPRESSION = 4096  # the engine takes time in its square: 0.1 s
_ORDERED_MARK, _HYBRID_MARK = "::<", "::+"
_CLASSIC, _HYBRIDIZED = "Classic", "Hybridized"
_OPEN = "EncryptDecrypt"
_OPERATORS = re.compile(r"(&&|\|\||[()])")


class _Attribute(NamedTuple):
    name: str
    number: int
    hint: str = _CLASSIC
    status: str = _OPEN


class _Dimension(NamedTuple):
    name: str
    ordered: bool
    attributes: list[_Attribute]


def to_v2(policy: bytes) -> bytes:
    """Return a policy of any generation as V2 JSON.

    Takes V2 of the engine's version 14 and 13, V1, the legacy form, the command line's older
    `{"policy": …, "max-rotations": …}` and the specification form, which is also what 5.x calls an
    access structure.

    Raises:
        KmipError: INVALID_ATTRIBUTE_VALUE.
    """
    found = _parse(policy)
    try:
        last, dimensions = _dimensions(found)
        rights = _rights(dimensions)
    except (KeyError, TypeError, ValueError, AttributeError, IndexError):
        raise invalid_policy("the policy has a form that is not known") from None
    if rights > _MOST_RIGHTS:
        raise invalid_policy(f"the policy has {rights} combinations; {_MOST_RIGHTS} are allowed")
    return _dump(last, dimensions)


def check_expression(expression: str) -> None:
    """Refuse an access policy that would take the engine too long to multiply out.

    It turns the expression into a sum of products, whose size grows exponentially. Whether the
    attributes exist is the engine's to say.

    Raises:
        KmipError: INVALID_ATTRIBUTE_VALUE.
    """
    if len(expression) > _LONGEST_EXPRESSION:
        raise invalid_policy(f"an access policy has at most {_LONGEST_EXPRESSION} characters")
    tokens = list(_tokens(expression))
    terms, rest = _sum(tokens, 0)
    if rest != len(tokens) or terms > _MOST_TERMS:
        raise invalid_policy("the access policy does not parse, or is too complex")


def _parse(policy: bytes) -> dict[str, Any]:
    if len(policy) > _LARGEST_JSON:
        raise invalid_policy("the policy is too large")
    try:
        found = json.loads(policy)
    except (ValueError, RecursionError):
        raise invalid_policy("the policy is not JSON") from None
    if not isinstance(found, dict) or not found:
        raise invalid_policy("the policy is not a JSON object")
    return found


def _dimensions(found: dict[str, Any]) -> tuple[int, list[_Dimension]]:
    """Read whichever form it is; also return the last number given to an attribute."""
    if isinstance(found.get("dimensions"), dict):
        dimensions = [_read_v2(name, value) for name, value in found["dimensions"].items()]
    elif isinstance(found.get("axes"), dict):
        dimensions = _read_axes(found)
    else:
        dimensions = _read_specification(found.get("policy", found))
    numbers = [attribute.number for row in dimensions for attribute in row.attributes]
    if not numbers or len(set(numbers)) != len(numbers):
        raise ValueError
    return max(*numbers, _last(found)), dimensions


def _last(found: Mapping[str, Any]) -> int:
    last = found.get("last_attribute_value", 0)
    return _number(last) if last else 0


def _number(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 < value < 1 << 31:
        raise ValueError
    return value


def _read_v2(name: str, value: dict[str, Any]) -> _Dimension:
    """Read a dimension of V2: version 14's, or version 13's with `order` and `attributes`."""
    if "attributes" in value:
        order = value.get("order")
        names = order or list(value["attributes"])
        rows = {entry: value["attributes"][entry] for entry in names}
        return _Dimension(name, bool(order), [_attribute(*pair) for pair in rows.items()])
    ((kind, rows),) = value.items()
    if kind not in {"Ordered", "Unordered"}:
        raise ValueError
    return _Dimension(name, kind == "Ordered", [_attribute(*pair) for pair in rows.items()])


def _attribute(name: str, value: dict[str, Any]) -> _Attribute:
    number = value["id"] if "id" in value else max(value["rotation_values"])
    hint, status = value.get("encryption_hint", _CLASSIC), value.get("write_status", _OPEN)
    if hint not in {_CLASSIC, _HYBRIDIZED} or status not in {_OPEN, "DecryptOnly"}:
        raise ValueError
    return _Attribute(_text(name), _number(number), hint, status)


def _read_axes(found: dict[str, Any]) -> list[_Dimension]:
    """Read V1, or the legacy form in which an axis is a pair and a value a bare number list."""
    values = found.get("attributes") or found["attribute_to_int"]
    dimensions = []
    for name, axis in found["axes"].items():
        names, ordered = (
            (axis["attribute_names"], axis["is_hierarchical"]) if isinstance(axis, dict) else axis
        )
        if not isinstance(ordered, bool):
            raise TypeError
        rows = [_old_attribute(entry, values[f"{name}::{entry}"]) for entry in names]
        dimensions.append(_Dimension(name, ordered, rows))
    return dimensions


def _old_attribute(name: str, value: dict[str, Any] | list[int]) -> _Attribute:
    """Rotation appended a new value; the latest is the one in force."""
    if isinstance(value, dict):
        hint = value.get("encryption_hint", _CLASSIC)
        return _attribute(name, {"id": max(value["values"]), "encryption_hint": hint})
    return _attribute(name, {"id": max(value)})


def _read_specification(found: dict[str, Any]) -> list[_Dimension]:
    """Read names in lists: `::<` marks an ordered dimension, `::+` a hybridised attribute."""
    numbers = iter(range(1, _MOST_RIGHTS + 2))
    dimensions = []
    for name, value in found.items():
        ordered, names = name.endswith(_ORDERED_MARK), value
        if isinstance(value, dict):  # the older command line's form
            ordered, names = bool(value.get("hierarchical")), value["attributes"]
        rows = [
            _Attribute(
                _text(entry.removesuffix(_HYBRID_MARK)),
                next(numbers),
                _HYBRIDIZED if entry.endswith(_HYBRID_MARK) else _CLASSIC,
            )
            for entry in _strings(names)
        ]
        dimensions.append(_Dimension(_text(name.removesuffix(_ORDERED_MARK)), ordered, rows))
    return dimensions


def _strings(value: object) -> Sequence[str]:
    if not isinstance(value, list) or not all(isinstance(entry, str) for entry in value):
        raise TypeError
    if len(set(value)) != len(value):
        raise ValueError
    return value


def _text(name: object) -> str:
    if not isinstance(name, str) or not name.strip() or "::" in name:
        raise ValueError
    return name


def _rights(dimensions: list[_Dimension]) -> int:
    product = 1
    for dimension in dimensions:
        product *= len(dimension.attributes) + 1
    return product


def _dump(last: int, dimensions: list[_Dimension]) -> bytes:
    rendered = {
        dimension.name: {
            "Ordered" if dimension.ordered else "Unordered": {
                row.name: {
                    "id": row.number,
                    "encryption_hint": row.hint,
                    "write_status": row.status,
                }
                for row in dimension.attributes
            }
        }
        for dimension in dimensions
    }
    policy = {"version": "V2", "last_attribute_value": last, "dimensions": rendered}
    return json.dumps(policy, ensure_ascii=False, separators=(",", ":")).encode()


def _tokens(expression: str) -> Iterator[str]:
    """Cut into operators, parentheses and the names between them."""
    for part in _OPERATORS.split(expression):
        if part.strip():
            yield part.strip()


def _sum(tokens: list[str], at: int, depth: int = 0) -> tuple[int, int]:
    """Count the products of a sum of products; return also where it ends."""
    terms, at = _product(tokens, at, depth)
    while at < len(tokens) and tokens[at] == "||":
        more, at = _product(tokens, at + 1, depth)
        terms += more
    return terms, at


def _product(tokens: list[str], at: int, depth: int) -> tuple[int, int]:
    terms, at = _factor(tokens, at, depth)
    while at < len(tokens) and tokens[at] == "&&":
        more, at = _factor(tokens, at + 1, depth)
        terms = min(terms * more, _MOST_TERMS + 1)
    return terms, at


def _factor(tokens: list[str], at: int, depth: int) -> tuple[int, int]:
    if at >= len(tokens) or depth > 32:  # noqa: PLR2004 - nesting beyond all reason
        raise invalid_policy("the access policy does not parse, or is too complex")
    if tokens[at] == "(":
        terms, at = _sum(tokens, at + 1, depth + 1)
        if tokens[at : at + 1] != [")"]:
            raise invalid_policy("the access policy does not parse: a parenthesis is open")
        return terms, at + 1
    if tokens[at] in {")", "&&", "||"}:
        raise invalid_policy(f"the access policy does not parse at {tokens[at]}")
    return 1, at + 1
