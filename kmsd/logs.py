"""Where and how events are logged: lines of text or of JSON, from one level up.

twistd's own choice of destination (--logfile, --nodaemon, --syslog, --logger) holds.
"""

from __future__ import annotations

import getopt
import json
import signal
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import IO, Any

from twisted.logger import (
    FileLogObserver,
    FilteringLogObserver,
    ILogObserver,
    LogEvent,
    LogLevel,
    LogLevelFilterPredicate,
    formatEvent,
    textFileLogObserver,
)
from twisted.python.logfile import LogFile
from twisted.python.util import gidFromString, uidFromString
from twisted.scripts.twistd import ServerOptions  # type: ignore[attr-defined]

# What Twisted's older log calls add to an event; the newer keys all begin with log_.
_LEGACY = {"message", "time", "system", "isError", "format", "why", "failure", "id"}


def observer(level: str, *, as_json: bool, twistd: Mapping[str, Any]) -> ILogObserver | None:
    """Return the observer of the server's log, or None to leave the choice to twistd.

    Raises:
        OSError: the log file cannot be written.
    """
    if twistd.get("logger") or twistd.get("syslog"):
        return None
    out = _destination(twistd)
    inner = FileLogObserver(out, json_line) if as_json else textFileLogObserver(out)
    chosen = LogLevel.levelWithName(level)
    return FilteringLogObserver(inner, [LogLevelFilterPredicate(chosen)])


def _destination(twistd: Mapping[str, Any]) -> IO[Any]:
    name = twistd.get("logfile")
    if twistd.get("nodaemon") and name in {None, "", "-"}:
        return sys.stdout
    file: Any = LogFile.fromFullPath(name or "twistd.log")
    signal.signal(signal.SIGUSR1, lambda *_: _soon(file.rotate))  # as twistd itself does
    destination: IO[Any] = file
    return destination


def _soon(function: Callable[[], None]) -> None:
    from twisted.internet import reactor

    a_reactor: Any = reactor
    a_reactor.callFromThread(function)


def twistd_options(arguments: Sequence[str]) -> dict[str, Any]:
    """Read twistd's own options from a command line, for a .tac, which is not handed them."""
    known = ServerOptions()
    pairs, _ = getopt.getopt(list(arguments), known.shortOpt, known.longOpt)
    names = {"-n": "nodaemon", "-y": "python", "-l": "logfile", "-u": "uid", "-g": "gid"}
    read: dict[str, Callable[[str], Any]] = {"uid": uidFromString, "gid": gidFromString}
    found: dict[str, Any] = dict(known)
    for flag, value in pairs:
        name = names.get(flag, flag.lstrip("-"))
        takes_value = f"{name}=" in known.longOpt
        found[name] = read.get(name, str)(value) if takes_value else True
    return found


def json_line(event: LogEvent) -> str:
    """Write an event as one JSON object: time, level, namespace, message, then its own fields."""
    level = event.get("log_level")
    line = {
        "time": datetime.fromtimestamp(event["log_time"], UTC).isoformat(timespec="milliseconds"),
        "level": level.name if level else "info",
        "namespace": event.get("log_namespace", ""),
        "message": formatEvent(event),
        **dict(_fields(event)),
    }
    if "log_failure" in event:
        line["traceback"] = event["log_failure"].getTraceback()
    return json.dumps(line) + "\n"


def _fields(event: LogEvent) -> Iterator[tuple[str, object]]:
    for name, value in event.items():
        plain = value is None or isinstance(value, str | int | float)
        if plain and not name.startswith("log_") and name not in _LEGACY:
            yield name, value
