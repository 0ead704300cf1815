"""Every option of the server, once: a row here is a flag, a variable, a file entry and its help."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path

from kmsd.options import (
    Configuration,
    Given,
    fill,
    from_arguments,
    from_environment,
    misspelt,
    option,
)
from kmsd.options_file import from_file

# The first of these that exists is read when no file is named.
CONFIGURATION_FILES = (Path("/etc/cosmian/kms.toml"), Path("/etc/cosmian_kms/kms.toml"))

# Tables of the product's files whose entries may also be ours.
FOREIGN_GROUPS = ("telemetry", "tls", "socket_server", "idp_auth", "ui_config", "proxy")


class DatabaseType(StrEnum):
    """Where objects are kept."""

    SQLITE = "sqlite"


class LogLevel(StrEnum):
    """The least important events that are logged."""

    DEBUG = "debug"
    INFO = "info"
    WARN = "warn"
    ERROR = "error"


class LogFormat(StrEnum):
    """How an event is written."""

    TEXT = "text"
    JSON = "json"


@dataclass(frozen=True, kw_only=True)
class Settings:
    """The effective value of every option."""

    port: int = option(
        9998,
        "TCP port to listen on; 0 takes any free one.",
        group="http",
        low=0,
        high=65535,
    )
    hostname: str = option(
        "0.0.0.0",
        "Address to listen on; 127.0.0.1 keeps the server to this machine.",
        group="http",
    )
    endpoint: tuple[str, ...] = option(
        (),
        "Twisted endpoint string to listen on instead of --hostname and --port; may be repeated.",
        group="http",
        aliases=("endpoints",),
        separator="",
    )
    max_body_bytes: int = option(
        64 * 1024 * 1024,
        "Largest request body; a larger one is refused with 413 before it is read.",
        group="http",
        low=1024,
    )
    max_http_connections: int = option(
        4096,
        "Largest number of open connections; further ones are closed at once.",
        group="http",
        low=1,
    )
    cors_allowed_origins: tuple[str, ...] = option(
        ("*",),
        "Origins of the pages that may read answers in a browser; * is every page.",
        group="http",
    )
    header_timeout_seconds: float = option(
        10.0,
        "Time a client has to send the head of a request.",
        group="http",
        low=0.1,
    )
    idle_timeout_seconds: float = option(
        60.0,
        "Time after which a connection on which nothing is received is closed.",
        group="http",
        low=0.1,
    )
    shutdown_timeout_seconds: float = option(
        10.0,
        "Time that requests in flight have to finish when the server is stopped.",
        group="http",
        low=0,
    )

    database_type: DatabaseType = option(
        DatabaseType.SQLITE,
        "Where objects are kept.",
        group="db",
    )
    sqlite_path: Path = option(
        Path("./sqlite-data"),
        "Folder of the SQLite files; a relative one is below the root data path.",
        group="db",
    )
    clear_database: bool = option(
        False,
        "Delete ALL objects and access rights in the database at every start.",
        group="db",
    )
    object_cache_seconds: float = option(
        1.0,
        "Longest time for which another server's change can go unnoticed; 0 caches nothing.",
        group="db",
        low=0,
    )
    object_cache_size: int = option(
        10_000,
        "Largest number of objects in the cache.",
        group="db",
        low=0,
    )
    max_locate_results: int = option(
        1000,
        "Largest number of identifiers that one Locate returns.",
        group="db",
        low=1,
    )

    default_username: str = option(
        "admin",
        "User as whom a caller who presents no identity acts.",
        group="auth",
    )
    force_default_username: bool = option(
        False,
        "Let every caller act as the default user, whatever identity they present.",
        group="auth",
    )
    privileged_users: tuple[str, ...] = option(
        (),
        "Only these users, and those to whom they grant it, may create objects; "
        "empty lets everyone.",
        group="auth",
    )

    root_data_path: Path = option(
        Path("./cosmian-kms"),
        "Folder of everything the server keeps; a relative one is below the user's home.",
        group="workspace",
    )

    access_log: bool = option(
        False,
        "Log a line for each HTTP request.",
        group="logging",
    )
    log_level: LogLevel = option(
        LogLevel.INFO,
        "The least important events that are logged.",
        group="logging",
    )
    log_format: LogFormat = option(
        LogFormat.TEXT,
        "How events are written: lines of text, or one JSON object a line.",
        group="logging",
    )

    config: Path | None = option(
        None,
        "TOML file with options; else " + " or ".join(map(str, CONFIGURATION_FILES)) + ", if any.",
        group="general",
        variables=("COSMIAN_KMS_CONF",),
        short="c",
        in_file=False,
    )
    info: bool = option(
        False,
        "Print the effective configuration with the origin of each value, and exit.",
        group="general",
        flag_only=True,
    )
    print_default_config: bool = option(
        False,
        "Print a TOML file with every option, its meaning and its default, and exit.",
        group="general",
        flag_only=True,
    )
    help: bool = option(
        False,
        "Print this help and exit.",
        group="general",
        short="h",
        flag_only=True,
    )
    version: bool = option(
        False,
        "Print the version and exit.",
        group="general",
        short="V",
        flag_only=True,
    )

    @property
    def root_folder(self) -> Path:
        """The root data path, absolute."""
        return Path.home() / self.root_data_path

    @property
    def sqlite_folder(self) -> Path:
        """The folder of the SQLite files, absolute."""
        return self.root_folder / self.sqlite_path


def commands(arguments: Iterable[str]) -> Settings:
    """Read the command line alone: enough to see that only help or a sample is wanted."""
    return fill(Settings, from_arguments(Settings, arguments)).settings


def load(arguments: Iterable[str], environ: Mapping[str, str]) -> Configuration[Settings]:
    """Read every source: flag, then variable, then file, then default; raise SettingsError."""
    flags = from_arguments(Settings, arguments)
    variables = from_environment(Settings, environ)
    located = _configuration_file(flags, variables)
    entries = from_file(Settings, located.config, FOREIGN_GROUPS) if located.config else {}
    filled = fill(Settings, flags, variables, entries)
    return replace(filled, notices=misspelt(Settings, environ))


def _configuration_file(*sources: Mapping[str, Given]) -> Settings:
    """Find the file to read: the one that is named, else the first usual one that exists."""
    only = [{name: given for name, given in s.items() if name == "config"} for s in sources]
    usual = next((path for path in CONFIGURATION_FILES if path.exists()), None)
    found = {"config": Given((str(usual),), "found")} if usual else {}
    return fill(Settings, *only, found).settings
