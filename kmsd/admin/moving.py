"""Migrate, back up and restore: one copy each, told in lines of progress."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

from kmsd.admin.places import Access, Place, backup_file
from kmsd.store.copying import Copied, copy
from kmsd.store.interfaces import StoreRefused

Say = Callable[[str], None]

_EVERY_SECONDS = 1.0


class Progress:
    """Tells how far a copy is, about once a second."""

    def __init__(self, say: Say, seconds: Callable[[], float] = time.monotonic) -> None:
        self._say = say
        self._seconds = seconds
        self._told = seconds()

    def __call__(self, phase: str, done: int, total: int) -> None:
        """Note that `done` of `total` objects are copied, or verified."""
        now = self._seconds()
        if done == total or now - self._told >= _EVERY_SECONDS:
            self._told = now
            self._say(f"{phase} {done} of {total} objects ({100 * done // max(total, 1)} %)")


def move(origin: Place, target: Place, say: Say, *, merge: bool = False) -> Copied:
    """Copy `origin` into `target`, or go on with an interrupted copy. Raises: StoreError."""
    if origin.name == target.name:
        raise StoreRefused("source and target are the same database")
    say(f"copying {origin.name} to {target.name}")
    target.make_ready()
    done = copy(origin.source, target.source, name=origin.name, merge=merge, progress=Progress(say))
    say(f"done: {done.objects} objects, {done.written} of them written now, all compared")
    return done


def back_up(origin: Place, file: Path, access: Access, say: Say) -> Copied:
    """Write a consistent copy of a database, in use or not, to a new file. Raises: StoreError."""
    if file.exists():
        raise StoreRefused(f"{file} exists already: a backup is never written over another")
    unfinished = file.with_name(f"{file.name}.unfinished")
    _remove(unfinished)
    try:
        target = backup_file(unfinished, origin, access)
        done = move(origin, target, say)
        connection = target.source.connect()
        connection.execute("PRAGMA journal_mode = DELETE")  # one file, nothing beside it
        connection.close()
        unfinished.rename(file)
        _synchronise(file)
    finally:
        _remove(unfinished)
    say(f"backed up to {file}")
    return done


def _synchronise(file: Path) -> None:
    """Have a file, and its name in its folder, on disk."""
    for path in (file, file.absolute().parent):
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _remove(file: Path) -> None:
    for suffix in ("", "-wal", "-shm", "-journal"):
        file.with_name(file.name + suffix).unlink(missing_ok=True)
