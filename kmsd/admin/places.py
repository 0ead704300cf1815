"""Databases as the operator names them: by URL, or as the server's own settings do."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import msgspec

from kmsd.databases import database
from kmsd.settings import DatabaseType, Settings
from kmsd.store import SQLITE_FILE, Database, dialects, prepare, secret, source_of, sqlite
from kmsd.store.faults import Fault, description, store_error
from kmsd.store.interfaces import StoreRefused
from kmsd.store.secret import Malformed, Secret
from kmsd.store.session import Source

_ABOUT_SECRETS = "an encrypted database needs its secret, as POST /new_database returned it"
_SUFFIXES = {".db", ".sqlite", ".sqlite3"}
_SQLITE_MAGIC = b"SQLite format 3\0"


class Place(msgspec.Struct, frozen=True, kw_only=True):
    """A database: how to reach it, its file if it is one, and a name that holds no password."""

    source: Source
    name: str
    file: Path | None = None
    new_secret: str = ""

    def make_ready(self) -> None:
        """Bring the schema up to date. Raises: StoreError."""
        prepare(self.source, path=self.file)


class Access(msgspec.Struct, frozen=True, kw_only=True):
    """What else reaches a database: the secret of an encrypted one, a MySQL certificate."""

    secret: str = ""
    certificate: Path | None = None
    certificate_password: str = ""

    def __repr__(self) -> str:
        """Show nothing."""
        return "Access(…)"


def of_url(url: str, access: Access, *, make: bool = False) -> Place:
    """Return the database of a URL: sqlite:, sqlite-enc:, postgresql: or mysql:.

    With `make` a missing file is made, with a new secret if it is encrypted and none is given.

    Raises:
        StoreError: the URL or the secret cannot be used; the text quotes neither.
    """
    scheme = url.partition(":")[0].lower()
    if scheme == "sqlite":
        return _file(_path(url, SQLITE_FILE), make=make)
    if scheme == "sqlite-enc":
        return _encrypted(_path(url, ""), access.secret, make=make)
    kinds = {"postgres": "postgresql", "postgresql": "postgresql"}
    kinds |= {"mysql": "mysql", "mariadb": "mysql"}
    if scheme not in kinds:
        schemes = "sqlite:, sqlite-enc:, postgresql: or mysql:"
        raise StoreRefused(f"a database's URL begins with {schemes}, as sqlite:///folder")
    return _server(
        Database(
            type=kinds[scheme],
            url=url,
            mysql_user_cert_file=access.certificate,
            mysql_user_cert_password=access.certificate_password,
        )
    )


def of_settings(settings: Settings, access: Access, *, make: bool = False) -> Place:
    """Return the database that a server with these settings uses. Raises: StoreError."""
    described = database(settings)
    if settings.database_type is DatabaseType.SQLITE:
        return _file(described.path / SQLITE_FILE, make=make)
    if settings.database_type is DatabaseType.SQLITE_ENC:
        return _encrypted(described.path, access.secret, make=make)
    return _server(described)


def _path(url: str, file: str) -> Path:
    """Return the path of an SQLite URL; `file` is added to that of a folder."""
    path = Path(unquote(url.partition(":")[2].removeprefix("//")) or ".").absolute()
    if not file or path.is_file() or (path.suffix in _SUFFIXES and not path.is_dir()):
        return path
    return path / file


def _server(described: Database) -> Place:
    parts = urlsplit(described.url)
    name = f"{described.type}://{parts.hostname}:{parts.port or ''}{parts.path}"
    return Place(source=source_of(described), name=name)


def _file(path: Path, *, make: bool) -> Place:
    if make:
        sqlite.create(path)
    elif not path.is_file():
        raise StoreRefused(f"there is no database {path}")
    source = Source(dialects.SQLITE, partial(sqlite.connect, path))
    return Place(source=source, name=f"sqlite:{path}", file=path)


def _encrypted(path: Path, text: str, *, make: bool) -> Place:
    """Return a tenant's file: by its own path, or in a folder by its secret's number."""
    named, new_secret = _secret(text, make=make)
    if path.suffix not in _SUFFIXES or path.is_dir():
        path /= named.file_name
    if make:
        sqlite.create(path)
    elif not path.is_file() or path.stat().st_size == 0:
        raise StoreRefused("the secret opens no database")
    return _keyed(path, named, new_secret)


def _keyed(
    path: Path,
    named: Secret,
    new_secret: str = "",
    connect: Callable[[Path, bytes], Any] = sqlite.connect_encrypted,
) -> Place:
    opening = partial(connect, path, named.key)
    try:
        opening().close()
    except Exception as error:  # noqa: BLE001 (the drivers' errors have no common base)
        fault = sqlite.fault(error)
        if fault is Fault.DAMAGED:
            raise StoreRefused(f"the secret does not open {path}") from None
        raise store_error(fault, description(error)) from None
    source = Source(dialects.SQLCIPHER, opening)
    return Place(source=source, name=f"sqlite-enc:{path}", file=path, new_secret=new_secret)


def _secret(text: str, *, make: bool) -> tuple[Secret, str]:
    if not text and make:
        made = secret.new()
        return made, secret.written(made)
    try:
        return secret.read(text), ""
    except Malformed:
        raise StoreRefused(_ABOUT_SECRETS) from None


def backup_file(path: Path, origin: Place, access: Access) -> Place:
    """Make a backup's file; that of an encrypted database is encrypted under the same secret."""
    if origin.source.dialect is not dialects.SQLCIPHER:
        return _file(path, make=True)
    named, _ = _secret(access.secret, make=False)
    sqlite.create(path)
    return _keyed(path, named)


def of_backup(path: Path, access: Access) -> Place:
    """Return the database that a backup is, without changing its file. Raises: StoreError."""
    if not path.is_file():
        raise StoreRefused(f"there is no backup {path}")
    with path.open("rb") as opened:
        plain = opened.read(len(_SQLITE_MAGIC)) == _SQLITE_MAGIC
    if plain:
        source = Source(dialects.SQLITE, partial(sqlite.connect_unchanged, path))
        return Place(source=source, name=f"backup:{path}", file=path)
    named, _ = _secret(access.secret, make=False)
    return _keyed(path, named, connect=sqlite.connect_unchanged)


def from_environment(environ: Mapping[str, str] = os.environ) -> Settings:
    """Return the server's settings: KMS_ variables and its file. Raises: SettingsError."""
    from kmsd.settings import load

    return load((), environ).settings
