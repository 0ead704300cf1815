"""How one table of options becomes flags, variables, a TOML file and defaults.

A table is a frozen dataclass whose fields are declared with `option`. Each value comes from the
first source that names it: command line, environment, file, default. Each option is decided on its
own, so a file never switches a flag off.
"""

from __future__ import annotations

import difflib
import types
import typing
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, fields
from enum import Enum
from pathlib import Path
from typing import Any, Generic, TypeVar

from twisted.python.usage import UsageError

T = TypeVar("T")

_YES = {"true": True, "1": True, "yes": True, "on": True}
_NO = {"false": False, "0": False, "no": False, "off": False}


class SettingsError(UsageError):
    """An option, variable or file entry cannot be used; the text is one line for the operator."""


@dataclass(frozen=True, kw_only=True)
class Row:
    """One option: how it is spelled in every source and what its text means."""

    name: str
    kind: type
    default: Any
    about: str
    group: str
    repeated: bool
    aliases: tuple[str, ...] = ()
    variables: tuple[str, ...] = ()
    short: str = ""
    secret: bool = False
    hidden: bool = False
    flag_only: bool = False
    in_file: bool = True
    separator: str = ","
    low: float | None = None
    high: float | None = None

    @property
    def flags(self) -> tuple[str, ...]:
        """Spellings on the command line, the principal one first."""
        long = tuple("--" + name.replace("_", "-") for name in (self.name, *self.aliases))
        return (*long, "-" + self.short) if self.short else long

    @property
    def environment(self) -> tuple[str, ...]:
        """Names of its variables, the principal one first."""
        if self.flag_only:
            return ()
        return (*("KMS_" + name.upper() for name in (self.name, *self.aliases)), *self.variables)

    @property
    def choices(self) -> tuple[str, ...]:
        """The possible values when there is a closed list of them."""
        return tuple(m.value for m in self.kind) if issubclass(self.kind, Enum) else ()

    @property
    def expected(self) -> str:
        """What a value must be, to end the sentence "… is not"."""
        if self.choices:
            return "one of " + ", ".join(self.choices)
        noun = _NOUNS.get(self.kind, "a text")
        if self.low is not None and self.high is not None:
            return f"{noun} from {self.low:g} to {self.high:g}"
        return noun if self.low is None else f"{noun}, at least {self.low:g}"

    def read(self, texts: Iterable[str]) -> object:
        """Turn the words of one source into the option's value; raise ValueError."""
        if not self.repeated:
            (text,) = texts
            return self._read_one(text)
        words = (word.strip() for text in texts for word in self._split(text))
        return tuple(self._read_one(word) for word in words if word)

    def _split(self, text: str) -> list[str]:
        return text.split(self.separator or None)

    def _read_one(self, text: str) -> object:
        value = _READERS.get(self.kind, self.kind)(text)
        if (self.low is not None and value < self.low) or (
            self.high is not None and value > self.high
        ):
            raise ValueError(text)
        return value


def _boolean(text: str) -> bool:
    try:
        return (_YES | _NO)[text.lower()]
    except KeyError:
        raise ValueError(text) from None


def _finite(text: str) -> float:
    value = float(text)
    if not abs(value) < float("inf"):
        raise ValueError(text)
    return value


def _path(text: str) -> Path:
    if not text or "\0" in text:
        raise ValueError(text)
    return Path(text).expanduser()


_READERS: dict[type, Callable[[str], Any]] = {bool: _boolean, float: _finite, Path: _path}
_NOUNS = {bool: "true or false", int: "a whole number", float: "a number", Path: "a path"}


def option(
    default: T,
    about: str,
    *,
    group: str,
    aliases: tuple[str, ...] = (),
    variables: tuple[str, ...] = (),
    secret: bool = False,
    **more: Any,
) -> T:
    """Declare an option as a field of the table.

    Args:
        default: its value when no source names it.
        about: one sentence for --help, the sample file and the documentation.
        group: the table of the TOML file, and the heading of the help.
        aliases: further names in snake_case: flag, variable and file entry follow from each.
        variables: further names of variables, in full.
        secret: never shown; can also be read from the file named by KMS_<NAME>_FILE.
        more: short (one letter), hidden, flag_only, in_file, low, high, and for a repeated option
            separator ("" is white space).
    """
    row = {"about": about, "group": group, "aliases": aliases, "variables": variables, **more}
    metadata = {"secret": secret, **row}
    # To the type checker this is the default itself; dataclass turns it into an attribute.
    declared: T = field(default=default, repr=not secret, metadata=metadata)
    return declared


def table(cls: type) -> tuple[Row, ...]:
    """Return the rows of a table, in the order of its fields."""
    hints = typing.get_type_hints(cls)
    return tuple(
        Row(name=f.name, default=f.default, **_shape(hints[f.name]), **f.metadata)
        for f in fields(cls)
    )


def file_rows(cls: type) -> tuple[Row, ...]:
    """Return the rows that can stand in a file: all but commands and the file's own name."""
    return tuple(row for row in table(cls) if row.in_file and not row.flag_only)


