"""`ckms`: read the command line, do the work, say how it went.

Exit codes: 0 it is done, 1 it failed, 2 the command line is wrong.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from kmsd import __version__
from kmsd.cli.errors import CommandFailed, next_step
from kmsd.cli.outcome import Format, Outcome, printable, written
from kmsd.cli.tree import Globals, Late, LateGroup, global_options

if TYPE_CHECKING:
    from kmsd.cli.session import Session

DONE, FAILED, USAGE = 0, 1, 2
PROGRAM = "ckms"

Work = Callable[["Session"], Awaitable[Outcome | None]]

_HERE = "kmsd.cli.commands"
COMMANDS = {
    "access-rights": Late(f"{_HERE}.access:access_rights", "Share objects with other users."),
    "access": Late(f"{_HERE}.access:access_rights", "The same, as in 4.4.", hidden=True),
    "permission": Late(f"{_HERE}.access:permission", "Share objects, in the words of 4.1."),
    "attributes": Late(f"{_HERE}.attributes:attributes", "Look at and change attributes."),
    "cc": Late(f"{_HERE}.cc:cc", "CoverCrypt: encrypt for attributes, decrypt by policies."),
    "certificates": Late(f"{_HERE}.certificates:certificates", "Issue, keep and use certificates."),
    "completion": Late(f"{_HERE}.completion:completion", "Print what makes a shell complete."),
    "configure": Late(f"{_HERE}.server:configure", "Make an encrypted database, as in 4.1."),
    "ec": Late(f"{_HERE}.ec:ec", "Keys on elliptic curves; encryption by ECIES."),
    "locate": Late(f"{_HERE}.locate:locate", "Find objects by what they are."),
    "login": Late(f"{_HERE}.login:login", "Get an access token from an identity provider."),
    "logout": Late(f"{_HERE}.login:logout", "Forget the access token."),
    "new-database": Late(f"{_HERE}.server:new_database", "Make an encrypted database."),
    "rsa": Late(f"{_HERE}.rsa:rsa", "RSA keys; encryption and key wrapping."),
    "secret-data": Late(f"{_HERE}.secret_data:secret_data", "Passwords, seeds and other secrets."),
    "server-version": Late(f"{_HERE}.server:server_version", "Show the server's version."),
    "sym": Late(f"{_HERE}.sym:sym", "Symmetric keys; encryption of files of any size."),
}


def cli() -> click.Group:
    """Return the whole tree of commands."""
    group = LateGroup(
        PROGRAM,
        late=COMMANDS,
        help="Work with a key management server: keys, certificates, encryption.",
        epilog="The server is named in ~/.cosmian/kms.toml, kms.json, or KMS_CLI_CONF.",
        params=[
            click.Option(
                ["-c", "--conf-path", "conf_path"],
                metavar="FILE",
                help="The configuration, JSON or TOML [env KMS_CLI_CONF].",
                expose_value=False,
                callback=_keep_path,
            ),
            *_shown(global_options()),
            click.Option(
                ["-V", "--version"],
                is_flag=True,
                expose_value=False,
                is_eager=True,
                callback=_version,
                help="Show the version and exit.",
            ),
        ],
        callback=lambda: None,
    )
    group.no_args_is_help = True
    return group


def _keep_path(ctx: click.Context, _parameter: click.Parameter, value: str | None) -> None:
    if value:
        ctx.obj.conf_path = value


def _shown(options: list[click.Option]) -> list[click.Option]:
    for option in options:
        option.hidden = False
    return options


def _version(ctx: click.Context, _parameter: click.Parameter, value: bool) -> None:  # noqa: FBT001
    if value:
        click.echo(f"{ctx.info_name} {__version__}")
        ctx.exit()


def main() -> None:
    """Be the program."""
    try:
        parsed = parse(sys.argv[1:], Path(sys.argv[0]).name)
        if isinstance(parsed, int):
            sys.exit(parsed)
        _react(*parsed)
    except KeyboardInterrupt:
        sys.exit(FAILED)


def _react(work: Work, options: Globals) -> None:
    """Do the work and exit. It begins once the reactor runs, and so minds Ctrl-C."""
    from twisted.internet.defer import Deferred
    from twisted.internet.task import deferLater, react

    code = FAILED  # unless the work comes to an end

    async def carried_out(reactor: Any) -> None:
        nonlocal code
        await deferLater(reactor, 0)
        code = await carry_out(reactor, work, options)

    try:
        react(lambda reactor: Deferred.fromCoroutine(carried_out(reactor)), ())
    except SystemExit as ended:
        sys.exit(ended.code or code)


def parse(arguments: Sequence[str], program: str = PROGRAM) -> int | tuple[Work, Globals]:
    """Return the work that a command line asks for, or the exit code if that is all."""
    options = Globals(program=program)
    try:
        work = cli().main(list(arguments), prog_name=program, obj=options, standalone_mode=False)
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.format_message(), err=True)
        return USAGE
    except click.UsageError as error:
        _tell_usage(error)
        return USAGE
    except click.Abort:
        click.echo("ERROR: interrupted", err=True)
        return FAILED
    except (click.ClickException, CommandFailed) as error:
        click.echo(f"ERROR: {error}", err=True)
        return FAILED
    return (work, options) if callable(work) else int(work or 0)


def _tell_usage(error: click.UsageError) -> None:
    if error.ctx is not None:
        click.echo(error.ctx.get_usage(), err=True)
        click.echo(f"Try `{error.ctx.command_path} --help`.\n", err=True)
    click.echo(f"ERROR: {error.format_message()}", err=True)


async def carry_out(reactor: Any, work: Work, options: Globals) -> int:
    """Do the work, print its outcome or its error, and return the exit code."""
    from kmsd.cli.session import Session

    try:
        options.output = options.output or _format()
    except CommandFailed as error:
        click.echo(f"ERROR: {error}", err=True)
        return FAILED
    session = Session(reactor, options)
    try:
        return await _done(session, work)
    finally:
        await session.close()


async def _done(session: Session, work: Work) -> int:
    from kmsd.client import ClientError
    from kmsd.kmip.errors import KmipError

    try:
        outcome = await work(session)
        if outcome is not None:
            _print(written(outcome, session.options.output or Format.TEXT))
    except click.UsageError as error:
        _tell_usage(error)
        return USAGE
    except (ClientError, KmipError) as error:
        _tell(error.message, next_step(error.reason.name, error.message))
    except CommandFailed as error:
        _tell(str(error))
    except BrokenPipeError:
        # Whoever read our output has gone; nothing more can be said there, not even at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    else:
        return DONE
    return FAILED


def _print(text: str) -> None:
    if text:
        click.echo(text)


def _tell(text: str, step: str = "") -> None:
    click.echo(f"ERROR: {printable(text)}", err=True)
    if step and step not in text:
        click.echo(f"  next: {step}", err=True)


def _format() -> Format:
    named = os.environ.get("KMS_CLI_FORMAT")
    if not named:
        return Format.TABLE if sys.stdout.isatty() else Format.TEXT
    try:
        return Format(named.lower())
    except ValueError:
        known = ", ".join(each.value for each in Format)
        raise CommandFailed(f"KMS_CLI_FORMAT is {named!r}; possible are {known}") from None
