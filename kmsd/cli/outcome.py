"""What a command has to say, and how: sentences, JSON, tables or nothing.

The lines of text are what scripts look for, so they stay as the product has them:

    The symmetric key was successfully generated.
    <tab>  Unique identifier: 8b3c…
"""

from __future__ import annotations

import enum
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec


class Format(enum.Enum):
    """How outcomes are written; TABLE is TEXT with lists as tables."""

    TEXT = "text"
    JSON = "json"
    QUIET = "quiet"
    TABLE = "table"


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """A sentence, and what a program may want of the result; the fields are the keys of the JSON.

    `attributes` is plain JSON, `accesses`, `access_rights_obtained` and `object_owned` are lists of
    the objects that the server answers.
    """

    stdout: str
    unique_identifier: str | None = None
    unique_identifiers: Sequence[str] | None = None
    public_key_unique_identifier: str | None = None
    private_key_unique_identifier: str | None = None
    attribute: Any = None
    attributes: Mapping[str, Any] | None = None
    accesses: Sequence[Mapping[str, Any]] | None = None
    access_rights_obtained: Sequence[Mapping[str, Any]] | None = None
    object_owned: Sequence[Mapping[str, Any]] | None = None
    tags: Sequence[str] | None = None
    database_secret: str | None = None
    """Shown apart only in JSON: the sentence tells it to people."""
    as_in_4_1: bool = False
    """Identifiers as the first versions wrote them: without indentation, the private key first."""


def written(outcome: Outcome, how: Format) -> str:
    """Return all that is printed of an outcome."""
    if how is Format.QUIET:
        return ""
    if how is Format.JSON:
        shown = {
            name: value
            for name in _JSON_FIELDS
            if (value := getattr(outcome, name)) is not None and (value != [] or name != "tags")
        }
        return msgspec.json.format(msgspec.json.encode(shown), indent=2).decode()
    return "\n".join(map(printable, _lines(outcome, tables=how is Format.TABLE)))


def printable(text: str) -> str:
    """Return a text without what would steer a terminal: names may be other users' choice."""
    return "".join(
        each if each.isprintable() or each in "\n\t" else each.encode("unicode_escape").decode()
        for each in text
    )


def _flat(text: object) -> str:
    """Return a value of a list on one line, so that it cannot pass for another line."""
    return str(text).replace("\n", "\\n").replace("\t", "\\t")


_JSON_FIELDS = (
    "stdout",
    "unique_identifier",
    "unique_identifiers",
    "private_key_unique_identifier",
    "public_key_unique_identifier",
    "tags",
    "attribute",
    "attributes",
    "accesses",
    "access_rights_obtained",
    "object_owned",
    "database_secret",
)


def _lines(outcome: Outcome, *, tables: bool) -> list[str]:
    lines = [outcome.stdout] if outcome.stdout else []
    lines += _identifier_lines(outcome)
    lines += map(_flat, outcome.unique_identifiers or ())
    lines += (f"{name}: {_one_line(value)}" for name, value in (outcome.attributes or {}).items())
    if outcome.attribute is not None:
        lines.append(_one_line(outcome.attribute))
    for name, columns, line in _LISTS:
        rows = getattr(outcome, name)
        if rows is not None:
            lines += table(columns, rows) if tables else map(line, rows)
    if outcome.tags:
        lines += ["", "  Tags:", *(f"    - {tag}" for tag in outcome.tags)]
    return lines


def _identifier_lines(outcome: Outcome) -> list[str]:
    rows = [
        ("Unique identifier", outcome.unique_identifier),
        ("Public key unique identifier", outcome.public_key_unique_identifier),
        ("Private key unique identifier", outcome.private_key_unique_identifier),
    ]
    if outcome.as_in_4_1:
        return [f"{label}: {value}" for label, value in reversed(rows) if value is not None]
    return [f"\t  {label}: {value}" for label, value in rows if value is not None]


def _one_line(value: Any) -> str:
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()


# Lists

Row = Mapping[str, Any]
Columns = Mapping[str, Callable[[Row], str]]


def _operations(row: Row) -> str:
    return ", ".join(row.get("operations", ()))


def _format(row: Row) -> str:
    return str(row.get("attributes", {}).get("KeyFormatType", "Unknown"))


def _state(row: Row) -> str:
    wrapped = "[Wrapped]" if row.get("is_wrapped") else ""
    return f"[{row.get('state', '')}]{wrapped}"


def _access_line(row: Row) -> str:
    return f" - {_flat(row['user_id'])}: {{{_operations(row)}}}"


def _owned_line(row: Row) -> str:
    return f"{_state(row)} {_flat(row['object_id'])} - {_format(row)}"


def _obtained_line(row: Row) -> str:
    state = f"[{row.get('state', '')}][{_flat(row['owner_id'])}]"
    return f"{state}{_flat(row['object_id'])} {{{_operations(row)}}}"


def _attribute(name: str) -> Callable[[Row], str]:
    return lambda row: str(row.get("attributes", {}).get(name, ""))


def tags_of(row: Row) -> str:
    """Return the tags among a row's attributes, in one text."""
    for each in row.get("attributes", {}).get("VendorAttributes", ()):
        if each.get("AttributeName") == "tag":
            raw = bytes(each.get("AttributeValue", ()))
            return ", ".join(msgspec.json.decode(raw or b"[]", type=list[str]))
    return ""


_LISTS: tuple[tuple[str, Columns, Callable[[Row], str]], ...] = (
    (
        "accesses",
        {"User": lambda row: str(row["user_id"]), "Operations": _operations},
        _access_line,
    ),
    (
        "object_owned",
        {
            "Unique identifier": lambda row: str(row["object_id"]),
            "State": _state,
            "Type": _attribute("ObjectType"),
            "Algorithm": _attribute("CryptographicAlgorithm"),
            "Bits": _attribute("CryptographicLength"),
            "Tags": tags_of,
        },
        _owned_line,
    ),
    (
        "access_rights_obtained",
        {
            "Unique identifier": lambda row: str(row["object_id"]),
            "Owner": lambda row: str(row["owner_id"]),
            "State": _state,
            "Operations": _operations,
        },
        _obtained_line,
    ),
)


def table(columns: Columns, rows: Sequence[Row]) -> list[str]:
    """Return rows as the lines of a table, its last column cut to the terminal's width."""
    if not rows:
        return ["(none)"]
    cells = [list(columns), *([_flat(show(row)) for show in columns.values()] for row in rows)]
    widths = [max(len(line[index]) for line in cells) for index in range(len(columns))]
    width = shutil.get_terminal_size().columns
    lines = ["  ".join(map(str.ljust, line, widths)).rstrip() for line in cells]
    lines.insert(1, "  ".join("-" * each for each in widths))
    return [line if len(line) <= width else line[: width - 1] + "…" for line in lines]