def _shape(hint: Any) -> dict[str, Any]:
    if isinstance(hint, types.UnionType):  # X | None
        hint = next(part for part in typing.get_args(hint) if part is not types.NoneType)
    if typing.get_origin(hint) is tuple:
        return {"kind": typing.get_args(hint)[0], "repeated": True}
    return {"kind": hint, "repeated": False}


@dataclass(frozen=True)
class Given:
    """What one source says about one option."""

    texts: tuple[str, ...]
    origin: str


@dataclass(frozen=True)
class Configuration(Generic[T]):
    """A filled table, with where each value came from and what the operator should be told."""

    settings: T
    origins: Mapping[str, str]
    notices: tuple[str, ...]


def fill(cls: type[T], *sources: Mapping[str, Given]) -> Configuration[T]:
    """Build the table from its sources, the strongest first; raise SettingsError."""
    values: dict[str, object] = {}
    origins: dict[str, str] = {}
    for row in table(cls):
        given = next((source[row.name] for source in sources if row.name in source), None)
        origins[row.name] = given.origin if given else "default"
        if given:
            values[row.name] = _value(row, given)
    return Configuration(cls(**values), origins, ())


def _value(row: Row, given: Given) -> object:
    try:
        return row.read(given.texts)
    except (ValueError, RuntimeError):  # expanduser raises RuntimeError for an unknown ~user
        shown = "the value" if row.secret else repr(row.separator.join(given.texts))
        raise SettingsError(f"{given.origin}: {shown} is not {row.expected}") from None


def nearest(name: str, known: Iterable[str]) -> str:
    """Return '; did you mean …?' for the most similar known name, or nothing."""
    found = difflib.get_close_matches(name, list(known), 1, 0.6)
    return f"; did you mean {found[0]}?" if found else ""


def from_arguments(cls: type, arguments: Iterable[str]) -> dict[str, Given]:
    """Read a command line; raise SettingsError for what is no option of the table."""
    rows = {flag: row for row in table(cls) for flag in row.flags}
    given: dict[str, Given] = {}
    for flag, text in _pairs(rows, iter(arguments)):
        row = rows[flag]
        before = given.get(row.name, Given((), flag))
        if before.texts and not row.repeated:
            raise SettingsError(f"{flag}: given twice; keep one")
        given[row.name] = Given((*before.texts, text), flag)
    return given


def _pairs(rows: Mapping[str, Row], words: Iterator[str]) -> Iterator[tuple[str, str]]:
    for word in words:
        flag, equals, text = word.partition("=")
        if flag not in rows:
            raise SettingsError(_unknown(flag, rows))
        if equals:
            yield flag, text
        elif rows[flag].kind is bool:
            yield flag, "true"
        else:
            following = next(words, None)
            if following is None or following.startswith("--"):
                raise SettingsError(f"{flag}: needs a value: {rows[flag].expected}")
            yield flag, following


def _unknown(flag: str, known: Iterable[str]) -> str:
    if flag.startswith("-"):
        return f"{flag}: no such option{nearest(flag, known)} (--help lists them)"
    return f"unexpected argument {flag!r}: options start with -- (--help lists them)"


def from_environment(cls: type, environ: Mapping[str, str]) -> dict[str, Given]:
    """Read the variables; an empty one counts as absent. Raise SettingsError."""
    found = ((row, _from_variables(row, environ)) for row in table(cls))
    return {row.name: given for row, given in found if given}


def _from_variables(row: Row, environ: Mapping[str, str]) -> Given | None:
    names = [*row.environment, *(name + "_FILE" for name in row.environment if row.secret)]
    present = [name for name in names if environ.get(name)]
    if not present:
        return None
    if len({environ[name] for name in present}) > 1:
        raise SettingsError(f"{' and '.join(present)}: both set, and they differ; unset one")
    name, text = present[0], environ[present[0]]
    if row.secret and name not in row.environment:
        text = _secret_file(name, Path(text))
    return Given((text,), name)


def _secret_file(variable: str, path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8").removesuffix("\n").removesuffix("\r")
    except (OSError, ValueError) as error:
        raise SettingsError(f"{variable}: cannot read {str(path)!r}: {reason(error)}") from None


def misspelt(cls: type, environ: Mapping[str, str]) -> tuple[str, ...]:
    """Return a notice for each KMS_… variable that resembles one of the table but is none."""
    known = {name for row in table(cls) for name in row.environment}
    known |= {name + "_FILE" for row in table(cls) if row.secret for name in row.environment}
    strange = (name for name in environ if name.startswith("KMS_") and name not in known)
    alike = ((name, difflib.get_close_matches(name, known, 1, 0.85)) for name in strange)
    return tuple(
        f"variable {name} is not used; did you mean {near[0]}?" for name, near in alike if near
    )


def reason(error: Exception) -> str:
    """Return the short, lower-case cause of an OSError or decoding error."""
    text = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return text[:1].lower() + text[1:]
