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
    SQLITE_ENC = "sqlite-enc"
    POSTGRESQL = "postgresql"
    MYSQL = "mysql"

    @property
    def is_file(self) -> bool:
        """Whether objects are in files of ours, and not on a server that has a URL."""
        return self in {DatabaseType.SQLITE, DatabaseType.SQLITE_ENC}


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

    https_p12_file: Path | None = option(
        None,
        "PKCS#12 file with the server's key, certificate and chain: serves HTTPS. A relative path"
        " is below the root data path, as for every certificate file.",
        group="http",
        aliases=("tls_p12_file",),
    )
    https_p12_password: str | None = option(
        None,
        "Password of the PKCS#12 file.",
        group="http",
        aliases=("tls_p12_password",),
        secret=True,
    )
    tls_cert_file: Path | None = option(
        None,
        "PEM file with the server's certificate, and perhaps its chain: serves HTTPS.",
        group="http",
    )
    tls_key_file: Path | None = option(
        None,
        "PEM file with the key of --tls-cert-file; without it the key is in that file.",
        group="http",
    )
    tls_chain_file: Path | None = option(
        None,
        "PEM file with the issuers of --tls-cert-file, if they are not in that file.",
        group="http",
    )
    tls_cipher_suites: tuple[str, ...] = option(
        (),
        "Only these of the TLS cipher suites, by their IANA or OpenSSL names.",
        group="http",
    )
    authority_cert_file: Path | None = option(
        None,
        "PEM file of authorities: clients must show a certificate that one of them signed, and are"
        " called by its common name. Revocation lists may be in the same file.",
        group="http",
        aliases=("clients_ca_cert_file",),
    )
    use_certbot: bool = option(
        False,
        "Obtain and renew the server's certificate by ACME.",
        group="http",
    )
    certbot_hostname: str = option(
        "",
        "Host name to certify, under which the authority reaches this server.",
        group="http",
        aliases=("certbot_server_name",),
    )
    certbot_email: str = option(
        "",
        "Where the ACME authority writes to.",
        group="http",
    )
    certbot_ssl_path: Path = option(
        Path("./certbot-ssl"),
        "Folder of ACME's keys and certificates; a relative one is below the root data path.",
        group="http",
    )
    certbot_directory_url: str = option(
        "",
        "Directory of the ACME authority; Let's Encrypt's when empty.",
        group="http",
        hidden=True,
    )
    certbot_directory_ca_file: Path | None = option(
        None,
        "PEM file of who signs for the host of --certbot-directory-url.",
        group="http",
        hidden=True,
    )
    certbot_http_port: int = option(
        80,
        "Port on which ACME's HTTP-01 is answered; 0 leaves it to TLS-ALPN-01.",
        group="http",
        low=0,
        high=65535,
        hidden=True,
    )

    socket_server_start: bool = option(
        False,
        "Listen for binary KMIP over TLS too, with the certificate and authorities of HTTPS:"
        " clients must show a certificate.",
        group="socket_server",
    )
    socket_server_port: int = option(
        5696,
        "TCP port of binary KMIP; 0 takes any free one.",
        group="socket_server",
        low=0,
        high=65535,
    )
    socket_server_hostname: str = option(
        "0.0.0.0",
        "Address to listen on for binary KMIP.",
        group="socket_server",
    )
    max_socket_connections: int = option(
        10_000,
        "Largest number of open KMIP connections; further ones are closed at once.",
        group="socket_server",
        low=1,
    )
    socket_idle_timeout_seconds: float = option(
        3_600.0,
        "Time after which a KMIP connection on which nothing happens is closed.",
        group="socket_server",
        low=0.1,
    )

    database_type: DatabaseType = option(
        DatabaseType.SQLITE,
        "Where objects are kept: an SQLite file, one encrypted SQLite file for each caller of"
        " POST /new_database, PostgreSQL, or MySQL or MariaDB.",
        group="db",
    )
    database_url: str = option(
        "",
        "Where the database is and who to log in as: postgresql://user:password@host:5432/name or"
        " mysql://user:password@host:3306/name, special characters as %xx.",
        group="db",
        secret=True,
    )
    postgres_url: str = option(
        "",
        "Older name of --database-url, for PostgreSQL alone.",
        group="db",
        secret=True,
        hidden=True,
    )
    mysql_url: str = option(
        "",
        "Older name of --database-url, for MySQL alone.",
        group="db",
        secret=True,
        hidden=True,
    )
    mysql_user_cert_file: Path | None = option(
        None,
        "PKCS#12 file with which to log in to MySQL or MariaDB; a relative path is below the root"
        " data path.",
        group="db",
        aliases=("user_cert_path",),
    )
    mysql_user_cert_password: str = option(
        "",
        "Password of --mysql-user-cert-file.",
        group="db",
        secret=True,
    )
    max_connections: int = option(
        5,
        "Largest number of connections to the database.",
        group="db",
        variables=("KMS_DB_MAX_CONNECTIONS",),
        low=3,
        high=1000,
    )
    sqlite_path: Path = option(
        Path("./sqlite-data"),
        "Folder of the SQLite files; a relative one is below the root data path.",
        group="db",
    )
    max_open_databases: int = option(
        100,
        "Largest number of encrypted databases that are kept open; the longest unused one closes.",
        group="db",
        low=1,
    )
    new_database_limit: int | None = option(
        None,
        "Largest number of encrypted databases that POST /new_database makes in all; 0 switches it"
        " off.",
        group="db",
        low=0,
    )
    new_database_rate: float = option(
        0.0,
        "Largest number of encrypted databases that POST /new_database makes in a minute; 0 is any"
        " number.",
        group="db",
        low=0,
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
    kek_file: Path | None = option(
        None,
        "File with the key-encryption key under which every object in the database is sealed: 32"
        " bytes, or keys in hex or base64 on a line each; the first one seals, the others open"
        " what was sealed before. A relative path is below the root data path.",
        group="db",
    )
    key_encryption_key: str = option(
        "",
        "Identifier of an AES-256 key in the database under which all other objects there are"
        " sealed.",
        group="db",
    )
    unwrapped_cache_max_age: float = option(
        15.0,
        "Longest time, in minutes, for which an object that was opened with the key-encryption key"
        " is remembered.",
        group="db",
        low=0,
    )
    unwrapped_cache_max_size: int = option(
        1000,
        "Largest number of such objects; 0 remembers none.",
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
    jwt_issuer_uri: tuple[str, ...] = option(
        (),
        "Issuer of the bearer tokens (JWT) by which callers are known: their `iss`, exactly."
        " May be a list; the two lists that follow then go by position.",
        group="auth",
    )
    jwks_uri: tuple[str, ...] = option(
        (),
        "Where an issuer's keys are, by https; without it, at ISSUER/.well-known/jwks.json.",
        group="auth",
    )
    jwt_audience: tuple[str, ...] = option(
        (),
        "What must be among a token's `aud`; without it, any token of the issuer is taken.",
        group="auth",
        variables=("KMS_JST_AUDIENCE",),
    )
    jwt_auth_provider: tuple[str, ...] = option(
        (),
        "The same in one: ISSUER,JWKS_URI,AUDIENCE,AUDIENCE..., all but the first optional; may be"
        " repeated.",
        group="auth",
        separator="",
    )
    auth0_authority_domain: str = option(
        "",
        "The same for a domain of Auth0: its issuer is https://DOMAIN/.",
        group="auth",
    )
    jwks_ca_file: Path | None = option(
        None,
        "PEM file of who signs for the hosts of the issuers' keys, in place of the system's"
        " authorities.",
        group="auth",
    )
    api_tokens: bool = option(
        False,
        "Take the tokens that `kmsd-admin token create` makes; every caller must then be known.",
        group="auth",
    )
    api_token_id: str = option(
        "",
        "Identifier of an active symmetric key: its bytes, in base64, are the bearer token of the"
        " default user. Not used beside --jwt-... and --authority-cert-file.",
        group="auth",
        variables=("KMS_API_TOKEN",),
    )
    shared_user_names: bool = option(
        False,
        "Where callers are known by JWT and by certificate, take both kinds of one name for one"
        " user; else a certificate's name that has an @ is called cn:NAME.",
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
    def effective_database_url(self) -> str:
        """The URL of the database, also by its older names."""
        older = {
            DatabaseType.POSTGRESQL: self.postgres_url,
            DatabaseType.MYSQL: self.mysql_url,
        }
        return self.database_url or older.get(self.database_type, "")

    @property
    def serves_tls(self) -> bool:
        """Whether --hostname and --port are served by TLS."""
        return bool(self.use_certbot or self.https_p12_file or self.tls_cert_file)

    def below_root(self, path: Path | None) -> Path | None:
        """Return a path, a relative one below the root data path."""
        return None if path is None else self.root_folder / path

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
