"""What other servers on the same PostgreSQL change, as they announce it (LISTEN and NOTIFY).

It makes their changes bite here at once; the caches' lifetime is what can be relied on.
"""

import contextlib
import os
import select
import threading
from collections.abc import Callable, Iterable
from typing import Any

import msgspec

from kmsd.store.pool import Reactor

Forget = Callable[[Iterable[str] | None], None]

_QUIET_SECONDS = 15.0
_PAUSE_SECONDS = 1.0


class Announcements:
    """A thread that listens, and calls `forget` in the reactor's thread.

    `forget(None)` is called whenever something may have been missed.
    """

    def __init__(self, reactor: Reactor, connect: Callable[[], Any], forget: Forget) -> None:
        self._reactor = reactor
        self._connect = connect
        self._forget = forget
        self._wake, self._alarm = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        self._thread: threading.Thread | None = None
        self._stopped = False

    def start(self) -> None:
        """Begin to listen, once, and not after `stop`; never blocks."""
        if self._thread is None and not self._stopped:
            self._thread = threading.Thread(target=self._run, name="kmsd-listen", daemon=True)
            self._thread.start()

    def stop(self) -> None:
        """Stop listening; never blocks."""
        self._stopped = True
        os.close(self._alarm)
        if self._thread is None:
            os.close(self._wake)

    def _run(self) -> None:
        self._listen_on()
        os.close(self._wake)

    def _listen_on(self) -> None:
        while not self._stopping(0.0):
            try:
                connection = self._connect()
            except Exception:  # noqa: BLE001 (whatever it is, it may pass)
                if self._stopping(_PAUSE_SECONDS):
                    return
                continue
            with contextlib.suppress(Exception), contextlib.closing(connection):
                self._listen(connection)
            self._tell(None)

    def _listen(self, connection: Any) -> None:
        """Pass on announcements until the connection breaks or `stop` is called."""
        cursor = connection.cursor()
        cursor.execute("LISTEN kmsd")
        self._tell(None)
        while True:
            ready, _, _ = select.select([connection, self._wake], [], [], _QUIET_SECONDS)
            if self._wake in ready:
                return
            if not ready:  # a line that fell silent shows here
                cursor.execute("SELECT 1")
            connection.poll()
            while connection.notifies:
                self._tell(_names(connection.notifies.pop(0).payload))

    def _stopping(self, seconds: float) -> bool:
        return bool(select.select([self._wake], [], [], seconds)[0])

    def _tell(self, names: list[str] | None) -> None:
        self._reactor.callFromThread(self._forget, names)


def _names(payload: str) -> list[str] | None:
    """Read which objects changed; None when they were too many to be named."""
    with contextlib.suppress(msgspec.DecodeError, msgspec.ValidationError):
        return msgspec.json.decode(payload, type=list[str])
    return None
