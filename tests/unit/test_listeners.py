"""Listening: endpoint strings, failures, and which ports other machines reach."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Any

import pytest
import pytest_twisted
from twisted.internet import reactor
from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.protocol import Factory
from twisted.internet.task import deferLater

from kmsd import listeners


@pytest.mark.parametrize(
    ("hostname", "url", "exposed"),
    [
        ("127.0.0.1", "http://127.0.0.1:{}", False),
        ("::1", "http://[::1]:{}", False),
        ("localhost", "http://127.0.0.1:{}", False),
        ("0.0.0.0", "http://0.0.0.0:{}", True),
        ("::", "http://[::]:{}", True),
    ],
)
@pytest_twisted.ensureDeferred  # type: ignore[untyped-decorator]
async def test_a_host_name_becomes_a_port(hostname: str, url: str, exposed: bool) -> None:  # noqa: FBT001
    (port,) = listeners.listen(reactor, [listeners.tcp(hostname, 0)], Factory())
    try:
        address: Any = port.getHost()
        assert listeners.url(port) == url.format(address.port)
        assert listeners.beyond_loopback(port) == exposed
    finally:
        await maybeDeferred(port.stopListening)


@pytest_twisted.ensureDeferred  # type: ignore[untyped-decorator]
async def test_a_unix_socket_is_not_reached_by_other_machines(tmp_path: Path) -> None:
    (port,) = listeners.listen(reactor, [f"unix:{tmp_path / 'socket'}"], Factory())
    try:
        assert not listeners.beyond_loopback(port)
        assert str(tmp_path / "socket") in listeners.url(port)
    finally:
        await maybeDeferred(port.stopListening)


@pytest_twisted.ensureDeferred  # type: ignore[untyped-decorator]
async def test_when_one_port_fails_none_stays_open() -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as taken,
        socket.create_server(("127.0.0.1", 0)) as s,
    ):
        free = s.getsockname()[1]
        s.close()
        wanted = [listeners.tcp("127.0.0.1", free)]
        wanted += [listeners.tcp("127.0.0.1", taken.getsockname()[1])]
        with pytest.raises(listeners.CannotListen, match="address already in use"):
            listeners.listen(reactor, wanted, Factory())
        await deferLater(reactor, 0)  # a port is closed in the reactor's next turn
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", free), timeout=5).close()


def test_an_endpoint_that_does_not_listen_at_once_is_refused() -> None:
    """The start must know whether it failed before it reports success."""
    with pytest.raises(ValueError, match="does not listen at once"):
        listeners._result(Deferred())
