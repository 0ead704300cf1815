"""The log: JSON lines, levels, destinations."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from twisted.logger import ILogObserver, Logger
from twisted.python.failure import Failure

from kmsd import logs


@pytest.fixture
def untouched_sigusr1() -> Iterator[None]:
    before = signal.getsignal(signal.SIGUSR1)
    yield
    signal.signal(signal.SIGUSR1, before)


def logger(level: str, *, as_json: bool, **twistd: object) -> Logger:
    observer = logs.observer(level, as_json=as_json, twistd=twistd)
    assert observer is not None
    return Logger(namespace="kmsd.test", observer=observer)


def test_a_json_line_holds_the_message_and_its_plain_fields(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Objects are left out: only what is certainly short and harmless is written."""
    logger("info", as_json=True, nodaemon=True).info(
        "{caller} did {operation}", caller="ann", operation="Get", size=3, thing=object()
    )
    (line,) = capsys.readouterr().out.splitlines()
    event = json.loads(line)
    assert event.pop("time").endswith("+00:00")
    assert event == {
        "level": "info",
        "namespace": "kmsd.test",
        "message": "ann did Get",
        "caller": "ann",
        "operation": "Get",
        "size": 3,
    }


def test_no_field_can_end_a_json_line(capsys: pytest.CaptureFixture[str]) -> None:
    logger("info", as_json=True, nodaemon=True).info("{name}", name='a\n{"level": "forged"}')
    assert len(capsys.readouterr().out.splitlines()) == 1


def test_no_field_can_begin_a_text_line(capsys: pytest.CaptureFixture[str]) -> None:
    """What comes after a line break is indented, so it cannot pass for an event."""
    logger("info", as_json=False, nodaemon=True).info("{name}", name="a\n2026-01-01 [forged]")
    assert capsys.readouterr().out.splitlines()[1].startswith("\t")


def test_a_failure_brings_its_traceback(capsys: pytest.CaptureFixture[str]) -> None:
    failure = Failure(ValueError("x"))
    logger("info", as_json=True, nodaemon=True).failure("it broke", failure)
    event = json.loads(capsys.readouterr().out)
    assert event["level"] == "critical"
    assert "ValueError: x" in event["traceback"]


@pytest.mark.parametrize(
    ("level", "shown"),
    [("debug", "diwe"), ("info", "iwe"), ("warn", "we"), ("error", "e")],
)
def test_the_level_is_the_least_that_is_shown(
    capsys: pytest.CaptureFixture[str], level: str, shown: str
) -> None:
    log = logger(level, as_json=True, nodaemon=True)
    log.debug("d")
    log.info("i")
    log.warn("w")
    log.error("e")
    assert (
        "".join(json.loads(line)["message"] for line in capsys.readouterr().out.splitlines())
        == shown
    )


@pytest.mark.parametrize("twistd", [{"logger": "x.y"}, {"syslog": True}])
def test_twistds_own_choice_of_observer_holds(twistd: dict[str, object]) -> None:
    assert logs.observer("info", as_json=True, twistd=twistd) is None


@pytest.mark.usefixtures("untouched_sigusr1")
@pytest.mark.parametrize("nodaemon", [True, False])
def test_a_log_file_is_used_where_twistd_names_one(tmp_path: Path, nodaemon: bool) -> None:  # noqa: FBT001
    path = tmp_path / "kmsd.log"
    logger("info", as_json=True, nodaemon=nodaemon, logfile=str(path)).info("hello")
    assert json.loads(path.read_text())["message"] == "hello"


def test_it_is_a_modern_observer(capsys: pytest.CaptureFixture[str]) -> None:
    observer = logs.observer("info", as_json=False, twistd={"nodaemon": True})
    assert ILogObserver.providedBy(observer)
    assert capsys.readouterr().out == ""


def test_twistds_options_are_read_for_a_tac() -> None:
    words = ["-ny", "kmsd.tac", "--pidfile=", "-l", "kms.log", "--uid=0", "--syslog"]
    found = logs.twistd_options(words)
    names = ("nodaemon", "python", "pidfile", "logfile", "uid", "gid", "syslog")
    assert [found[name] for name in names] == [True, "kmsd.tac", "", "kms.log", 0, None, True]
