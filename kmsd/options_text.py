"""What people read of a table of options: help, the effective configuration, a sample file."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Iterator
from enum import Enum
from itertools import groupby
from pathlib import Path
from typing import Any

from kmsd.options import Configuration, Row, file_rows, table

MASK = "***"
_WIDTH = 100
_INDENT = " " * 10


def help_text(cls: type, usage: str) -> str:
    """Describe every option that is not hidden: flags, variables, default, possible values."""
    visible = [row for row in table(cls) if not row.hidden]
    parts = [usage]
    for group, rows in groupby(visible, key=lambda row: row.group):
        parts += ["", f"{group}:", *(_described(row) for row in rows)]
    return "\n".join(parts)


def _described(row: Row) -> str:
    value = "" if row.kind is bool else f" <{row.name.upper()}>" + ("..." if row.repeated else "")
    facts = " ".join(f"[{name}: {text}]" for name, text in _facts(row))
    lines = [f"  {', '.join(row.flags)}{value}", *_wrapped(row.about), *_wrapped(facts)]
    return "\n".join(lines)


def _facts(row: Row) -> Iterator[tuple[str, str]]:
    if row.environment:
        files = [name + "_FILE" for name in row.environment if row.secret]
        yield "env", ", ".join([*row.environment, *files])
    if row.default not in (None, ()) and not row.secret and not row.flag_only:
        yield "default", plain(row.default)
    if row.choices:
        yield "possible values", ", ".join(row.choices)
    elif row.low is not None:
        yield "possible values", row.expected


def _wrapped(text: str) -> list[str]:
    return textwrap.wrap(
        text, _WIDTH, initial_indent=_INDENT, subsequent_indent=_INDENT, break_on_hyphens=False
    )


def plain(value: Any) -> str:
    """Write a value as it would be typed on a command line."""
    if isinstance(value, tuple):
        return ",".join(plain(one) for one in value)
    return str(value).lower() if isinstance(value, bool) else str(_simple(value))


def toml(value: Any) -> str:
    """Write a value as TOML."""
    if isinstance(value, tuple):
        return "[" + ", ".join(toml(one) for one in value) + "]"
    simple = _simple(value)
    # JSON's strings and numbers are also TOML's, but for DEL, which a path could hold.
    return json.dumps(simple, ensure_ascii=False).replace("\x7f", "\\u007f")


def _simple(value: Any) -> Any:
    if isinstance(value, Enum):
        return value.value
    return str(value) if isinstance(value, Path) else value


def info(configuration: Configuration[Any]) -> str:
    """Write the effective configuration as TOML, each value with its origin, secrets masked."""
    rows = file_rows(type(configuration.settings))
    lines: list[str] = []
    for group, members in groupby(rows, key=lambda row: row.group):
        lines += ["", f"[{group}]"]
        for row in members:
            value = getattr(configuration.settings, row.name)
            lines.append(f"{_entry(row, value):<40} # {configuration.origins[row.name]}")
    return "\n".join(lines[1:])


def sample(cls: type) -> str:
    """Write a TOML file in which every option stands with its meaning and default, commented."""
    rows = [row for row in file_rows(cls) if not row.hidden]
    lines: list[str] = []
    for group, members in groupby(rows, key=lambda row: row.group):
        lines += [f"[{group}]"]
        for row in members:
            choices = f" One of: {', '.join(row.choices)}." if row.choices else ""
            lines += [f"# {line}" for line in textwrap.wrap(row.about + choices, _WIDTH - 2)]
            lines += [f"# {row.name} = " + toml("" if row.default is None else row.default), ""]
    return "\n".join(lines).rstrip()


def _entry(row: Row, value: Any) -> str:
    if value is None:
        return f"# {row.name} is not set"
    return f"{row.name} = {toml(MASK) if row.secret and value else toml(value)}"
