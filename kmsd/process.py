"""What the operating system is asked for: no core dumps, other users' privileges, a clean stop."""

from __future__ import annotations

import ctypes
import os
import pwd
import resource
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from twisted.internet.error import ReactorNotRunning
from twisted.logger import Logger

log = Logger()

_PR_SET_DUMPABLE = 4  # prctl(2)


def keep_memory_private() -> None:
    """Make no core dump, and let no other process of the same user read this one's memory."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    prctl = getattr(ctypes.CDLL(None), "prctl", None)
    if prctl is None or prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0) != 0:
        log.warn("memory can be read by this user's other programs: prctl is not available")


@contextmanager
def acting_as(uid: int | None, gid: int | None) -> Iterator[None]:
    """Make files as the user to whom twistd will switch (--uid, --gid) when all is prepared."""
    before = os.geteuid(), os.getegid()
    if gid is None and uid is not None:
        gid = pwd.getpwuid(uid).pw_gid
    try:
        if gid is not None:
            os.setegid(gid)
        if uid is not None:
            os.seteuid(uid)
        yield
    finally:
        os.seteuid(before[0])
        os.setegid(before[1])


def stop_on_sigterm(reactor: Any) -> None:
    """Let SIGTERM end the process with status 0; with the reactor's handler twistd dies of it."""

    def stop() -> None:
        try:
            reactor.stop()
        except ReactorNotRunning:
            log.info("already stopping")

    def install() -> None:
        signal.signal(signal.SIGTERM, lambda *_: reactor.callFromThread(stop))

    install()
    reactor.callWhenRunning(install)  # once more, as the reactor puts its own in place when it runs
