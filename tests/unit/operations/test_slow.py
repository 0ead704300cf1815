"""Slow work: a line of bounded length, a clear answer at its end, and helper processes."""

import dataclasses
import io
import os
import pickle
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
import pytest_twisted
from twisted.internet.defer import Deferred, ensureDeferred, gatherResults
from twisted.internet.task import LoopingCall
from twisted.internet.threads import deferToThread

from kmsd.crypto import generate
from kmsd.kmip.enums import CryptographicAlgorithm as Algorithm
from kmsd.kmip.enums import ResultReason, ValidityIndicator
from kmsd.kmip.errors import KmipError
from kmsd.operations.processes import HelperFailedError, Processes, _read, _write, serve
from kmsd.operations.sign import Sign
from kmsd.operations.signature_verify import SignatureVerify
from kmsd.operations.slow import Bounded
from tests.server import Kms
from tests.using_keys import pair

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


@ensure  # type: ignore[untyped-decorator]
async def test_slow_post_quantum_keys_delay_nobody(kms: Kms) -> None:
    """While an SLH-DSA key is made, signs and verifies, the reactor's turns stay short."""
    services = kms.engine.services
    kms.engine.services = dataclasses.replace(services, offload=Bounded(deferToThread))
    longest, last = 0.0, time.monotonic()

    def turn() -> None:
        nonlocal longest, last
        now = time.monotonic()
        longest, last = max(longest, now - last), now

    turns = LoopingCall(turn)
    turns.start(0.005)
    private, public = await pair(kms, Algorithm.SLH_DSA_SHA2_192S)
    signed = await kms(Sign(unique_identifier=private, data=b"x"))
    took = time.monotonic()
    again = await kms(Sign(unique_identifier=private, data=b"x"))
    took = time.monotonic() - took
    turns.stop()
    for signature in (signed.signature_data, again.signature_data):
        verdict = await kms(
            SignatureVerify(unique_identifier=public, data=b"x", signature_data=signature)
        )
        assert verdict.validity_indicator is ValidityIndicator.VALID
    assert longest < took / 2


def test_an_error_comes_back_as_it_was() -> None:
    """Also one whose constructor takes more than its text; the helper goes on."""
    helpers = Processes()
    try:
        with pytest.raises(KmipError) as refused:
            helpers.run(generate.generate_pair, Algorithm.RSA, 17)
        assert refused.value.reason is ResultReason.INVALID_ATTRIBUTE_VALUE
        assert "17" in refused.value.message
        with pytest.raises(ZeroDivisionError):
            helpers.run(divmod, 1, 0)
        assert helpers.run(divmod, 7, 2) == (3, 1)
    finally:
        helpers.close()


def test_a_helper_that_was_killed_is_replaced() -> None:
    """Once; work that kills every helper is given up."""
    helpers = Processes(most=1)
    try:
        os.kill(helpers.run(os.getpid), signal.SIGKILL)
        assert helpers.run(divmod, 7, 2) == (3, 1)
        with pytest.raises(HelperFailedError):
            helpers.run(os._exit, 1)
        assert helpers.run(divmod, 7, 2) == (3, 1)
    finally:
        helpers.close()


def test_a_helper_ends_with_its_parent_however_that_ends() -> None:
    """Even a parent that is killed leaves none behind; and none inherits its environment."""
    program = (
        "import os, signal, sys\n"
        "from kmsd.operations.processes import PROCESSES\n"
        "print(PROCESSES.run(os.getpid), PROCESSES.run(os.getenv, 'KMS_SECRET'), flush=True)\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    environment = {**os.environ, "KMS_SECRET": "secret"}
    told = subprocess.run(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, check=False, env=environment
    )
    helper, secret = told.stdout.decode().split()
    assert told.returncode == -signal.SIGKILL
    assert secret == "None"
    deadline = time.monotonic() + 10
    while Path(f"/proc/{helper}").exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not Path(f"/proc/{helper}").exists()


def test_the_helper_serves_until_its_input_ends() -> None:
    """The program itself, without a process: requests in, answers out, nothing on a torn one."""
    requests = io.BytesIO()
    for request in ((divmod, (7, 2)), (divmod, (1, 0))):
        _write(requests, pickle.dumps(request))
    requests.write(b"torn")
    requests.seek(0)
    answers = io.BytesIO()
    serve(requests, answers)
    answers.seek(0)
    told = [pickle.loads(_read(answers)) for _ in range(2)]  # noqa: S301 - made above
    assert told[0] == (True, (3, 1))
    assert told[1][0] is False
    with pytest.raises(EOFError):
        _read(answers)


def test_a_helper_that_cannot_be_started_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """No Python to run it, no process to be had."""
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    with pytest.raises(HelperFailedError, match="no helper process"):
        Processes().run(divmod, 7, 2)
