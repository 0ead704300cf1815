"""SIGHUP: what is to be read again when the process is told so."""

from __future__ import annotations

import signal
from collections.abc import Awaitable, Callable
from types import FrameType

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorFromThreads
from twisted.logger import Logger

from kmsd import systemd

log = Logger()

Reload = Callable[[], Awaitable[None]]


class Hangup:
    """The actions of this process on SIGHUP; without any, the signal keeps its old meaning."""

    def __init__(self) -> None:
        self._actions: list[Reload] = []
        self._before: signal._HANDLER = signal.SIG_DFL
        self._running = False
        self._again = False

    def add(self, reactor: IReactorFromThreads, action: Reload) -> None:
        """Run `action` at each SIGHUP; to be called from the main thread."""
        if not self._actions:

            def received(_number: int, _frame: FrameType | None) -> None:
                reactor.callFromThread(self.trigger)

            self._before = signal.signal(signal.SIGHUP, received)
        self._actions.append(action)

    def remove(self, action: Reload) -> None:
        """Forget `action`; the last one to go gives the signal back."""
        self._actions.remove(action)
        if not self._actions:
            signal.signal(signal.SIGHUP, self._before)

    def trigger(self) -> None:
        """Run all actions now; a signal that comes meanwhile runs them once more."""
        if self._running:
            self._again = True
            return
        self._running = True
        Deferred.fromCoroutine(self._run())

    async def _run(self) -> None:
        systemd.notify_reloading()
        try:
            while True:
                self._again = False
                for action in tuple(self._actions):
                    await self._one(action)
                if not self._again:
                    break
        finally:
            self._running = False
            systemd.notify_ready()

    async def _one(self, action: Reload) -> None:
        try:
            await action()
        except Exception:  # noqa: BLE001 - one action's bug must not keep the others from running
            log.failure("reload failed")


# A process has one SIGHUP.
HANGUP = Hangup()
