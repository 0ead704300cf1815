"""MySQL and MariaDB: reading their URL, TLS with a PKCS#12 file, and what their errors mean."""

import contextlib
import os
import secrets
import ssl
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

import msgspec
import pymysql
from cryptography import x509
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    pkcs12,
)
from pymysql.constants import CLIENT

from kmsd.store.faults import Fault
from kmsd.store.interfaces import StoreRefused

_MODES = ("DISABLED", "PREFERRED", "REQUIRED", "VERIFY_CA", "VERIFY_IDENTITY")
_SSL_NAMES = {"sslmode": "ssl-mode", "sslca": "ssl-ca", "sslcert": "ssl-cert", "sslkey": "ssl-key"}
_KNOWN = {"ssl-mode", "ssl-ca", "ssl-cert", "ssl-key", "socket"}
_IGNORED = {"statement-cache-capacity", "charset", "collation", "timezone"}

_SESSION = (
    "SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED",
    "SET SESSION innodb_lock_wait_timeout = 4",
    "SET SESSION sql_mode = 'STRICT_ALL_TABLES,NO_ENGINE_SUBSTITUTION'",
)

_CODES = {  # https://mariadb.com/kb/en/mariadb-error-code-reference/
    **dict.fromkeys((1020, 1205, 1213, 1614), Fault.BUSY),
    **dict.fromkeys((1062, 1586), Fault.TAKEN),
    **dict.fromkeys((1050, 1060, 1061, 1091), Fault.EXISTS),
    **dict.fromkeys((1021, 1114, 3), Fault.FULL),
    **dict.fromkeys((1036, 1142, 1290, 1792, 1836), Fault.READ_ONLY),
    **dict.fromkeys((126, 127, 134, 144, 145, 1034, 1035, 1194, 1712, 1877), Fault.DAMAGED),
    **dict.fromkeys((1044, 1045, 1049, 1130, 1698, 3118), Fault.REFUSED),
    **dict.fromkeys(
        (0, 1040, 1053, 1077, 1079, 1080, 1158, 1159, 1160, 1161, 1203, 1226, 1317, 1927,
         2002, 2003, 2006, 2013, 2014, 2026, 2055, 3169, 4031),
        Fault.GONE,
    ),
}  # fmt: skip


def fault(error: Exception) -> Fault:
    """Tell what a driver's error means."""
    if not isinstance(error, pymysql.Error):
        return Fault.OTHER
    code = error.args[0] if error.args else 0
    if isinstance(getattr(error, "original_exception", None), ssl.SSLCertVerificationError):
        return Fault.UNTRUSTED
    if isinstance(error, pymysql.InterfaceError):
        return Fault.GONE
    return _CODES.get(code, Fault.OTHER)


class Address(msgspec.Struct, frozen=True, kw_only=True):
    """A database as a URL names it."""

    user: str
    password: str
    host: str
    port: int
    database: str
    parameters: dict[str, str]

    def __repr__(self) -> str:
        """Leave the password out."""
        return f"Address({self.host}:{self.port}/{self.database})"


def address(url: str) -> Address:
    """Read a URL.

    Raises:
        StoreRefused: what is wrong with it; the text does not quote the URL (it has passwords).
    """
    try:
        parts = urlsplit(url)
        port = parts.port or 3306
    except ValueError:
        raise StoreRefused(f"the MySQL URL cannot be read: it should be {_FORM}") from None
    database = unquote(parts.path.removeprefix("/"))
    if parts.scheme.lower() not in {"mysql", "mariadb"} or not parts.hostname or not database:
        raise StoreRefused(f"a MySQL URL looks like {_FORM}")
    return Address(
        user=unquote(parts.username or ""),
        password=unquote(parts.password or ""),
        host=parts.hostname,
        port=port,
        database=database,
        parameters=_parameters(parts.query),
    )


_FORM = "mysql://user:password@host:3306/database?ssl-mode=…, with %-escapes in the password"


def _parameters(query: str) -> dict[str, str]:
    parameters = {}
    for name, value in parse_qsl(query, keep_blank_values=True):
        name = _SSL_NAMES.get(name.lower().replace("_", "").replace("-", ""), name)  # noqa: PLW2901
        if name in _IGNORED:
            continue
        if name not in _KNOWN:
            known = ", ".join(sorted(_KNOWN))
            raise StoreRefused(f"the MySQL URL has the unknown parameter {name!r}; known: {known}")
        parameters[name] = value
    mode = parameters.get("ssl-mode", "PREFERRED").upper().replace("-", "_")
    if mode not in _MODES:
        raise StoreRefused(f"ssl-mode of the MySQL URL must be one of {', '.join(_MODES)}")
    return parameters


class Identity(msgspec.Struct, frozen=True):
    """A client certificate from a PKCS#12 file."""

    key: Any
    certificates: tuple[x509.Certificate, ...]
    authorities: tuple[x509.Certificate, ...]

    @property
    def common_name(self) -> str:
        """The subject's CN, or nothing."""
        names = self.certificates[0].subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME)
        return str(names[0].value) if names else ""

    def __repr__(self) -> str:
        """Leave the key out."""
        return f"Identity({self.common_name!r})"


