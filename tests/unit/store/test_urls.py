"""URLs of PostgreSQL and MySQL, and the PKCS#12 file of a MySQL user."""

import datetime as dt
import ssl
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    KeySerializationEncryption,
    NoEncryption,
    pkcs12,
)

from kmsd.store import Database, mysql, postgresql, source_of
from kmsd.store.interfaces import StoreRefused

SECRET = "s3cr3t"


def test_postgresql_urls_are_libpq_urls() -> None:
    """Both schemes, escapes, ports, IPv6 and TLS parameters; defaults give way to the URL."""
    given = postgresql.arguments(
        "postgres://a%40b:p%2Fw%3A@[::1]:6432/d%20b?sslmode=verify-full&sslrootcert=/ca"
    )
    assert given["user"] == "a@b"
    assert given["password"] == "p/w:"
    assert (given["host"], given["port"], given["dbname"]) == ("::1", "6432", "d b")
    assert (given["sslmode"], given["sslrootcert"]) == ("verify-full", "/ca")
    assert given["client_encoding"] == "UTF8"
    assert postgresql.arguments("POSTGRESQL://h/d?connect_timeout=7")["connect_timeout"] == "7"
    several = postgresql.arguments("postgresql://a:1,b:2/d?target_session_attrs=read-write")
    assert (several["host"], several["port"]) == ("a,b", "1,2")


def test_other_servers_names_for_parameters_are_understood() -> None:
    """The names that the product's own driver uses mean the same; its tuning is passed over."""
    given = postgresql.arguments(
        "postgres://h/d?ssl-mode=require&statement-cache-capacity=5&ssl-ca=/x&application-name=y"
    )
    assert (given["sslmode"], given["sslrootcert"]) == ("require", "/x")
    assert given["application_name"] == "y"
    assert not any("cache" in name for name in given)


@pytest.mark.parametrize(
    "url",
    [
        f"mysql://u:{SECRET}@h/d",
        f"u:{SECRET}@h/d",
        f"postgresql+psycopg2://u:{SECRET}@h/d",
        f"postgresql://u:{SECRET}@h/d?unknown=1",
        f"postgresql://u:{SECRET}%zz@h/d",
        f"postgresql://u:{SECRET}@[::1/d",
        "",
    ],
)
def test_bad_postgresql_urls_are_not_quoted(url: str) -> None:
    """The error says what a URL looks like, and shows nothing of this one."""
    with pytest.raises(StoreRefused, match="postgresql://") as caught:
        postgresql.arguments(url)
    assert SECRET not in str(caught.value)
    assert caught.value.__cause__ is None


def test_mysql_urls() -> None:
    """Escapes, ports, IPv6 and parameters."""
    place = mysql.address(
        "mysql://a%40b:p%2Fw%3A%C3%A9@[::1]:3307/d%20b?ssl-mode=required&socket=/s"
    )
    assert (place.user, place.password) == ("a@b", "p/w:é")
    assert (place.host, place.port, place.database) == ("::1", 3307, "d b")
    assert place.parameters == {"ssl-mode": "required", "socket": "/s"}
    plain = mysql.address("mariadb://h/d?sslMode=VERIFY_CA&ssl_ca=/x&charset=latin1")
    assert (plain.user, plain.port) == ("", 3306)
    assert plain.parameters == {"ssl-mode": "VERIFY_CA", "ssl-ca": "/x"}
    assert "p/w" not in repr(place)


@pytest.mark.parametrize(
    ("url", "says"),
    [
        (f"postgresql://u:{SECRET}@h/d", "looks like mysql://"),
        (f"mysql://u:{SECRET}@h", "looks like mysql://"),
        (f"mysql://u:{SECRET}@h/", "looks like mysql://"),
        (f"mysql:///{SECRET}", "looks like mysql://"),
        (f"mysql://u:{SECRET}@h:port/d", "cannot be read"),
        (f"mysql://u:{SECRET}@h:99999/d", "cannot be read"),
        (f"mysql://u:{SECRET}@[::1/d", "cannot be read"),
        (f"mysql://u:{SECRET}@h/d?ssl-moed=x", "unknown parameter 'ssl-moed'"),
        (f"mysql://u:{SECRET}@h/d?ssl-mode=yes", "must be one of DISABLED"),
    ],
)
def test_bad_mysql_urls_are_not_quoted(url: str, says: str) -> None:
    """The error says what is wrong, and shows nothing of the password."""
    with pytest.raises(StoreRefused, match=says) as caught:
        mysql.address(url)
    assert SECRET not in str(caught.value)
    assert caught.value.__cause__ is None


def certificate(
    name: str = "kms user", *, bare: bool = False
) -> tuple[ec.EllipticCurvePrivateKey, x509.Certificate]:
    key = ec.generate_private_key(ec.SECP256R1())
    attributes = [] if bare else [x509.NameAttribute(x509.NameOID.COMMON_NAME, name)]
    subject = x509.Name(attributes)
    now = dt.datetime.now(dt.UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now)
        .not_valid_after(now + dt.timedelta(days=1))
    )
    if name == "authority":
        builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=None), True)
    return key, builder.sign(key, hashes.SHA256())


