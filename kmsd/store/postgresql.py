"""PostgreSQL: reading its URL, connecting, and what its errors mean."""

import contextlib
import socket
from typing import Any

import psycopg2
from psycopg2 import extensions

from kmsd.store.faults import Fault
from kmsd.store.interfaces import StoreRefused

# Other servers' names for libpq's parameters, and the ones that libpq does not know.
_ALIASES = {
    "ssl-mode": "sslmode",
    "ssl-ca": "sslrootcert",
    "ssl-root-cert": "sslrootcert",
    "ssl-cert": "sslcert",
    "ssl-key": "sslkey",
    "application-name": "application_name",
}
_IGNORED = {"statement-cache-capacity"}

_SETTINGS = {
    "connect_timeout": "3",
    "application_name": "kmsd",
    "client_encoding": "UTF8",
    "keepalives_idle": "5",
    "keepalives_interval": "2",
    "keepalives_count": "3",
    "tcp_user_timeout": "6000",  # milliseconds; a peer that fell silent is noticed while we wait
}
# What the server enforces for a client that it has lost: its locks must not stay for hours.
_SESSION = (
    "SET synchronous_commit = on",
    "SET idle_in_transaction_session_timeout = '10s'",
    "SET lock_timeout = '4s'",
    "SET tcp_keepalives_idle = 5",
    "SET tcp_keepalives_interval = 2",
    "SET tcp_keepalives_count = 3",
)

_CODES = {  # https://www.postgresql.org/docs/current/errcodes-appendix.html
    "23505": Fault.TAKEN,
    "40001": Fault.BUSY,
    "40P01": Fault.BUSY,
    "55P03": Fault.BUSY,
    "25006": Fault.READ_ONLY,
    "42501": Fault.READ_ONLY,
    "53100": Fault.FULL,
    "53300": Fault.GONE,
    "57P01": Fault.GONE,
    "57P02": Fault.GONE,
    "57P03": Fault.GONE,
    "25P03": Fault.GONE,
    "3D000": Fault.REFUSED,
}
_CLASSES = {"08": Fault.GONE, "28": Fault.REFUSED, "XX": Fault.DAMAGED}


def fault(error: Exception) -> Fault:
    """Tell what a driver's error means."""
    if not isinstance(error, psycopg2.Error):
        return Fault.OTHER
    code = error.pgcode
    if code:
        return _CODES.get(code) or _CLASSES.get(code[:2], Fault.OTHER)
    if isinstance(error, psycopg2.OperationalError):
        return _while_connecting(str(error))
    return Fault.GONE if isinstance(error, psycopg2.InterfaceError) else Fault.OTHER


def _while_connecting(text: str) -> Fault:
    """Tell refusals from failures: libpq gives no code before the connection stands."""
    if "certificate" in text:
        return Fault.UNTRUSTED
    refused = ("authentication failed", "does not exist", "no pg_hba.conf entry", "no password")
    return Fault.REFUSED if any(words in text for words in refused) else Fault.GONE


def arguments(url: str) -> dict[str, str]:
    """Return libpq's parameters for a URL.

    Raises:
        StoreRefused: it is not a URL of PostgreSQL; the text does not quote it (it has passwords).
    """
    scheme, _, rest = url.partition("://")
    base, question, query = rest.partition("?")
    if scheme.lower() not in {"postgres", "postgresql"}:
        raise StoreRefused("a PostgreSQL URL begins with postgresql:// or postgres://")
    kept = (_parameter(pair) for pair in query.split("&") if pair)
    query = "&".join(pair for pair in kept if pair)
    try:
        given = extensions.parse_dsn(f"postgresql://{base}{question and '?'}{query}")
    except psycopg2.ProgrammingError:  # its text quotes the URL, with the password
        raise StoreRefused(
            "the PostgreSQL URL cannot be read: it should be"
            " postgresql://user:password@host:5432/database?sslmode=…,"
            " with %-escapes for special characters and only parameters of libpq"
        ) from None
    return {**_SETTINGS, **given}


def _parameter(pair: str) -> str:
    name, equals, value = pair.partition("=")
    return "" if name in _IGNORED else f"{_ALIASES.get(name, name)}{equals}{value}"


def connect(parameters: dict[str, str]) -> Any:
    """Connect with what `arguments` returned.

    Raises:
        StoreRefused: the database does not keep Unicode.
    """
    connection = psycopg2.connect(**parameters)  # type: ignore[call-overload]
    try:
        connection.autocommit = True
        with connection.cursor() as cursor:
            for statement in _SESSION:
                cursor.execute(statement)
            cursor.execute("SHOW server_encoding")
            encoding = cursor.fetchone()
    except Exception:
        connection.close()
        raise
    if encoding != ("UTF8",):
        connection.close()
        raise StoreRefused("the database must be made with ENCODING 'UTF8'")
    return connection


def be_patient(connection: Any) -> None:
    """Let a connection wait for others' locks, and take its time within a transaction."""
    with connection.cursor() as cursor:
        cursor.execute("SET lock_timeout = '300s'")
        cursor.execute("SET idle_in_transaction_session_timeout = 0")


def sever(connection: Any) -> None:
    """Cut the line of a connection that another thread waits in, so that it stops waiting."""
    with contextlib.suppress(OSError, psycopg2.Error):
        line = socket.socket(fileno=connection.fileno())
        try:
            line.shutdown(socket.SHUT_RDWR)
        finally:
            line.detach()
