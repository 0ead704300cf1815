"""What the service manager is told, and the sockets it hands over (sd_notify(3), sd_listen_fds(3)).

Each message is one datagram to the socket named by NOTIFY_SOCKET; without it nothing is sent.
"""

from __future__ import annotations

import os
import socket
import time

from twisted.application.service import Service
from twisted.logger import Logger

log = Logger()


def notify(*lines: str) -> bool:
    """Send `lines` (VARIABLE=value) to the service manager; say whether there was one to tell."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if address[:1] not in {"/", "@"}:
        return False
    # A leading @ stands for a name in the abstract namespace, which begins with a zero byte.
    where = "\0" + address[1:] if address.startswith("@") else address
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sender:
            sender.sendto(
                "\n".join(lines).encode(), socket.MSG_DONTWAIT | socket.MSG_NOSIGNAL, where
            )
    except OSError as error:
        log.warn("the service manager could not be told: {error}", error=error.strerror)
        return False
    return True


def notify_ready(status: str = "") -> bool:
    """Say that all ports listen, or do so again after a reload."""
    return notify("READY=1", f"MAINPID={os.getpid()}", *([f"STATUS={status}"] if status else []))


def notify_reloading() -> bool:
    """Say that settings are being read again; `notify_ready` must follow."""
    microseconds = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
    return notify("RELOADING=1", f"MONOTONIC_USEC={microseconds}")


def notify_stopping() -> bool:
    """Say that the service is going down."""
    return notify("STOPPING=1")


class ReadinessService(Service):
    """Tells the service manager of start and stop; to be the last child of the application.

    `startService` of the last child runs when every earlier one has bound its ports.
    """

    def startService(self) -> None:  # noqa: N802
        """Say that the service is ready."""
        super().startService()  # type: ignore[no-untyped-call]
        notify_ready()

    def stopService(self) -> None:  # noqa: N802
        """Say that the service stops."""
        super().stopService()  # type: ignore[no-untyped-call]
        notify_stopping()


def has_sockets() -> bool:
    """Say whether this process was started with sockets handed over (systemd socket activation).

    Twisted takes LISTEN_FDS out of the environment when it has read it, and leaves LISTEN_PID.
    """
    return os.environ.get("LISTEN_PID") == str(os.getpid())
