"""Options that several commands share, and how their values are read."""

from __future__ import annotations

import base64
import binascii
import getpass
import json
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import click

from kmsd.kmip.enums import CryptographicUsageMask, Enumeration

F = TypeVar("F", bound=Callable[..., Any])


class Secret(click.ParamType[str]):
    """A secret: `-` asks for it, `env:NAME` and `file:PATH` say where it is, `pass:…` is literal.

    Anything else is the secret itself, which others can then see in the list of processes.
    """

    name = "secret"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Fetch the secret."""
        if value == "-":
            return self._asked(param)
        kind, colon, rest = str(value).partition(":")
        if colon and kind == "env":
            if rest not in os.environ:
                self.fail(f"there is no environment variable {rest}", param, ctx)
            return os.environ[rest]
        if colon and kind == "file":
            try:
                return Path(rest).read_text().rstrip("\r\n")
            except (OSError, UnicodeDecodeError) as error:
                self.fail(f"{rest} cannot be read: {error}", param, ctx)
        return rest if colon and kind == "pass" else str(value)

    def _asked(self, param: click.Parameter | None) -> str:
        label = (param.human_readable_name if param else "secret").replace("_", " ")
        if sys.stdin.isatty():
            return getpass.getpass(f"{label}: ")
        return sys.stdin.readline().rstrip("\r\n")


SECRET = Secret()
SECRET_HELP = "`-` asks; env:NAME, file:PATH or pass:TEXT."  # noqa: S105 (a help text)


class Hexadecimal(click.ParamType[bytes]):
    """Bytes, written in hexadecimal."""

    name = "hex"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> bytes:
        """Read the digits."""
        if isinstance(value, bytes):
            return value
        try:
            return bytes.fromhex(value)
        except ValueError:
            self.fail("it is not hexadecimal", param, ctx)


HEX = Hexadecimal()


class Folded(click.ParamType[Enumeration]):
    """A name of a KMIP enumeration, in whatever capitals and with whatever dashes."""

    def __init__(self, enumeration: type[Enumeration]) -> None:
        """Take the names of `enumeration`."""
        self.enumeration = enumeration
        self.name = enumeration.__name__

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> Enumeration:
        """Find the member."""
        if isinstance(value, self.enumeration):
            return value
        try:
            return self.enumeration.of(value)
        except ValueError:
            known = ", ".join(sorted(each.wire_name for each in self.enumeration))
            self.fail(f"{value!r} is none of {known}", param, ctx)

    def shell_complete(
        self, _ctx: click.Context, _param: click.Parameter, incomplete: str
    ) -> list[Any]:
        """Complete the names."""
        from click.shell_completion import CompletionItem

        return [
            CompletionItem(each.wire_name)
            for each in self.enumeration
            if each.wire_name.lower().startswith(incomplete.lower())
        ]


def usage_mask(names: Sequence[str]) -> CryptographicUsageMask | None:
    """Return the mask of the uses that are named; None if none is. Raises: click.UsageError."""
    known = {str(each.name).replace("_", "").lower(): each for each in CryptographicUsageMask}
    mask = CryptographicUsageMask(0)
    for name in names:
        bit = known.get(name.replace("-", "").replace("_", "").lower())
        if bit is None:
            possible = ", ".join(str(each.name).lower() for each in CryptographicUsageMask)
            raise click.UsageError(f"{name!r} is no use of a key; possible are {possible}")
        mask |= bit
    return mask if names else None


def decoded_base64(text: str) -> bytes:
    """Read base64. Raises: click.UsageError."""
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise click.UsageError("the key is not base64") from None


# Who is meant

key_id = click.option("-k", "--key-id", metavar="ID", help="The key's unique identifier.")
tags = click.option(
    "-t", "--tag", "tags", multiple=True, metavar="TAG", help="The key by its tags; repeat it."
)
new_tags = click.option(
    "-t", "--tag", "tags", multiple=True, metavar="TAG", help="A tag to find it by; repeat it."
)


def by_key(function: F) -> F:
    """Give a command `-k/--key-id` and `-t/--tag`, for `identified`."""
    return key_id(tags(function))


def identified(identifier: str | None, tags: Sequence[str], what: str = "--key-id") -> str:
    """Return what names the object to the server: an identifier, or tags as a JSON list.

    Raises:
        click.UsageError: neither is given, or both are.
    """
    if identifier and tags:
        raise click.UsageError(f"name the object by {what} or by --tag, not by both")
    if identifier:
        return identifier
    if not tags:
        raise click.UsageError(f"say which object: {what} ID, or one or more --tag TAG")
    return json.dumps(list(tags), separators=(",", ":"), ensure_ascii=False)


# Files

output_file = click.option(
    "-o", "--output-file", metavar="FILE", help="Where to write; `-` is standard output."
)
FILE = click.Path(dir_okay=False, allow_dash=True)


def authenticated(function: F) -> F:
    """Give a command `-a/--authentication-data`."""
    option = click.option(
        "-a",
        "--authentication-data",
        metavar="DATA",
        help="Data that is authenticated, not encrypted; the same is needed to decrypt.",
    )
    return option(function)
