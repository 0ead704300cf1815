"""Slow work: a line of bounded length, and a clear answer at its end."""

import threading

import pytest
import pytest_twisted
from twisted.internet.defer import Deferred, ensureDeferred, gatherResults
from twisted.internet.threads import deferToThread

from kmsd.crypto import generate
from kmsd.kmip.enums import CryptographicAlgorithm as Algorithm
from kmsd.kmip.enums import ResultReason
from kmsd.kmip.errors import KmipError
from kmsd.operations import slow
from kmsd.operations.slow import Bounded

ensure = pytest_twisted.ensureDeferred


@ensure  # type: ignore[untyped-decorator]
async def test_what_does_not_fit_in_the_line_is_told_so_and_the_line_moves_on() -> None:
    """Two at work or waiting, the third is refused at once; afterwards there is room again."""
    gate = threading.Event()
    bounded = Bounded(deferToThread, most=2)

    def work(number: int) -> int:
        assert gate.wait(10)
        return number

    waiting = [ensureDeferred(bounded(work, number)) for number in range(2)]
    with pytest.raises(KmipError, match="busy") as refused:
        await bounded(work, 3)
    assert refused.value.reason is ResultReason.SERVER_LIMIT_EXCEEDED
    gate.set()
    assert await gatherResults(waiting) == [0, 1]
    assert await bounded(work, 4) == 4


@ensure  # type: ignore[untyped-decorator]
async def test_failing_work_leaves_the_line_too() -> None:
    """The error reaches whoever asked, and its place is free."""

    def fails() -> None:
        raise ZeroDivisionError

    bounded = Bounded(deferToThread, most=1)
    for _ in range(3):
        with pytest.raises(ZeroDivisionError):
            await bounded(fails)


@ensure  # type: ignore[untyped-decorator]
async def test_work_that_nobody_begins_is_counted() -> None:
    """The line counts what waits, not what runs: a stuck pool does not grow without end."""
    never: list[Deferred[None]] = []

    def stuck(_function: object, *_args: object) -> Deferred[None]:
        never.append(Deferred())
        return never[-1]

    bounded = Bounded(stuck, most=3)
    waiting = [ensureDeferred(bounded(print)) for _ in range(3)]
    with pytest.raises(KmipError, match="busy"):
        await bounded(print)
    assert len(never) == 3
    for each in never:
        each.callback(None)
    await gatherResults(waiting)


@pytest.mark.parametrize(
    ("algorithm", "bits", "expected"),
    [
        (Algorithm.RSA, 2048, True),
        (Algorithm.SLH_DSA_SHA2_128F, None, True),
        (Algorithm.ML_DSA_44, None, False),
        (Algorithm.ED25519, None, False),
    ],
    ids=["RSA", "SLH-DSA", "ML-DSA", "Ed25519"],
)
def test_keys_that_sign_slowly_are_known(
    algorithm: Algorithm, bits: int | None, *, expected: bool
) -> None:
    """Milliseconds to seconds go to a thread, microseconds do not."""
    assert slow.signs_slowly(generate.generate_pair(algorithm, bits)) is expected
