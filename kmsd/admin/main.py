"""The command line of `kmsd-admin`.

Exit codes: 0 it is done, 1 it failed, 2 the command line is wrong.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

import click

from kmsd import __version__
from kmsd.admin import moving, places
from kmsd.admin.places import Access, Place
from kmsd.admin.tokens import token
from kmsd.options import SettingsError
from kmsd.store.interfaces import StoreError

_FAILED = 1

Command = Callable[..., Any]
Decorator = Callable[[Command], Command]

_URL = (
    "sqlite:///folder, sqlite-enc:///folder, postgresql://user:password@host/name or"
    " mysql://user:password@host/name"
)


def _secret_option(name: str, variable: str, of_what: str) -> Decorator:
    return click.option(
        f"--{name}",
        envvar=variable,
        default="",
        metavar="SECRET|@FILE",
        help=f"Secret of {of_what}, or @ and a file that has it. [{variable}]",
    )


def _certificate_options(command: Command) -> Command:
    file = click.option(
        "--mysql-user-cert-file",
        type=click.Path(path_type=Path, dir_okay=False),
        envvar="KMS_MYSQL_USER_CERT_FILE",
        help="PKCS#12 file with which to log in to MySQL. [KMS_MYSQL_USER_CERT_FILE]",
    )
    password = click.option(
        "--mysql-user-cert-password",
        envvar="KMS_MYSQL_USER_CERT_PASSWORD",
        default="",
        help="Its password. [KMS_MYSQL_USER_CERT_PASSWORD]",
    )
    return file(password(command))


_database = click.option(
    "--database",
    metavar="URL",
    envvar="KMSD_ADMIN_DATABASE",
    default="",
    help=f"{_URL}. Without it, the database of the server's own KMS_ variables and file.",
)


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, message="kmsd-admin %(version)s")
def cli() -> None:
    """Move, back up and restore the database of a key management server; make API tokens."""
    os.umask(0o077)


cli.add_command(token)


@cli.command()
@click.option("--from", "origin", metavar="URL", envvar="KMSD_ADMIN_FROM", required=True, help=_URL)
@click.option("--to", "target", metavar="URL", envvar="KMSD_ADMIN_TO", required=True, help=_URL)
@_secret_option("from-secret", "KMSD_ADMIN_FROM_SECRET", "an encrypted source")
@_secret_option("to-secret", "KMSD_ADMIN_TO_SECRET", "an encrypted target; without it one is made")
@_certificate_options
@click.option("--merge", is_flag=True, help="Add to a target that has other objects already.")
def migrate(
    origin: str,
    target: str,
    from_secret: str,
    to_secret: str,
    mysql_user_cert_file: Path | None,
    mysql_user_cert_password: str,
    *,
    merge: bool,
) -> None:
    """Copy all objects, rights and counters from one database to another, of any type.

    Stop the server first, or what it changes meanwhile is not copied. A copy that was interrupted
    goes on when the command is given again. Every object is read back and compared.
    """
    certificate = (mysql_user_cert_file, mysql_user_cert_password)
    there = _access(to_secret, *certificate)
    with _Told():
        source = places.of_url(origin, _access(from_secret, *certificate))
        place = places.of_url(target, there, make=True)
        if place.new_secret:
            click.echo(place.new_secret)  # before the copy: it could not be resumed without it
        moving.move(source, place, _say, merge=merge)


@cli.command()
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@_database
@_secret_option("secret", "KMSD_ADMIN_SECRET", "an encrypted database")
@_certificate_options
def backup(
    file: Path,
    database: str,
    secret: str,
    mysql_user_cert_file: Path | None,
    mysql_user_cert_password: str,
) -> None:
    """Write everything as of this moment to FILE, while the server runs.

    FILE holds keys as the database does: in clear, or encrypted under the same secret. It is itself
    a database that a server can open.
    """
    access = _access(secret, mysql_user_cert_file, mysql_user_cert_password)
    with _Told():
        moving.back_up(_place(database, access), file, access, _say)


@cli.command()
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@_database
@_secret_option("secret", "KMSD_ADMIN_SECRET", "an encrypted database and backup")
@_certificate_options
@click.option("--merge", is_flag=True, help="Add to a database that has other objects already.")
def restore(
    file: Path,
    database: str,
    secret: str,
    mysql_user_cert_file: Path | None,
    mysql_user_cert_password: str,
    *,
    merge: bool,
) -> None:
    """Copy everything from a backup into an empty database, of whatever type."""
    access = _access(secret, mysql_user_cert_file, mysql_user_cert_password)
    with _Told():
        source = places.of_backup(file, access)
        moving.move(source, _place(database, access, make=True), _say, merge=merge)


def _place(url: str, access: Access, *, make: bool = False) -> Place:
    if url:
        return places.of_url(url, access, make=make)
    return places.of_settings(places.from_environment(), access, make=make)


def _access(secret: str, certificate: Path | None, password: str) -> Access:
    if secret.startswith("@"):
        try:
            secret = Path(secret[1:]).read_text(encoding="ascii").strip()
        except (OSError, UnicodeDecodeError):
            _quit(f"cannot read the secret from {secret[1:]}")
    return Access(secret=secret, certificate=certificate, certificate_password=password)


def _say(line: str) -> None:
    click.echo(line, err=True)


def _quit(line: str) -> NoReturn:
    click.echo(f"kmsd-admin: {line}", err=True)
    raise SystemExit(_FAILED)


class _Told:
    """Turns what the operator can mend into one line and an exit status."""

    def __enter__(self) -> None:
        """Begin."""

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        """Say what went wrong."""
        if isinstance(error, StoreError | SettingsError | OSError):
            _quit(str(error).replace("\n", " "))


def main() -> None:
    """Run the command line (console script `kmsd-admin`)."""
    cli(prog_name="kmsd-admin")
