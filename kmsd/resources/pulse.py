"""Whether the database answers, asked once for all who want to know at the same time.

GET /health is open to everybody: a flood of it must not become a flood of queries.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import Deferred, ensureDeferred
from twisted.logger import Logger

PROBE_SECONDS = 5
"""A database that needs longer than this for one small query is as good as down."""

FRESH_SECONDS = 1
"""How long an answer is repeated without asking again."""

TROUBLE = "the database does not answer"
"""All that strangers learn; the log has the reason."""

CLOCK: Any = reactor

_log = Logger("kmsd.http")


class Pulse:
    """Remembers the last answer, and who waits for the next one."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        """Start without an answer; `monotonic` gives seconds."""
        self._monotonic = monotonic
        self._fresh_until = 0.0
        self._trouble: str | None = None
        self._waiting: list[Deferred[str | None]] | None = None

    async def trouble(self, probe: Callable[[], Coroutine[Any, Any, object]]) -> str | None:
        """Return what is wrong with the database that `probe` asks for a sign of life, or None."""
        if self._waiting is not None:
            waiting: Deferred[str | None] = Deferred()
            self._waiting.append(waiting)
            return await waiting
        if self._monotonic() >= self._fresh_until:
            self._waiting = []
            self._trouble = await _asked(probe)
            self._fresh_until = self._monotonic() + FRESH_SECONDS
            told, self._waiting = self._waiting, None
            for waiting in told:
                waiting.callback(self._trouble)
        return self._trouble


async def _asked(probe: Callable[[], Coroutine[Any, Any, object]]) -> str | None:
    asking: Awaitable[object] = ensureDeferred(probe()).addTimeout(PROBE_SECONDS, CLOCK)
    try:
        await asking
    except Exception as error:  # noqa: BLE001 (whatever it is, the database did not answer)
        _log.warn("the database does not answer: {error!r}", error=error)
        return TROUBLE
    return None