def bundle(
    folder: Path, password: bytes | None = None, *, bare: bool = False, parts: str = "kca"
) -> Path:
    """Write a PKCS#12 file with a key (k), its certificate (c), and two authorities (a)."""
    key, own = certificate(bare=bare)
    encryption: KeySerializationEncryption = (
        BestAvailableEncryption(password) if password else NoEncryption()
    )
    others = [certificate("authority")[1], certificate("old style")[1]] if "a" in parts else None
    made = pkcs12.serialize_key_and_certificates(
        b"kms",
        key if "k" in parts else None,
        own if "c" in parts else None,
        others,
        encryption,
    )
    file = folder / "user.p12"
    file.write_bytes(made)
    return file


@pytest.mark.parametrize("password", ["", "pässword"])
def test_a_pkcs12_file_is_an_identity(tmp_path: Path, password: str) -> None:
    """Its key, certificate and authorities are read, and the key is never shown."""
    client = mysql.identity(bundle(tmp_path, password.encode() or None), password)
    assert client.common_name == "kms user"
    assert [len(client.certificates), len(client.authorities)] == [3, 2]
    assert repr(client) == "Identity('kms user')"


@pytest.mark.parametrize(
    ("parts", "password", "says"),
    [("ca", "", "lacks the private key"), ("a", "", "lacks"), ("kc", "wrong", "no PKCS#12 file")],
)
def test_pkcs12_files_that_do_not_do(tmp_path: Path, parts: str, password: str, says: str) -> None:
    """What is missing is named; the password is not."""
    file = bundle(tmp_path, b"right" if password else None, parts=parts)
    with pytest.raises(StoreRefused, match=says):
        mysql.identity(file, password)


def test_a_pkcs12_file_that_is_none(tmp_path: Path) -> None:
    """Neither garbage nor nothing is an identity."""
    (tmp_path / "x").write_bytes(b"garbage")
    with pytest.raises(StoreRefused, match="no PKCS#12 file"):
        mysql.identity(tmp_path / "x", "")
    with pytest.raises(StoreRefused, match="No such file"):
        mysql.identity(tmp_path / "y", "")


def test_who_logs_in(tmp_path: Path) -> None:
    """The URL's user, else the certificate's name, never the system's user."""
    client = mysql.identity(bundle(tmp_path), "")
    nameless = mysql.identity(bundle(tmp_path, bare=True), "")
    named, anonymous = mysql.address("mysql://me@h/d"), mysql.address("mysql://h/d")
    assert mysql.user(named, client) == "me"
    assert mysql.user(anonymous, client) == "kms user"
    for lacking in (None, nameless):
        with pytest.raises(StoreRefused, match="names no user"):
            mysql.user(anonymous, lacking)


@pytest.mark.parametrize(
    ("mode", "verifies", "host"),
    [
        ("", ssl.CERT_REQUIRED, False),
        ("?ssl-mode=VERIFY_CA", ssl.CERT_REQUIRED, False),
        ("?ssl-mode=verify-identity", ssl.CERT_REQUIRED, True),
        ("?ssl-mode=REQUIRED", ssl.CERT_NONE, False),
        ("?ssl-mode=PREFERRED", ssl.CERT_NONE, False),
    ],
)
def test_tls_with_a_client_certificate(
    tmp_path: Path,
    mode: str,
    verifies: int,
    host: bool,  # noqa: FBT001 (a column)
) -> None:
    """The server is verified unless the URL says less; the authorities are those of the file."""
    client = mysql.identity(bundle(tmp_path), "")
    context = mysql.tls(mysql.address(f"mysql://h/d{mode}"), client)["ssl"]
    assert (context.verify_mode, context.check_hostname) == (verifies, host)
    subjects = [dict(each[0] for each in ca["subject"]) for ca in context.get_ca_certs()]
    assert {"commonName": "authority"} in subjects


def test_tls_without_a_client_certificate(tmp_path: Path) -> None:
    """Without anything said the driver uses TLS if the server does; otherwise what is said."""
    address = mysql.address
    assert mysql.tls(address("mysql://h/d"), None) == {}
    assert mysql.tls(address("mysql://h/d?ssl-mode=DISABLED"), None) == {"ssl_disabled": True}
    context = mysql.tls(address("mysql://h/d?ssl-mode=REQUIRED"), None)["ssl"]
    assert context.verify_mode == ssl.CERT_NONE
    for parameters in (f"ssl-ca={tmp_path}/absent", f"ssl-mode=REQUIRED&ssl-cert={tmp_path}/no"):
        with pytest.raises(StoreRefused, match="No such file"):
            mysql.tls(address(f"mysql://h/d?{parameters}"), None)


def test_settings_that_do_not_fit(tmp_path: Path) -> None:
    """A missing URL or an unknown type is named; a URL never shows in a Database's repr."""
    for kind in ("postgresql", "mysql"):
        with pytest.raises(StoreRefused, match=f"{kind} needs a database URL"):
            source_of(Database(type=kind, path=tmp_path))
    with pytest.raises(StoreRefused, match="must be one of sqlite, sqlite-enc"):
        source_of(Database(type="redis", path=tmp_path))
    assert SECRET not in repr(Database(type="mysql", url=f"mysql://u:{SECRET}@h/d"))
