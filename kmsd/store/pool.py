"""Threads and lanes: how work gets to a database without blocking the reactor, and back.

A lane is a queue in front of one session. Whatever has gathered in it when a thread comes round is
carried out together: the point reads as one SELECT, the writes as one transaction. A lone piece of
work waits for nobody.
"""

import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from queue import SimpleQueue
from typing import Any, Generic, Protocol, TypeVar

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall
from twisted.logger import Logger

from kmsd.store.interfaces import StoreDamaged, StoreError, StoreUnavailable
from kmsd.store.session import Session, Unit, Work

T = TypeVar("T")

_LARGEST_GROUP = 256
_LONGEST_QUEUE = 10_000
_SWEEP_SECONDS = 1.0


class Reactor(Protocol):
    """What a lane needs of the reactor."""

    def callFromThread(  # noqa: N802 (Twisted's name)
        self, function: Callable[..., Any], /, *args: Any, **kwargs: Any
    ) -> None:
        """Run a function in the reactor's thread."""

    def callLater(  # noqa: N802 (Twisted's name)
        self, delay: float, function: Callable[..., Any], /, *args: Any, **kwargs: Any
    ) -> IDelayedCall:
        """Run a function later."""

    def callWhenRunning(  # noqa: N802 (Twisted's name)
        self, function: Callable[..., Any], /, *args: Any, **kwargs: Any
    ) -> Any:
        """Run a function when the reactor runs."""

    def seconds(self) -> float:
        """Return the time."""


class Threads:
    """At most `size` threads, started when there is work for them."""

    def __init__(self, size: int, name: str = "kmsd-store") -> None:
        self._size = size
        self._name = name
        self._queue: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self._lock = threading.Lock()
        self._threads: list[threading.Thread] = []
        self._wanted = 0  # functions handed in and not yet finished

    def run(self, function: Callable[[], None]) -> None:
        """Have `function`, which must not raise, run by a thread."""
        with self._lock:
            self._wanted += 1
            if len(self._threads) < min(self._wanted, self._size):
                thread = threading.Thread(target=self._serve, name=self._name, daemon=True)
                self._threads.append(thread)
                thread.start()
        self._queue.put(function)

    def _serve(self) -> None:
        while (function := self._queue.get()) is not None:
            function()
            with self._lock:
                self._wanted -= 1

    def stop(self) -> None:
        """Wait for the threads to finish what was handed in."""
        with self._lock:
            threads, self._threads = self._threads, []
        for _ in threads:
            self._queue.put(None)
        for thread in threads:
            thread.join()


class _Job(Generic[T]):
    """Something to do and the Deferred that waits for it.

    Cancelling the Deferred only stops the waiting: Twisted ignores the result that comes later.
    """

    __slots__ = ("deferred", "error", "since", "unit")

    def __init__(self, unit: T, since: float) -> None:
        self.unit = unit
        self.since = since
        self.error: Exception | None = None
        self.deferred: Deferred[Any] = Deferred()


class Points:
    """A point read: some objects by their identifiers."""

    __slots__ = ("error", "identifiers", "result")

    def __init__(self, identifiers: Sequence[str]) -> None:
        self.identifiers = identifiers
        self.result: dict[str, Any] = {}
        self.error: Exception | None = None


class Scan(Unit[T]):
    """A read of any other kind."""

    __slots__ = ()


Fetch = Callable[[Any, Sequence[str]], Mapping[str, Any]]


