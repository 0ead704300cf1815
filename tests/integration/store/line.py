"""A line to a database that a test can cut: at a word, in both directions, or for good."""

import contextlib
import select
import socket
import threading
from collections.abc import Callable
from typing import Self


class Line:
    """A listener on loopback that passes bytes on to `port`.

    `cut_after(word)`: the next packet to the server with `word` in it is passed on, and then the
    connection is reset. `cut_before(word)`: it is not passed on. `dead` stops passing anything on
    while connections stay open, `refusing` resets new ones.
    """

    def __init__(self, port: int) -> None:
        self._target = port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._word = b""
        self._pass_on = False
        self.cuts = 0
        self.dead = False
        self.refusing = False
        self.before_cut: Callable[[], None] = lambda: None
        threading.Thread(target=self._accept, daemon=True).start()

    def cut_after(self, word: bytes) -> None:
        self._word, self._pass_on = word, True

    def cut_before(self, word: bytes) -> None:
        self._word, self._pass_on = word, False

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                if self.refusing:
                    client.close()
                    continue
                server = socket.create_connection(("127.0.0.1", self._target))
                threading.Thread(target=self._carry, args=(client, server), daemon=True).start()

    def _carry(self, client: socket.socket, server: socket.socket) -> None:
        with client, server, contextlib.suppress(OSError):
            while not self.refusing:
                ready, _, _ = select.select([client, server], [], [], 0.05)
                for end in ready:
                    if self.dead:
                        continue
                    data = end.recv(65536)
                    if not data or not self._pass(data, end, client, server):
                        return
                if self.dead:
                    threading.Event().wait(0.05)

    def _pass(
        self, data: bytes, origin: socket.socket, client: socket.socket, server: socket.socket
    ) -> bool:
        """Pass on what `origin` sent; tell whether the connection is to stay."""
        upwards = origin is client
        hit = upwards and self._word and self._word in data
        if not hit or self._pass_on:
            (server if upwards else client).sendall(data)
        if hit:
            self._word = b""
            self.cuts += 1
            if self._pass_on:  # let the server finish what it was told
                select.select([server], [], [], 2.0)
            self.before_cut()
            return False
        return True

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.refusing = True
        self._listener.close()
