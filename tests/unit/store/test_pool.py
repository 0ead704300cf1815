"""Threads and lanes: what runs together, what is bounded, and what happens to those who wait."""

import threading
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.python.failure import Failure

from kmsd.store.interfaces import StoreDamaged, StoreUnavailable
from kmsd.store.pool import Lane, Points, Scan, Threads, in_thread
from kmsd.store.session import Unit


class Reactor(Clock):
    """A clock whose calls from threads wait until the test lets them run."""

    def __init__(self) -> None:
        super().__init__()
        self.handed: list[Callable[[], Any]] = []

    def callFromThread(self, function: Any, /, *args: Any, **kwargs: Any) -> None:  # noqa: N802
        self.handed.append(lambda: function(*args, **kwargs))

    def callWhenRunning(self, function: Any, /, *args: Any, **kwargs: Any) -> None:  # noqa: N802
        function(*args, **kwargs)

    def run(self) -> None:
        """Do what threads asked for."""
        calls, self.handed = self.handed, []
        for call in calls:
            call()


class ByHand:
    """Threads whose work the test does itself, when it wants."""

    def __init__(self) -> None:
        self.functions: list[Callable[[], None]] = []

    def run(self, function: Callable[[], None]) -> None:
        self.functions.append(function)

    def step(self) -> None:
        self.functions.pop(0)()


class Noting:
    """A session that notes what it is told to do."""

    def __init__(self) -> None:
        self.done: list[str] = []
        self.severed = 0
        self.closed = 0

    def read(self, work: Callable[[Any], Any]) -> Any:
        return work(self)

    def write(self, units: Sequence[Unit[Any]]) -> None:
        self.done.append(f"write {len(units)}")
        for unit in units:
            unit.result = unit.work(self)  # type: ignore[arg-type]

    def sever(self) -> None:
        self.severed += 1

    def close(self) -> None:
        self.closed += 1


class Bench:
    """A lane with everything round it in the test's hands."""

    def __init__(self) -> None:
        self.reactor, self.threads, self.session = Reactor(), ByHand(), Noting()
        self.records: dict[str, Any] = {"a": "A", "b": "B"}
        self.lane = Lane(self.reactor, self.threads, self.session, self.fetch)  # type: ignore[arg-type]

    def fetch(self, _transaction: Any, names: Sequence[str]) -> Mapping[str, Any]:
        self.session.done.append(f"read {' '.join(names)}")
        found = {name: self.records[name] for name in names if name in self.records}
        if "broken page" in found.values():
            raise StoreDamaged("a page")
        return found

    def step(self) -> None:
        self.threads.step()
        self.reactor.run()


@pytest.fixture
def bench() -> Bench:
    return Bench()


def outcome(waiting: Deferred[Any]) -> Any:
    """Return what a Deferred has: its result, or its error."""
    results: list[Any] = []

    def note(result: Any) -> Any:
        results.append(result.value if isinstance(result, Failure) else result)
        return results[0]

    waiting.addBoth(note)
    return results[0] if results else "nothing yet"


def test_reads_of_one_moment_are_one_statement(bench: Bench) -> None:
    """All point reads that wait are read together, each object once."""
    waiting = [bench.lane.submit(Points(names)) for names in (["a"], ["b", "a"], ["x"])]
    assert outcome(waiting[0]) == "nothing yet"
    bench.step()
    assert bench.session.done == ["read a b x"]
    assert outcome(waiting[1]) == {"b": "B", "a": "A"}
    assert outcome(waiting[2]) == {}


def same(value: int, _session: object) -> int:
    return value


def test_writes_of_one_moment_are_one_group(bench: Bench) -> None:
    """All writes that wait are handed over together; each gets its own result or error."""
    waiting = [bench.lane.submit(Unit(partial(same, n))) for n in range(3)]
    bench.step()
    assert bench.session.done == ["write 3"]
    assert [outcome(each) for each in waiting] == [0, 1, 2]


def test_a_lone_write_waits_for_nobody(bench: Bench) -> None:
    """The first piece of work starts at once; what comes meanwhile is the next group."""
    first = bench.lane.submit(Unit(lambda _session: "first"))
    bench.threads.step()
    later = [bench.lane.submit(Unit(lambda _session: "later")) for _ in range(2)]
    bench.reactor.run()
    assert outcome(first) == "first"
    bench.step()
    assert bench.session.done == ["write 1", "write 2"]
    assert [outcome(each) for each in later] == ["later"] * 2
    assert len(bench.lane) == 0


def test_a_large_queue_is_done_in_parts(bench: Bench) -> None:
    """No group is larger than 256, and between two groups other lanes get the thread."""
    for _ in range(300):
        bench.lane.submit(Unit(lambda _session: None))
    bench.step()
    assert (bench.session.done, len(bench.threads.functions)) == (["write 256"], 1)
    bench.step()
    assert bench.session.done == ["write 256", "write 44"]


def test_the_queue_is_bounded(bench: Bench) -> None:
    """When very many wait, more are sent away at once."""
    for _ in range(10_000):
        bench.lane.submit(Unit(lambda _session: None))
    with pytest.raises(StoreUnavailable, match="too many"):
        bench.lane.submit(Unit(lambda _session: None))


