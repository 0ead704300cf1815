"""Work that would hold the interpreter: done by a process of its own.

A thread helps only where a library lets go of Python's interpreter lock while it computes. That of
SLH-DSA does not, and a signature takes it up to seconds in which nobody would be answered. Such
work goes to a helper process, which is this file run as a program: it takes pickled functions from
its standard input until that ends, as it does when its parent is gone in whatever way.

This module imports no other of ours, so that a helper begins with what it is asked for alone.
"""

import atexit
import contextlib
import ctypes
import os
import pickle
import resource
import struct
import subprocess
import sys
import threading
from collections.abc import Callable
from typing import IO, Any, TypeVar

T = TypeVar("T")

MOST = 2
"""Helpers at a time; whoever comes when all are busy waits in its thread."""

_LENGTH = struct.Struct(">Q")
_PR_SET_DUMPABLE = 4  # prctl(2)


class HelperFailedError(Exception):
    """A helper process ended in the middle of its work, or could not be started."""


class _Helper:
    """One process and its pipes."""

    def __init__(self) -> None:
        path = os.pathsep.join(filter(None, sys.path))
        self._process = subprocess.Popen(  # noqa: S603
            [sys.executable, "-P", __file__],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={"PYTHONPATH": path},  # nothing of ours, which may hold secrets
            start_new_session=True,  # Ctrl-C is for the parent, which finishes what is under way
        )

    def ask(self, request: bytes) -> bytes:
        """Send a request and wait for the answer. Raises: OSError, EOFError."""
        stdin, stdout = self._process.stdin, self._process.stdout
        assert stdin is not None  # noqa: S101 - both are pipes
        assert stdout is not None  # noqa: S101
        _write(stdin, request)
        return _read(stdout)

    def close(self) -> None:
        """End the process."""
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                with contextlib.suppress(OSError):
                    pipe.close()
        self._process.kill()
        self._process.wait()


class Processes:
    """A few helpers, started when they are first needed, and again when one has gone."""

    def __init__(self, most: int = MOST) -> None:
        """Have `most` helpers at a time; none yet."""
        self._room = threading.BoundedSemaphore(most)
        self._idle: list[_Helper] = []

    def run(self, function: Callable[..., T], *args: Any) -> T:
        """Return `function(*args)`, called in a helper; blocks, so it belongs into a thread.

        Raises:
            HelperFailedError: the helper ended twice without an answer.
            Exception: what `function` raised.
        """
        request = pickle.dumps((function, args))
        with self._room:
            answer = self._answer(request)
        succeeded, result = pickle.loads(answer)  # noqa: S301 - of our own child
        if not succeeded:
            raise _rebuilt(*result)
        done: T = result
        return done

    def _answer(self, request: bytes) -> bytes:
        for _ in range(2):  # an idle helper may have been killed since it was last used
            helper = self._helper()
            try:
                answer = helper.ask(request)
            except (OSError, EOFError):
                helper.close()
            else:
                self._idle.append(helper)
                return answer
        raise HelperFailedError("a helper process ended without an answer")

    def _helper(self) -> _Helper:
        try:
            return self._idle.pop()
        except IndexError:
            pass
        try:
            return _Helper()
        except OSError as error:
            raise HelperFailedError(f"no helper process can be started: {error}") from None

    def close(self) -> None:
        """End the helpers that are idle."""
        while self._idle:
            self._idle.pop().close()


PROCESSES = Processes()
"""The helpers of this process."""
atexit.register(PROCESSES.close)


def _write(pipe: IO[bytes], message: bytes) -> None:
    pipe.write(_LENGTH.pack(len(message)))
    pipe.write(message)
    pipe.flush()


def _read(pipe: IO[bytes]) -> bytes:
    """Read a message. Raises: EOFError."""
    header = pipe.read(_LENGTH.size)
    if len(header) < _LENGTH.size:
        raise EOFError
    size: int = _LENGTH.unpack(header)[0]
    message = pipe.read(size)
    if len(message) < size:
        raise EOFError
    return message


def serve(requests: IO[bytes], answers: IO[bytes]) -> None:
    """Carry out requests until there are no more."""
    while True:
        try:
            request = _read(requests)
        except EOFError:
            return
        _write(answers, _carried_out(request))


def _carried_out(request: bytes) -> bytes:
    try:
        function, args = pickle.loads(request)  # noqa: S301 - of our own parent
        return pickle.dumps((True, function(*args)))
    except Exception as error:  # noqa: BLE001 - whatever it was, it is the parent's to handle
        return pickle.dumps((False, (type(error), error.args, vars(error))))


def _rebuilt(kind: type[Exception], args: tuple[Any, ...], fields: dict[str, Any]) -> Exception:
    """Return an error as it was, also one whose constructor takes something else than its text."""
    error = kind.__new__(kind, *args)
    vars(error).update(fields)
    return error


def _keep_memory_private() -> None:
    """Make no core dump, and let no other process of the same user read the keys in this one."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    prctl = getattr(ctypes.CDLL(None), "prctl", None)
    if prctl is not None:
        prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)


if __name__ == "__main__":
    _keep_memory_private()
    serve(sys.stdin.buffer, sys.stdout.buffer)
