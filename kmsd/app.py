"""The one place that sees everything: options to settings, settings to a running service.

All that can fail for the operator's reasons happens in `makeService`, before twistd detaches from
the terminal: reading options, making folders, migrating the database, opening ports. What needs
threads or the final user starts with the service.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn

from twisted.application.service import Application, IService
from twisted.python.components import Componentized
from twisted.python.usage import Options as TwistedOptions

from kmsd import __version__
from kmsd.options import Configuration, SettingsError, reason
from kmsd.options_text import help_text, info, sample
from kmsd.settings import LogFormat, Settings, commands, load

# Exit statuses.
CANNOT_START = 1
MISCONFIGURED = 2

USAGE = """\
Usage: twistd [twistd options] kmsd [options]

A key management server. Each option can be given as a flag, as a variable or in a TOML file;
the first of these that names it decides. Flags without a value also take =true or =false."""


def _quit(text: object, status: int) -> NoReturn:
    sys.stderr.write(f"kmsd: {text}\n")
    raise SystemExit(status)


class Options(TwistedOptions):
    """The command line behind `twistd kmsd`."""

    configuration: Configuration[Settings]

    def parseOptions(self, options: Sequence[str] | None = None) -> None:  # noqa: N802
        """Read every source of options; print and exit where that is what was asked for."""
        try:
            self._parse(options or ())
        except SettingsError as error:
            _quit(error, MISCONFIGURED)

    def _parse(self, arguments: Sequence[str]) -> None:
        asked = commands(arguments)
        if asked.help:
            _print_and_exit(self.getUsage())
        if asked.version:
            _print_and_exit(f"kmsd {__version__}")
        if asked.print_default_config:
            _print_and_exit(sample(Settings))
        self.configuration = load(arguments, os.environ)
        if asked.info:
            _print_and_exit(info(self.configuration))

    def getUsage(self, width: int | None = None) -> str:  # noqa: ARG002, N802
        """Return the text of --help."""
        return help_text(Settings, USAGE)


def _print_and_exit(text: str) -> NoReturn:
    sys.stdout.write(text + "\n")
    raise SystemExit(0)


def makeService(options: Options) -> IService:  # noqa: N802 (twistd's name)
    """Return the server that `twistd kmsd` runs, its ports open; exit if it cannot start."""
    service: IService = _service(options.configuration, options.parent or {})
    return service


def makeApplication() -> Componentized:  # noqa: N802 (as its neighbour)
    """Return the application of kmsd.tac, configured by variables and file."""
    from kmsd.logs import twistd_options

    try:
        configuration = load((), os.environ)
    except SettingsError as error:
        _quit(error, MISCONFIGURED)
    application: Componentized = Application("kmsd")
    _service(configuration, twistd_options(sys.argv[1:])).setServiceParent(application)
    return application


def _service(configuration: Configuration[Settings], twistd: Mapping[str, Any]) -> Any:
    """Make the server as the user and with the log that twistd's own options name."""
    from twisted.internet import reactor

    from kmsd import combinations, logs, process
    from kmsd.server import Server

    settings = configuration.settings
    try:
        combinations.check(settings)
    except SettingsError as error:
        _quit(error, MISCONFIGURED)
    os.umask(0o077)
    with _told_in_one_line():
        _check_pid_file(twistd.get("pidfile"))
        observer = logs.observer(
            settings.log_level.value,
            as_json=settings.log_format is LogFormat.JSON,
            twistd=twistd,
        )
        with process.acting_as(twistd.get("uid"), twistd.get("gid")):
            server = Server(settings, reactor, configuration.notices)
    server.observer = observer
    return server


@contextmanager
def _told_in_one_line() -> Iterator[None]:
    """Turn what the operator can mend into one line and an exit status."""
    from kmsd.listeners import CannotListen
    from kmsd.store.interfaces import StoreError
    from kmsd.tls.credentials import CertificateError

    try:
        yield
    except OSError as error:
        what = f"{error.filename}: " if error.filename else ""
        _quit(f"{what}{reason(error)}", CANNOT_START)
    except (CannotListen, CertificateError, StoreError) as error:
        _quit(str(error).replace("\n", " "), CANNOT_START)


def _check_pid_file(name: str | None) -> None:
    """Find out now whether twistd will be able to write it, as it tells only with a traceback."""
    if name and not os.access(Path(name).parent, os.W_OK):
        _quit(f"cannot write {name}: name another file with twistd --pidfile=", CANNOT_START)
