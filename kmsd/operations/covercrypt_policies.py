"""What CoverCrypt requests say in their vendor attributes, in the spellings of all clients.

| attribute                        | clients      | value                                   |
| cover_crypt_rekey_action         | 4.13 and on  | `{"RekeyAccessPolicy": "D::A"}` …       |
| cover_crypt_policy_edit_action   | 4.9 to 4.12  | `{"RotateAttributes": ["D::A"]}` …      |
| cover_crypt_attributes           | to 4.8       | `["D::A"]`: rotate these                |
"""

import json
from typing import Any

from kmsd.kmip.attributes import Attributes, vendor_value
from kmsd.kmip.enums import ResultReason
from kmsd.kmip.errors import KmipError

ACTION = "cover_crypt_rekey_action"
_EDIT = "cover_crypt_policy_edit_action"
_ROTATE = "cover_crypt_attributes"

# What older clients call it → what it is, of any of the attributes named.
_OF_ANY = {"RotateAttributes": "RekeyAccessPolicy", "ClearOldAttributeValues": "PruneAccessPolicy"}
_OPERATORS = {"And": " && ", "Or": " || "}
_DEEPEST = 32


def rekey_action(attributes: Attributes) -> bytes | None:
    """Return the rekey action that attributes ask for, as JSON of today's clients.

    Raises:
        KmipError: it is not JSON of the form that goes with its name.
    """
    action = vendor_value(attributes, ACTION)
    if action is not None:
        return action
    edit, rotate = vendor_value(attributes, _EDIT), vendor_value(attributes, _ROTATE)
    try:
        if edit is not None:
            ((name, argument),) = json.loads(edit).items()
            return _action(name, argument)
        if rotate is not None:
            return _action("RotateAttributes", json.loads(rotate))
    except (ValueError, TypeError, AttributeError, RecursionError):
        raise KmipError(
            ResultReason.INVALID_ATTRIBUTE_VALUE, "the rekey action is malformed"
        ) from None
    return None


def _action(name: str, argument: Any) -> bytes:
    if name in _OF_ANY:
        name, argument = _OF_ANY[name], " || ".join(argument)
    return json.dumps({name: argument}).encode()


def access_policy(value: bytes) -> str:
    """Return an access policy as an expression; the clients of 4.1 send a tree of JSON.

    Raises:
        KmipError: it is neither.
    """
    try:
        text = value.decode()
        return _expression(json.loads(text), _DEEPEST) if text.startswith("{") else text
    except (ValueError, TypeError, AttributeError, RecursionError):
        raise KmipError(
            ResultReason.INVALID_ATTRIBUTE_VALUE, "the access policy is malformed"
        ) from None


def _expression(tree: Any, depth: int) -> str:
    if depth == 0:
        raise ValueError
    ((operator, operand),) = tree.items()
    if operator == "Attr":
        return str(operand)
    if operator not in _OPERATORS:
        raise ValueError
    parts = (_expression(each, depth - 1) for each in operand)
    return "(" + _OPERATORS[operator].join(parts) + ")"
