"""TLS to the databases: users who must show a certificate, servers that must be the right ones."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption

from kmsd.store import Database, open_store, prepare, source_of
from kmsd.store.interfaces import Insert, StoreRefused
from tests import pki
from tests.databases import MariaDB, PostgreSQL, Server, running
from tests.reactor import ensureDeferred, reactor
from tests.records import record

ROOT = pki.authority("database root")
OTHER = pki.authority("another root")
SERVER = pki.issue(ROOT, "db.example", names=("db.example",), usages=(pki.SERVER,))
CLIENT = pki.issue(ROOT, "kms_user", names=(), usages=(pki.CLIENT,))
STRANGER = pki.issue(OTHER, "kms_user", names=(), usages=(pki.CLIENT,))


def certified(server: Server) -> tuple[Path, Path, Path]:
    """Give a server its certificate; return the paths of authority, certificate and key."""
    return (
        server.keep("ca.pem", ROOT.pem),
        server.keep("server.pem", SERVER.pem),
        server.keep("server.key", SERVER.key_pem()),
    )


@pytest.fixture(scope="module")
def mariadb_tls() -> Iterator[MariaDB]:
    server = MariaDB()
    ca, certificate, key = certified(server)
    server.options += [f"--ssl-ca={ca}", f"--ssl-cert={certificate}", f"--ssl-key={key}"]
    with running(server):
        yield server


@pytest.fixture(scope="module")
def postgresql_tls() -> Iterator[PostgreSQL]:
    server = PostgreSQL()
    _, certificate, key = certified(server)
    server.options += ["--ssl=on", f"--ssl_cert_file={certificate}", f"--ssl_key_file={key}"]
    with running(server):
        yield server


def x509_url(server: MariaDB, *, user: str = "") -> str:
    """Make a database whose user has no password but must show a certificate; return its URL."""
    name = server.new_url().rsplit("/", 1)[1]
    server.execute("CREATE USER IF NOT EXISTS kms_user@'%%' REQUIRE X509")
    server.execute(f"GRANT ALL ON {name}.* TO kms_user@'%%'")
    return f"mysql://{user}127.0.0.1:{server.port}/{name}"


def p12(folder: Path, password: bytes = b"", client: pki.Identity = CLIENT) -> Path:
    file = folder / "user.p12"
    encryption = BestAvailableEncryption(password) if password else None
    file.write_bytes(client.p12(ROOT.certificate, encryption=encryption))
    return file


@pytest.mark.parametrize("password", ["", "pässword"])
@ensureDeferred
async def test_one_file_is_all_that_mariadb_wants(
    mariadb_tls: MariaDB, tmp_path: Path, password: str
) -> None:
    """A PKCS#12 file with key, certificate and authority reaches a user `REQUIRE X509`.

    As in the product's document: the URL names no user, the certificate does.
    """
    database = Database(
        type="mysql",
        url=x509_url(mariadb_tls),
        mysql_user_cert_file=p12(tmp_path, password.encode()),
        mysql_user_cert_password=password,
    )
    store = open_store(reactor, database)
    await store.write(Insert(record("a")))
    assert await store.get("a")
    await store.close()


def refused(database: Database, says: str) -> None:
    with pytest.raises(StoreRefused, match=says):
        prepare(source_of(database))


def test_without_the_certificate_mariadb_refuses(mariadb_tls: MariaDB, tmp_path: Path) -> None:
    """No certificate, or one of another authority, does not log in."""
    url = x509_url(mariadb_tls, user="kms_user@")
    refused(Database(type="mysql", url=url), "refuses the user")
    stranger = p12(tmp_path, client=STRANGER)
    with pytest.raises(Exception, match=r"refuses|lost"):
        prepare(source_of(Database(type="mysql", url=url, mysql_user_cert_file=stranger)))


def test_a_wrong_mariadb_is_not_believed(mariadb_tls: MariaDB, tmp_path: Path) -> None:
    """The server's certificate must come from a trusted authority, and name the host if asked."""
    url = mariadb_tls.new_url()
    wrong, right = tmp_path / "wrong.pem", tmp_path / "right.pem"
    wrong.write_bytes(OTHER.pem)
    right.write_bytes(ROOT.pem)
    refused(Database(type="mysql", url=f"{url}?ssl-ca={wrong}"), "not trusted")
    refused(Database(type="mysql", url=f"{url}?ssl-mode=VERIFY_CA"), "not trusted")
    identity = f"{url}?ssl-mode=VERIFY_IDENTITY&ssl-ca={right}"
    refused(Database(type="mysql", url=identity), "not trusted")
    for parameters in (f"ssl-ca={right}", "ssl-mode=REQUIRED", "ssl-mode=DISABLED", ""):
        prepare(source_of(Database(type="mysql", url=f"{url}?{parameters}")))


def test_certificate_files_of_the_url(mariadb_tls: MariaDB, tmp_path: Path) -> None:
    """`ssl-cert` and `ssl-key` do what the PKCS#12 file does."""
    certificate, key = CLIENT.write(tmp_path, "client")
    url = x509_url(mariadb_tls, user="kms_user@")
    files = f"?ssl-mode=REQUIRED&ssl-cert={certificate}&ssl-key={key}"
    prepare(source_of(Database(type="mysql", url=url + files)))


def test_a_wrong_postgresql_is_not_believed(postgresql_tls: PostgreSQL, tmp_path: Path) -> None:
    """The same of PostgreSQL, in libpq's words."""
    url = postgresql_tls.new_url()
    wrong, right = tmp_path / "wrong.pem", tmp_path / "right.pem"
    wrong.write_bytes(OTHER.pem)
    right.write_bytes(ROOT.pem)
    for parameters in (
        f"sslmode=verify-ca&sslrootcert={wrong}",
        f"sslmode=verify-full&sslrootcert={right}",
        f"ssl-mode=verify-ca&ssl-ca={tmp_path}/absent",
    ):
        refused(Database(type="postgresql", url=f"{url}?{parameters}"), "not trusted")
    for parameters in (f"sslmode=verify-ca&sslrootcert={right}", "sslmode=require"):
        prepare(source_of(Database(type="postgresql", url=f"{url}?{parameters}")))


def test_postgresql_must_keep_unicode(postgresql_tls: PostgreSQL) -> None:
    """A database of another encoding is refused: it would lose names."""
    url = postgresql_tls.new_url()
    postgresql_tls.execute("CREATE DATABASE latin ENCODING 'LATIN1' TEMPLATE template0 LOCALE 'C'")
    latin = url.rsplit("/", 1)[0] + "/latin"
    refused(Database(type="postgresql", url=latin), "ENCODING 'UTF8'")
