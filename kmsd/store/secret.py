"""The secret that names a tenant's database and opens it: a number and a key, in base64.

Two layouts are understood: the JSON object `{"group_id":<decimal>,"key":"<64 hexadecimal digits>"}`
of 4.0 to 4.3, which is also the one that is given out, and the JSON array of 48 numbers of 4.4 and
later (16 bytes of group, most significant first, then the key).
"""

import base64
import binascii
import json
import re
import secrets
import uuid
from typing import Any, NoReturn

import msgspec

_LONGEST = 1024
_GROUPS = 1 << 128
_KEY = re.compile(r"[0-9A-Fa-f]{64}")
_ARRAY_BYTES = 48
_GROUP_BYTES = 16


class Malformed(ValueError):  # noqa: N818 (said of the secret)
    """Not a secret; says nothing about what is wrong."""


class Secret(msgspec.Struct, frozen=True):
    """A tenant's number, below 2¹²⁸, and the 32 bytes of its key."""

    group: int
    key: bytes

    def __repr__(self) -> str:
        """Leave the key out."""
        return f"Secret(group={self.group})"

    @property
    def file_name(self) -> str:
        """The name of the database: digits only, whatever the client wrote."""
        return f"{self.group:d}.sqlite"


def new() -> Secret:
    """Return a fresh secret."""
    return Secret(uuid.uuid4().int, secrets.token_bytes(32))


def written(secret: Secret) -> str:
    """Return the text that the client keeps."""
    text = json.dumps({"group_id": secret.group, "key": secret.key.hex()}, separators=(",", ":"))
    return base64.b64encode(text.encode()).decode()


def read(text: str | None) -> Secret:
    """Read what `written` wrote, or the layout of later versions.

    Raises:
        Malformed: it is neither.
    """
    if not text or len(text) > _LONGEST or len(text) % 4:
        raise Malformed
    try:
        raw = binascii.a2b_base64(text.encode("ascii"), strict_mode=True)
        value = json.loads(raw.decode("ascii"), object_pairs_hook=_members, parse_constant=_refuse)
    except (binascii.Error, ValueError, RecursionError):
        raise Malformed from None
    return _from_array(value) if isinstance(value, list) else _from_object(value)


class _Members(tuple[tuple[str, Any], ...]):
    """A JSON object as its pairs: a name that occurs twice shows."""

    __slots__ = ()


def _members(pairs: list[tuple[str, Any]]) -> _Members:
    return _Members(sorted(pairs, key=lambda pair: pair[0]))


def _refuse(_word: str) -> NoReturn:
    raise Malformed


def _from_object(value: Any) -> Secret:
    if not isinstance(value, _Members) or [name for name, _ in value] != ["group_id", "key"]:
        raise Malformed
    (_, group), (_, key) = value
    if type(group) is not int or not 0 <= group < _GROUPS:  # a bool is an int, but not its type
        raise Malformed
    if not isinstance(key, str) or not _KEY.fullmatch(key):
        raise Malformed
    return Secret(group, bytes.fromhex(key))


def _from_array(value: list[Any]) -> Secret:
    numbers = len(value) == _ARRAY_BYTES and all(type(each) is int for each in value)
    if not numbers or not all(0 <= each <= 255 for each in value):  # noqa: PLR2004 (a byte)
        raise Malformed
    raw = bytes(value)
    return Secret(int.from_bytes(raw[:_GROUP_BYTES]), raw[_GROUP_BYTES:])