def test_damage_is_told_to_those_it_concerns(bench: Bench) -> None:
    """An object that is damaged fails its readers; so does a page, but not others' reads."""
    bench.records["x"] = StoreDamaged("x")
    waiting = [bench.lane.submit(Points([name])) for name in "ax"]
    bench.step()
    assert outcome(waiting[0]) == {"a": "A"}
    assert isinstance(outcome(waiting[1]), StoreDamaged)
    bench.records["x"] = "broken page"
    waiting = [bench.lane.submit(Points([name])) for name in "xab"]
    bench.step()
    assert isinstance(outcome(waiting[0]), StoreDamaged)
    assert [outcome(each) for each in waiting[1:]] == [{"a": "A"}, {"b": "B"}]
    alone = bench.lane.submit(Points(["x"]))
    bench.step()
    assert isinstance(outcome(alone), StoreDamaged)


def test_scans_fail_alone(bench: Bench) -> None:
    """A scan has its own result or error."""

    def fail(_session: Any) -> None:
        raise ZeroDivisionError

    bad, good = bench.lane.submit(Scan(fail)), bench.lane.submit(Scan(lambda _session: 7))
    bench.step()
    assert isinstance(outcome(bad), ZeroDivisionError)
    assert outcome(good) == 7


def test_who_waits_too_long_is_sent_away(bench: Bench) -> None:
    """Work that did not begin within five seconds fails, and is then not done."""
    stuck = bench.lane.submit(Unit(lambda _session: "done"))
    bench.reactor.pump([1.0] * 4)
    late = bench.lane.submit(Unit(lambda _session: "late"))
    bench.reactor.pump([1.0] * 2)
    error = outcome(stuck)
    assert isinstance(error, StoreUnavailable)
    assert error.retry_after_seconds == 2
    assert outcome(late) == "nothing yet"
    bench.step()
    assert bench.session.done == ["write 1"]
    assert outcome(late) == "late"
    bench.reactor.pump([1.0] * 3)
    assert bench.reactor.getDelayedCalls() == []


def test_a_wait_without_end_is_cut(bench: Bench) -> None:
    """When the database has not answered for eight seconds its line is cut, from outside."""
    begun, go_on = threading.Event(), threading.Event()

    def work(_session: Any) -> str:
        begun.set()
        go_on.wait(5)
        return "at last"

    waiting = bench.lane.submit(Unit(work))
    thread = threading.Thread(target=bench.threads.functions.pop(0))
    thread.start()
    begun.wait(5)
    bench.reactor.pump([1.0] * 8)
    assert bench.session.severed == 0
    bench.reactor.pump([1.0] * 2)
    assert bench.session.severed >= 1
    go_on.set()
    thread.join()
    bench.reactor.run()
    assert outcome(waiting) == "at last"


def test_whoever_stops_waiting_stops_nothing(bench: Bench) -> None:
    """A cancelled piece of work is done all the same."""
    waiting = bench.lane.submit(Unit(lambda _session: None))
    waiting.addErrback(lambda _failure: None)
    waiting.cancel()
    bench.step()
    assert bench.session.done == ["write 1"]


def test_rest_closes_when_nothing_waits(bench: Bench) -> None:
    """A lane at rest has no connection; one at work closes it afterwards; work opens it again."""
    bench.lane.rest()
    bench.step()
    assert bench.session.closed == 1
    bench.lane.submit(Unit(lambda _session: None))
    bench.lane.rest()
    bench.lane.submit(Unit(lambda _session: None))
    bench.step()
    assert (bench.session.closed, bench.session.done) == (2, ["write 2"])


def test_rest_waits_for_what_came_meanwhile(bench: Bench) -> None:
    """The connection stays while more work waits, and goes after that."""
    for _ in range(300):
        bench.lane.submit(Unit(lambda _session: None))
    bench.lane.rest()
    bench.step()
    assert bench.session.closed == 0
    bench.step()
    assert bench.session.closed == 1


def test_close_waits_for_what_is_under_way(bench: Bench) -> None:
    """Closing is complete when all work is answered and the connection is closed."""
    waiting = bench.lane.submit(Unit(lambda _session: "done"))
    closed = bench.lane.close()
    assert outcome(closed) == "nothing yet"
    bench.step()
    assert (outcome(waiting), outcome(closed), bench.session.closed) == ("done", None, 1)
    again = bench.lane.close()
    bench.step()
    assert outcome(again) is None
    bench.reactor.advance(2)
    assert bench.reactor.getDelayedCalls() == []


def test_threads_are_started_when_needed_and_bounded() -> None:
    """Two threads do what four functions want, no more, and stop when all is done."""
    threads = Threads(2, "test")
    gate, names, lock = threading.Event(), set(), threading.Lock()

    def work() -> None:
        gate.wait(5)
        with lock:
            names.add(threading.current_thread().ident)

    for _ in range(4):
        threads.run(work)
    running = [each for each in threading.enumerate() if each.name == "test"]
    gate.set()
    threads.stop()
    assert len(running) == 2
    assert 1 <= len(names) <= 2
    threads.run(work)
    threads.stop()


def test_a_function_in_a_thread() -> None:
    """Its result or error comes to the reactor's thread."""
    reactor, threads = Reactor(), Threads(1)
    good = in_thread(reactor, threads, lambda: 7)
    bad = in_thread(reactor, threads, lambda: 1 // 0)
    threads.stop()
    assert outcome(good) == "nothing yet"
    reactor.run()
    assert outcome(good) == 7
    assert isinstance(outcome(bad), ZeroDivisionError)
