"""The TOML source of a table of options.

Entries may stand in tables, as the product writes them ([http] port = …), or flat at the top; a
name is written with underscores or with hyphens.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from kmsd.options import Given, Row, SettingsError, file_rows, nearest, reason


def from_file(cls: type, path: Path, groups: Iterable[str]) -> dict[str, Given]:
    """Read a TOML file; raise SettingsError, which names the file and the entry.

    Args:
        cls: the table of options.
        path: the file.
        groups: names of tables that are accepted besides the groups of the rows.
    """
    rows = {name: row for row in file_rows(cls) for name in (row.name, *row.aliases)}
    known = {row.group for row in rows.values()} | set(groups)
    given: dict[str, Given] = {}
    for place, value in _entries(_parse(path), known):
        origin = f"{path}: {place}"
        name = place.rpartition(".")[2].replace("-", "_")
        if name not in rows:
            raise SettingsError(f"{origin}: no such option{nearest(name, {*rows, *known})}")
        if rows[name].name in given:
            raise SettingsError(f"{origin}: given twice; keep one")
        given[rows[name].name] = Given(_texts(rows[name], value, origin), origin)
    return given


def _parse(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise SettingsError(f"cannot read {str(path)!r}: {reason(error)}") from None
    except ValueError as error:
        raise SettingsError(f"{path}: not a TOML file: {reason(error)}") from None


def _entries(content: Mapping[str, Any], groups: set[str]) -> Iterator[tuple[str, Any]]:
    """Yield (place, value) of flat entries and of those one table down."""
    for name, value in content.items():
        if isinstance(value, dict) and name in groups:
            yield from ((f"{name}.{inner}", deeper) for inner, deeper in value.items())
        else:
            yield name, value


def _texts(row: Row, value: Any, origin: str) -> tuple[str, ...]:
    values = value if isinstance(value, list) and row.repeated else [value]
    if not all(isinstance(one, str | int | float) for one in values):
        raise SettingsError(f"{origin}: expected {row.expected}, not a {type(value).__name__}")
    return tuple(str(one).lower() if isinstance(one, bool) else str(one) for one in values)