class Lane:
    """The work that waits for one session; at most one thread is in it at a time."""

    log = Logger(namespace="kmsd.store")

    def __init__(
        self,
        reactor: Reactor,
        threads: Threads,
        session: Session,
        fetch: Fetch,
        wait_seconds: float = 5.0,
        run_seconds: float = 8.0,
    ) -> None:
        self._reactor = reactor
        self._threads = threads
        self._session = session
        self._fetch = fetch
        self._wait_seconds = wait_seconds
        self._run_seconds = run_seconds
        self._lock = threading.Lock()
        self._waiting: deque[_Job[Any]] = deque()
        self._busy = False
        self._resting = False
        self._running_since: float | None = None
        self._sweeper: IDelayedCall | None = None
        self._idle: list[Deferred[None]] = []

    def submit(self, unit: Unit[Any] | Points) -> Deferred[Any]:
        """Have a piece of work done; call from the reactor's thread."""
        job = _Job(unit, self._reactor.seconds())
        with self._lock:
            if len(self._waiting) >= _LONGEST_QUEUE:
                raise StoreUnavailable("too many requests wait for the database", 2)
            self._waiting.append(job)
            start, self._busy = not self._busy, True
        if start:
            self._threads.run(self._serve)
        if self._sweeper is None:
            self._sweeper = self._reactor.callLater(_SWEEP_SECONDS, self._sweep)
        return job.deferred

    def __len__(self) -> int:
        """How much work waits or runs."""
        return len(self._waiting) + self._busy

    def _serve(self) -> None:
        """Do what has gathered; in a thread."""
        with self._lock:
            count = min(len(self._waiting), _LARGEST_GROUP)
            jobs = [self._waiting.popleft() for _ in range(count)]
            self._running_since = self._reactor.seconds()
        self._carry_out(jobs)
        with self._lock:
            self._running_since = None
            if self._resting and not self._waiting:
                self._session.close()
                self._resting = False
            again = self._busy = bool(self._waiting)
        self._reactor.callFromThread(self._answer, jobs)
        if again:  # behind the lanes that have waited for a thread meanwhile
            self._threads.run(self._serve)

    def _carry_out(self, jobs: list[_Job[Any]]) -> None:
        points = [job for job in jobs if isinstance(job.unit, Points)]
        scans = [job for job in jobs if isinstance(job.unit, Scan)]
        writes = [job for job in jobs if not isinstance(job.unit, Points | Scan)]
        if points:
            _blame(points, lambda: self._read([job.unit for job in points]))
            if len(points) > 1 and isinstance(points[0].error, StoreDamaged):
                for job in points:  # damage to one object is not the others' affair
                    _blame([job], lambda job=job: self._read([job.unit]))  # type: ignore[misc]
        for job in scans:
            _blame([job], lambda job=job: self._scan(job.unit))  # type: ignore[misc]
        if writes:
            _blame(writes, lambda: self._session.write([job.unit for job in writes]))

    def _read(self, points: list[Points]) -> None:
        """Make one SELECT of all the point reads, each object once."""
        wanted = list(dict.fromkeys(name for point in points for name in point.identifiers))
        found = self._session.read(lambda transaction: self._fetch(transaction, wanted))
        for point in points:
            for name in point.identifiers:
                record = found.get(name)
                if isinstance(record, StoreError):
                    point.error = record
                elif record is not None:
                    point.result[name] = record

    def _scan(self, scan: Scan[Any]) -> None:
        scan.result = self._session.read(scan.work)

    def _answer(self, jobs: list[_Job[Any]]) -> None:
        """Tell everybody; in the reactor's thread."""
        for job in jobs:
            error = job.error or job.unit.error
            if error is None:
                job.deferred.callback(job.unit.result)
            else:
                job.deferred.errback(error)
        if not self._busy:
            idle, self._idle = self._idle, []
            for waiter in idle:
                waiter.callback(None)

    def _sweep(self) -> None:
        """Send away those who have waited too long, and stop a wait that has no end."""
        self._sweeper = None
        now = self._reactor.seconds()
        with self._lock:
            late = []
            while self._waiting and now - self._waiting[0].since > self._wait_seconds:
                late.append(self._waiting.popleft())
            busy, since = self._busy, self._running_since
        for job in late:
            job.deferred.errback(StoreUnavailable("the database is slow or does not answer", 2))
        if since is not None and now - since > self._run_seconds:
            self.log.warn("the database has not answered for {seconds} s", seconds=int(now - since))
            self._session.sever()
        if busy:
            self._sweeper = self._reactor.callLater(_SWEEP_SECONDS, self._sweep)

    def rest(self) -> None:
        """Close the connection as soon as nothing needs it; more work opens it again."""
        with self._lock:
            self._resting = True
            start, self._busy = not self._busy, True
        if start:
            self._threads.run(self._serve)

    def close(self) -> Deferred[None]:
        """Finish what waits and close the connection."""
        if self._sweeper is not None and not self._busy:
            self._sweeper.cancel()
            self._sweeper = None
        closed: Deferred[None] = Deferred()
        self._idle.append(closed)
        self.rest()
        return closed


def in_thread(reactor: Reactor, threads: Threads, function: Callable[[], T]) -> Deferred[T]:
    """Run `function` in a thread; cancelling the Deferred stops the waiting only."""
    deferred: Deferred[T] = Deferred()

    def run() -> None:
        try:
            result = function()
        except Exception as error:  # noqa: BLE001 (it goes to who asked)
            reactor.callFromThread(deferred.errback, error)
        else:
            reactor.callFromThread(deferred.callback, result)

    threads.run(run)
    return deferred


def _blame(jobs: list[_Job[Any]], function: Callable[[], object]) -> None:
    """Run `function`; if it fails, that is the answer to all the `jobs`."""
    for job in jobs:
        job.error = None
    try:
        function()
    except Exception as error:  # noqa: BLE001 (it goes to those who asked)
        for job in jobs:
            job.error = error


__all__ = ["Lane", "Points", "Reactor", "Scan", "Threads", "Work"]
