"""Files, in and out: nothing half written, and nothing secret for others to read.

`-` is standard input or output. An output appears under its name only when it is whole.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import sys
import tempfile
from pathlib import Path
from typing import BinaryIO, Self

from kmsd.cli.errors import CommandFailed

STANDARD = "-"
_unfinished: set[str] = set()


@atexit.register
def _tidy() -> None:
    """Remove what an interrupted command has left."""
    for name in _unfinished:
        with contextlib.suppress(OSError):
            Path(name).unlink()


def read(name: str) -> bytes:
    """Return the bytes of a file, or of standard input.

    Raises:
        CommandFailed: it cannot be read.
    """
    try:
        return sys.stdin.buffer.read() if name == STANDARD else Path(name).read_bytes()
    except OSError as error:
        raise _cannot("read", name, error) from None


def inside(name: str) -> list[str] | None:
    """Return the files in a folder; None if `name` is none."""
    folder = Path(name)
    if name == STANDARD or not folder.is_dir():
        return None
    return sorted(str(path) for path in folder.iterdir() if path.is_file())


def length(name: str) -> int:
    """Return how many bytes a file has; 0 of what has no size. Raises: CommandFailed."""
    try:
        return 0 if name == STANDARD else Path(name).stat().st_size
    except OSError as error:
        raise _cannot("read", name, error) from None


def make_folder(name: str) -> None:
    """Make a folder, unless it is there. Raises: CommandFailed."""
    try:
        Path(name).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise _cannot("make", name, error) from None


def opened(name: str) -> BinaryIO:
    """Open a file, or standard input, for reading. Raises: CommandFailed."""
    try:
        return sys.stdin.buffer if name == STANDARD else Path(name).open("rb")
    except OSError as error:
        raise _cannot("read", name, error) from None


def size(file: BinaryIO) -> int | None:
    """Return how many bytes a file has, None of one that cannot say."""
    with contextlib.suppress(OSError, ValueError):
        at = file.tell()
        end = file.seek(0, os.SEEK_END)
        file.seek(at)
        return end - at
    return None


def write(name: str, data: bytes, *, secret: bool) -> None:
    """Write a file; a secret one is for its owner only (0600). Raises: CommandFailed."""
    with Output(name, secret=secret) as output:
        output.write(data)


class Output:
    """A file that is written piece by piece and is there only when all went well."""

    def __init__(self, name: str, *, secret: bool) -> None:
        """Begin to write `name`; a `secret` file is readable by its owner only."""
        self._name = name
        self._secret = secret
        self._temporary: str | None = None
        self._file: BinaryIO = sys.stdout.buffer

    def __enter__(self) -> Self:
        target = Path(self._name)
        try:
            if self._name == STANDARD:
                pass
            elif target.exists() and not target.is_file():  # a pipe, /dev/stdout
                self._file = target.open("wb")
            else:
                folder = target.resolve().parent
                number, self._temporary = tempfile.mkstemp(prefix=".ckms-", dir=folder)
                _unfinished.add(self._temporary)
                self._file = os.fdopen(number, "wb")
        except OSError as error:
            raise _cannot("write", self._name, error) from None
        return self

    def write(self, data: bytes) -> None:
        """Write a piece. Raises: CommandFailed."""
        try:
            self._file.write(data)
        except OSError as error:
            raise _cannot("write", self._name, error) from None

    def __exit__(self, kind: type[BaseException] | None, *_rest: object) -> None:
        try:
            self._finish(whole=kind is None)
        except OSError as error:
            raise _cannot("write", self._name, error) from None

    def _finish(self, *, whole: bool) -> None:
        if self._name == STANDARD:
            self._file.flush()
            return
        self._file.close()
        if self._temporary is None:
            return
        if whole:
            if not self._secret:
                Path(self._temporary).chmod(0o666 & ~_umask())
            Path(self._temporary).replace(Path(self._name).resolve())
        else:
            Path(self._temporary).unlink()
        _unfinished.discard(self._temporary)


def _umask() -> int:
    mask = os.umask(0o077)
    os.umask(mask)
    return mask


def beside(name: str, extension: str) -> str:
    """Return the name of an output where none is given: the input's, with another extension."""
    if name == STANDARD:
        return STANDARD
    return str(Path(name).with_suffix(f".{extension}"))


def _cannot(do: str, name: str, error: OSError) -> CommandFailed:
    return CommandFailed(f"cannot {do} {name}: {(error.strerror or str(error)).lower()}")