def identity(path: Path, password: str) -> Identity:
    """Read a PKCS#12 file: key, certificate and what else is in it.

    Raises:
        StoreRefused: it cannot be read, or has no key or certificate.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise StoreRefused(f"cannot read the MySQL certificate {path}: {error.strerror}") from None
    bundle = _bundle(data, password)
    if bundle is None:
        raise StoreRefused(f"the MySQL certificate {path} is no PKCS#12 file of this password")
    if bundle.key is None or bundle.cert is None:
        raise StoreRefused(f"the MySQL certificate {path} lacks the private key or certificate")
    others = tuple(each.certificate for each in bundle.additional_certs)
    return Identity(
        bundle.key,
        (bundle.cert.certificate, *others),
        tuple(each for each in others if _is_authority(each)),
    )


def _bundle(data: bytes, password: str) -> pkcs12.PKCS12KeyAndCertificates | None:
    # Writers disagree on whether no password is an empty one or none.
    for candidate in [password.encode()] if password else [b"", None]:
        with contextlib.suppress(ValueError):
            return pkcs12.load_pkcs12(data, candidate)
    return None


def _is_authority(certificate: x509.Certificate) -> bool:
    try:
        return certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except x509.ExtensionNotFound:
        return certificate.issuer == certificate.subject


def tls(place: Address, client: Identity | None) -> dict[str, Any]:
    """Return the driver's arguments for TLS.

    Without `ssl-mode` a connection is encrypted if the server can, and with a client certificate
    the server's own must come from an authority in the PKCS#12 file, in `ssl-ca`, or in the system.

    Raises:
        StoreRefused: a file that the URL names cannot be read.
    """
    trusts = client is not None or "ssl-ca" in place.parameters
    mode = place.parameters.get("ssl-mode", "VERIFY_CA" if trusts else "PREFERRED")
    mode = mode.upper().replace("-", "_")
    if mode == "DISABLED":
        return {"ssl_disabled": True}
    if mode == "PREFERRED" and not trusts:
        return {}  # what the driver does by itself
    try:
        return {"ssl": _context(mode, place, client)}
    except OSError as error:
        raise StoreRefused(f"TLS files of the MySQL URL: {error.strerror}") from None


def _context(mode: str, place: Address, client: Identity | None) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=place.parameters.get("ssl-ca"))
    context.check_hostname = mode == "VERIFY_IDENTITY"
    if not mode.startswith("VERIFY"):
        context.verify_mode = ssl.CERT_NONE
    # Certificates that MySQL makes for itself break the strict rules of newer Pythons.
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    for authority in client.authorities if client else ():
        context.load_verify_locations(cadata=authority.public_bytes(Encoding.PEM).decode())
    _present(context, place, client)
    return context


def _present(context: ssl.SSLContext, place: Address, client: Identity | None) -> None:
    """Let a context show the client's certificate."""
    if client is not None:
        _load(context, client)
    elif "ssl-cert" in place.parameters:
        context.load_cert_chain(place.parameters["ssl-cert"], place.parameters.get("ssl-key", None))


def _load(context: ssl.SSLContext, client: Identity) -> None:
    """Load a key that is only in memory: the ssl module wants a path, so give it one to memory.

    The key is encrypted under a password of this moment even there.
    """
    once = secrets.token_hex(32).encode()
    pem = client.key.private_bytes(
        Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(once)
    ) + b"".join(each.public_bytes(Encoding.PEM) for each in client.certificates)
    descriptor = os.memfd_create("kmsd", os.MFD_CLOEXEC)
    try:
        os.write(descriptor, pem)
        context.load_cert_chain(f"/proc/self/fd/{descriptor}", password=once)
    finally:
        os.close(descriptor)


def user(place: Address, client: Identity | None) -> str:
    """Return who to log in as: the URL's user or the certificate's CN, never the system's user.

    Raises:
        StoreRefused: neither says.
    """
    name = place.user or (client.common_name if client else "")
    if not name:
        raise StoreRefused("the MySQL URL names no user: mysql://USER:password@host:3306/database")
    return name


def connect(place: Address, name: str, tls_arguments: dict[str, Any]) -> Any:
    """Connect as `name`; every step is bounded in time."""
    connection = pymysql.connect(
        host=place.host,
        port=place.port,
        unix_socket=place.parameters.get("socket"),
        user=name,
        password=place.password.encode(),  # as a text it must be latin-1
        database=place.database,
        charset="utf8mb4",
        **tls_arguments,
        client_flag=CLIENT.FOUND_ROWS,  # compare-and-set counts the rows it found
        autocommit=True,
        connect_timeout=3,
        read_timeout=8,
        write_timeout=8,
    )
    try:
        with connection.cursor() as cursor:
            for statement in _SESSION:
                cursor.execute(statement)
    except Exception:
        connection.close()
        raise
    return connection


def be_patient(connection: Any) -> None:
    """Let a connection wait for statements that take long, as changes of the schema do."""
    connection._read_timeout = None  # noqa: SLF001 (the driver has no other way)
