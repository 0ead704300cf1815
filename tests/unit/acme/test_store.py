"""What lies on disk, and with which rights."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Any

import pem
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from twisted.internet.defer import Deferred
from txacme.interfaces import ICertificateStore

from kmsd.acme.store import PrivateStore, account_key, host_name, private_folder, write_private
from tests import pki


def result(deferred: Deferred[Any]) -> Any:
    found: list[Any] = []
    deferred.addBoth(found.append)
    return found[0]


def rights(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.fixture
def open_umask() -> Any:
    """Take away the umask that would hide a wrong mode."""
    before = os.umask(0)
    yield
    os.umask(before)


@pytest.mark.usefixtures("open_umask")
def test_keys_are_for_the_owner_only(tmp_path: Path) -> None:
    """Folder 0700 and files 0600, whatever the umask and the mode of a left-over."""
    folder = private_folder(tmp_path / "new" / "ssl")
    assert rights(folder) == 0o700
    (folder / ".x.pem.new").write_bytes(b"left over")
    (folder / ".x.pem.new").chmod(0o666)
    write_private(folder / "x.pem", b"content")
    assert (rights(folder / "x.pem"), (folder / "x.pem").read_bytes()) == (0o600, b"content")
    account_key(folder)
    assert rights(folder / "account.key") == 0o600


def test_a_planted_link_is_not_followed(tmp_path: Path) -> None:
    """A symbolic link in the place of the temporary file is an error, and its target stays."""
    (tmp_path / "target").write_bytes(b"precious")
    (tmp_path / ".x.pem.new").symlink_to(tmp_path / "target")
    with pytest.raises(OSError, match="symbolic link"):
        write_private(tmp_path / "x.pem", b"content")
    assert (tmp_path / "target").read_bytes() == b"precious"


def test_the_account_key_is_made_once(tmp_path: Path) -> None:
    """The second call reads what the first has written; a damaged file is never replaced."""
    first = account_key(tmp_path)
    assert account_key(tmp_path).private_numbers() == first.private_numbers()
    for content in (b"", b"junk", pki.issue(None, "x", kind="rsa").key_pem()):
        (tmp_path / "account.key").write_bytes(content)
        with pytest.raises(ValueError, match=r"account\.key"):
            account_key(tmp_path)
        assert (tmp_path / "account.key").read_bytes() == content
    other = ec.generate_private_key(ec.SECP384R1())
    (tmp_path / "account.key").write_bytes(pki.Identity(other, first).key_pem())  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="not an EC P-256 key"):
        account_key(tmp_path)


def test_the_store_is_txacmes(tmp_path: Path) -> None:
    """It provides ICertificateStore, writes DirectoryStore's format and serves before it writes."""
    served: list[bytes] = []

    def accept(_name: str, content: bytes) -> None:
        assert not (tmp_path / "kms.test.pem").exists()
        served.append(content)

    store = PrivateStore(tmp_path, accept)
    assert ICertificateStore.providedBy(store)
    identity = pki.issue(None, "kms.test")
    objects = pem.parse(identity.key_pem() + identity.pem)
    result(store.store("kms.test", objects))
    assert served == [(tmp_path / "kms.test.pem").read_bytes()]
    assert result(store.get("kms.test")) == objects
    assert list(result(store.as_dict())) == ["kms.test"]


def test_what_cannot_be_served_is_not_kept(tmp_path: Path) -> None:
    """A certificate that the server refuses leaves the old file on disk."""

    def accept(_name: str, _content: bytes) -> None:
        raise ValueError("refused")

    (tmp_path / "kms.test.pem").write_bytes(b"old")
    stored = PrivateStore(tmp_path, accept).store("kms.test", [])
    assert result(stored).check(ValueError)
    assert (tmp_path / "kms.test.pem").read_bytes() == b"old"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("kms.example.com", "kms.example.com"),
        (" KMS.Example.com. ", "kms.example.com"),
        ("localhost", "localhost"),
        ("schlüssel.example", "xn--schlssel-95a.example"),
    ],
)
def test_host_names_are_normalised(text: str, expected: str) -> None:
    """Case, blanks, the final dot and letters beyond ASCII do not matter."""
    assert host_name(text) == expected


@pytest.mark.parametrize(
    "text",
    ["", ".", "..", "../x", "a/b", "a..b", "-a.b", "*.example.com", "a b", "a\0b", "x" * 64,
     ".".join(["x" * 60] * 5), "a_b.c", "kms.test:443"],
)  # fmt: skip
def test_other_names_are_refused(text: str) -> None:
    """What could leave the folder, or what no CA would certify, is no host name."""
    with pytest.raises(ValueError, match=r"host name|label|codec|idna"):
        host_name(text)
