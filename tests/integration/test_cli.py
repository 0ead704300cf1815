"""The command line against a running server: a tour of every command, in the spellings of 4.1 and
of 4.22.1; what it encrypts the Python client decrypts, and the other way round.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import http.server
import json
import os
import re
import signal
import socket
import stat
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import parse_qs, urlencode, urlsplit

import click
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.ciphers.aead import AESGCM, ChaCha20Poly1305
from cryptography.hazmat.primitives.keywrap import aes_key_unwrap_with_padding
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    load_der_private_key,
    load_pem_private_key,
    load_pem_public_key,
    pkcs12,
)

from kmsd.cli import certificate_files
from kmsd.cli.configuration import Configuration, configured
from kmsd.cli.main import cli
from tests import pki
from tests.clients import environment
from tests.command_line import CommandLine
from tests.conftest import TWISTD, Kmsd, launch
from tests.reactor import ensureDeferred

TEXT = b"attack at dawn\n"
SPECIFICATION = {
    "Security Level::<": ["Protected", "Confidential", "Top Secret::+"],
    "Department": ["R&D", "HR", "FIN"],
}
# As the product's documentation has it, its commas too many included.
POLICY_OF_4_1 = """{
  "policy":
    {
      "level":
        {
          "hierarchical": true,
          "attributes": ["confidential", "secret", "top-secret"],
        },
      "department":
        {
          "hierarchical": false,
          "attributes": ["finance", "marketing", "operations"],
        },
    },
  "max-rotations": 100,
}"""
CKMS = Path(sys.executable).with_name("ckms")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kmsd]:
    """One server for the whole tour."""
    kmsd = launch(tmp_path_factory.mktemp("kmsd"))
    yield kmsd
    kmsd.stop()


@pytest.fixture
def ckms(server: Kmsd, tmp_path: Path) -> CommandLine:
    """The command line of a user of the server, in a folder of their own with a file to encrypt."""
    (tmp_path / "plain.txt").write_bytes(TEXT)
    return CommandLine(tmp_path, server.url)


def _mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


# Symmetric keys


@ensureDeferred
async def test_a_symmetric_key_lives_and_dies(ckms: CommandLine) -> None:
    """Create, export, re-key, revoke, destroy and remove, each found by identifier or by tag."""
    made = await ckms("sym keys create life -t life -t 'of a key'")
    assert made.identifier == "life"
    assert "  Tags:\n    - life\n    - of a key" in made.text
    before = await ckms("sym keys export - -k life -f raw")
    assert len(before.out) == 32
    assert (await ckms("sym keys re-key -t life")).identifier == "life"
    after = await ckms("sym keys export - -t life -t 'of a key' -f raw")
    assert len(after.out) == 32
    assert after.out != before.out
    await ckms("sym keys destroy -k life", code=1)
    await ckms("sym keys revoke 'no longer needed' -k life")
    refused = await ckms("sym keys export - -k life", code=1)
    assert refused.err.startswith("ERROR: ")
    revoked = await ckms("sym keys export - -k life -f raw --allow-revoked")
    assert revoked.out == after.out
    await ckms("sym keys destroy -k life")
    await ckms("sym keys create gone -t gone")
    await ckms("sym keys revoke now -t gone")
    await ckms("sym keys destroy -k gone --remove")
    owned = (await ckms("access-rights owned")).text
    assert "[Destroyed] life - " in owned
    assert " gone - " not in owned


@pytest.mark.parametrize(
    ("options", "length"),
    [
        ("", 32),
        ("-l 128", 16),
        ("-l 192 -a aes", 24),
        ("-a chacha20", 32),
        ("-a sha3 -l 384", 48),
        ("-a shake -l 128", 16),
    ],
)
@ensureDeferred
async def test_symmetric_keys_have_the_length_asked_for(
    options: str, length: int, ckms: CommandLine
) -> None:
    """A key has as many bits as --number-of-bits says, 256 if it says nothing."""
    uid = (await ckms(f"sym keys create {options}")).identifier
    exported = await ckms(f"sym keys export - -k {uid} -f base64")
    assert len(base64.b64decode(exported.out)) == length


@ensureDeferred
async def test_a_key_is_brought_along(ckms: CommandLine) -> None:
    """--bytes-b64 keeps the very bytes, from the command line, a variable, a file or a prompt."""
    key = bytes(range(16))
    text = base64.b64encode(key).decode()
    (ckms.folder / "key.b64").write_text(text + "\n")
    for how, stdin in ((text, ""), ("file:key.b64", ""), ("-", text + "\n")):
        made = await ckms("sym keys create -k", how, stdin=stdin.encode())
        exported = await ckms(f"sym keys export - -k {made.identifier} -f raw")
        assert exported.out == key
    await ckms("sym keys create -k nonsense!", code=2)


@ensureDeferred
async def test_keys_are_stored_wrapped(ckms: CommandLine) -> None:
    """-w stores a key, new or brought along, wrapped by RFC 5649; --unwrap gives it in clear."""
    wrapping = (await ckms("sym keys create")).identifier
    kek = (await ckms(f"sym keys export - -k {wrapping} -f raw")).out
    brought = base64.b64encode(bytes(16)).decode()
    for options in ("", f"-k {brought}"):
        uid = (await ckms(f"sym keys create {options} -w {wrapping}")).identifier
        wrapped = json.loads((await ckms(f"sym keys export - -k {uid}")).out)
        clear = (await ckms(f"sym keys export - -k {uid} -u -f raw")).out
        assert aes_key_unwrap_with_padding(kek, _material(wrapped)) == clear
        assert f"[Wrapped] {uid} - " in (await ckms("access-rights owned")).text


def _material(item: Any) -> bytes:
    """The bytes in the JSON of a key, or the number of a private key on a curve."""
    if item["tag"] in {"ByteString", "Key", "D"}:
        return bytes.fromhex(item["value"].removeprefix("0x"))
    children = item["value"] if isinstance(item["value"], list) else []
    return next(filter(None, map(_material, children)), b"")


@pytest.mark.parametrize("group", ["sym", "rsa", "ec", "cc", "secret-data"])
@ensureDeferred
async def test_every_kind_is_exported_wrapped_and_imported_again(
    group: str, ckms: CommandLine
) -> None:
    """Every kind of key goes out as JSON and comes in; is wrapped here by each of four ways, and
    unwrapped again to the same; is revoked and destroyed.
    """
    keys = group if group == "secret-data" else f"{group} keys"
    uid = await _made(ckms, group)
    await ckms(f"{keys} export key.json -k {uid}")
    original = (ckms.folder / "key.json").read_bytes()
    assert _mode(ckms.folder / "key.json") == 0o600
    wrapping = (await ckms("sym keys create")).identifier
    await ckms(f"sym keys export wrapping.json -k {wrapping}")
    kek = (await ckms(f"sym keys export - -k {wrapping} -f base64")).text
    for how in ("-p pass:word", f"-k {kek}", f"-i {wrapping}", "-f wrapping.json"):
        await ckms(f"{keys} wrap key.json wrapped.json {how}")
        assert _mode(ckms.folder / "wrapped.json") == 0o600
        wrapped = (ckms.folder / "wrapped.json").read_bytes()
        assert _material(json.loads(wrapped)) not in (_material(json.loads(original)), b"")
        await ckms(f"{keys} wrap wrapped.json again.json {how}", code=1)
        await ckms(f"{keys} unwrap wrapped.json clear.json {how}")
        imported = (await ckms(f"{keys} import clear.json -t again")).identifier
        same = await ckms(f"{keys} export - -k {imported}")
        if group not in {"rsa", "ec"}:  # whose format is another when it comes back
            assert _material(same.json) == _material(json.loads(original))
    await ckms(f"{keys} wrap key.json wrapped.json -p pass:word")
    await ckms(f"{keys} unwrap wrapped.json clear.json -p pass:wrong", code=1)
    uid = (await ckms(f"{keys} import key.json -t again")).identifier
    await ckms(f"{keys} import key.json {uid}", code=1)
    assert (await ckms(f"{keys} import key.json {uid} --replace")).identifier == uid
    await ckms(f"{keys} revoke 'the tour is over' -k {uid}")
    await ckms(f"{keys} destroy -k {uid}")


async def _made(ckms: CommandLine, group: str) -> str:
    """Make a key of a kind; give its identifier, of a pair that of the private key."""
    if group == "sym":
        return (await ckms("sym keys create")).identifier
    if group == "secret-data":
        return (await ckms("secret-data create -v pass:hunter2")).identifier
    if group == "cc":
        (ckms.folder / "specification.json").write_text(json.dumps(SPECIFICATION))
        made = await ckms("cc keys create-master-key-pair -s specification.json")
    else:
        made = await ckms(f"{group} keys create {'-s 2048' if group == 'rsa' else ''}")
    return made.field("Private key unique identifier")


@ensureDeferred
async def test_a_password_wraps_as_the_python_client_does(ckms: CommandLine) -> None:
    """A password of the command line's opens what the Python client wrapped by it."""
    (ckms.folder / "key").write_bytes(bytes.fromhex("BACB2E371767135C8F68BDC4B9FC4EC7"))
    await ckms("sym keys import key -f aes wrapped-by-a-password")
    await ckms("sym keys export key.json -k wrapped-by-a-password")
    text = (ckms.folder / "key.json").read_text()
    data = {"tag": "KeyWrappingData", "type": "Structure", "value": [
        {"tag": "WrappingMethod", "type": "Enumeration", "value": "Encrypt"},
        {"tag": "EncodingOption", "type": "Enumeration", "value": "NoEncoding"}]}  # fmt: skip
    item = json.loads(text)
    item["value"][0]["value"].append(data)
    (ckms.folder / "key.json").write_text(json.dumps(item))
    await ckms("sym keys unwrap key.json -p pwd")
    assert _material(json.loads((ckms.folder / "key.json").read_text())) == b"\1\2"


@ensureDeferred
async def test_a_folder_is_imported(ckms: CommandLine) -> None:
    """`keys import FOLDER` imports every file, and tells which it could not."""
    folder = ckms.folder / "keys"
    folder.mkdir()
    for number in range(3):
        (folder / f"{number}.key").write_bytes(bytes([number]) * 32)
    done = await ckms("sym keys import keys -f aes -t folder --output json")
    assert len(done.json["unique_identifiers"]) == 3
    (folder / "9.key").write_bytes(b"no key")
    failed = await ckms("sym keys import keys -f aes", code=1)
    assert "9.key: " in failed.err
    assert "imported of the others: " in failed.err


@pytest.mark.parametrize("algorithm", ["nist-key-wrap", "aes-gcm"])
@ensureDeferred
async def test_keys_are_exported_wrapped_by_the_server(algorithm: str, ckms: CommandLine) -> None:
    """`export --wrap-key-id` gives a key that only the wrapping key opens; import unwraps it."""
    wrapping = (await ckms("sym keys create")).identifier
    key = (await ckms("sym keys create --sensitive")).identifier
    refused = await ckms(f"sym keys export - -k {key}", code=1)
    assert "--wrap-key-id" in refused.err
    aad = "-d context" if algorithm == "aes-gcm" else ""
    await ckms(f"sym keys export wrapped.json -k {key} -w {wrapping} -m {algorithm} {aad}")
    again = (await ckms(f"sym keys import wrapped.json -u {aad}")).identifier
    (ckms.folder / "plain.txt").write_bytes(TEXT)
    await ckms(f"sym encrypt plain.txt -k {key}")
    await ckms(f"sym decrypt plain.enc -k {again} -o again.txt")
    assert (ckms.folder / "again.txt").read_bytes() == TEXT


# Symmetric encryption


@pytest.mark.parametrize(
    "key_algorithm", ["", "rfc5649", "aes-gcm", "chacha20-poly1305", "aes-gcm-siv"]
)
@pytest.mark.parametrize(
    "data_algorithm", ["aes-gcm", "aes-xts", "aes-gcm-siv", "chacha20-poly1305"]
)
@ensureDeferred
async def test_what_is_encrypted_is_decrypted(
    data_algorithm: str, key_algorithm: str, ckms: CommandLine
) -> None:
    """Each algorithm, at the server and here, gives the file back; the plaintext is its owner's."""
    size = "-l 512" if data_algorithm == "aes-xts" and not key_algorithm else ""
    key = (await ckms(f"sym keys create {size}")).identifier
    how = f"-k {key} -d {data_algorithm}" + (f" -e {key_algorithm}" if key_algorithm else "")
    data = os.urandom(3_000_001)
    (ckms.folder / "data.bin").write_bytes(data)
    await ckms(f"sym encrypt data.bin {how}")
    assert data[:16] not in (ckms.folder / "data.enc").read_bytes()
    await ckms(f"sym decrypt data.enc {how}")
    assert (ckms.folder / "data.plain").read_bytes() == data
    assert _mode(ckms.folder / "data.plain") == 0o600


@ensureDeferred
async def test_a_file_has_the_products_format(ckms: CommandLine) -> None:
    """A file encrypted at the server is nonce, ciphertext, tag; one encrypted here has its data
    key before that, after its length.
    """
    key = (await ckms("sym keys create")).identifier
    raw = (await ckms(f"sym keys export - -k {key} -f raw")).out
    await ckms(f"sym encrypt plain.txt -k {key} -n 000102030405060708090a0b -a beef")
    sealed = (ckms.folder / "plain.enc").read_bytes()
    assert sealed[:12] == bytes(range(12))
    assert AESGCM(raw).decrypt(sealed[:12], sealed[12:], b"\xbe\xef") == TEXT
    await ckms(f"sym encrypt plain.txt -k {key} -e rfc5649 -d chacha20-poly1305 -a beef")
    sealed = (ckms.folder / "plain.enc").read_bytes()
    data_key = aes_key_unwrap_with_padding(raw, sealed[1 : 1 + sealed[0]])
    rest = sealed[1 + sealed[0] :]
    assert ChaCha20Poly1305(data_key).decrypt(rest[:12], rest[12:], b"\xbe\xef") == TEXT


@pytest.mark.parametrize("how", ["", "-e rfc5649", "-d chacha20-poly1305 -e aes-gcm"])
@ensureDeferred
async def test_tampering_leaves_no_plaintext(how: str, ckms: CommandLine) -> None:
    """A file that was changed, cut, or is of another key or context is refused, and nothing of it
    is written.
    """
    key = (await ckms("sym keys create")).identifier
    other = (await ckms("sym keys create")).identifier
    await ckms(f"sym encrypt plain.txt -k {key} -a 01 {how}")
    sealed = bytearray((ckms.folder / "plain.enc").read_bytes())
    await ckms(f"sym decrypt plain.enc -k {key} -a 02 {how}", code=1)
    await ckms(f"sym decrypt plain.enc -k {other} -a 01 {how}", code=1)
    sealed[-17] ^= 1
    for wrong in (bytes(sealed), bytes(sealed[:-1]), bytes(sealed[:9]), b""):
        (ckms.folder / "plain.enc").write_bytes(wrong)
        failed = await ckms(f"sym decrypt plain.enc -k {key} -a 01 {how}", code=1)
        assert failed.err.startswith("ERROR: ")
    left = {path.name for path in ckms.folder.iterdir()}
    assert left == {"plain.txt", "plain.enc", "kms.json"}


@ensureDeferred
async def test_large_files_go_to_the_server_in_parts(ckms: CommandLine) -> None:
    """Nine megabytes are more than one request; the parts make one ciphertext. What is larger than
    the server can open is refused before anything is sent.
    """
    key = (await ckms("sym keys create")).identifier
    data = os.urandom(9_000_000)
    (ckms.folder / "data.bin").write_bytes(data)
    await ckms(f"sym encrypt data.bin -k {key} -a 00")
    raw = (await ckms(f"sym keys export - -k {key} -f raw")).out
    sealed = (ckms.folder / "data.enc").read_bytes()
    assert AESGCM(raw).decrypt(sealed[:12], sealed[12:], b"\0") == data
    await ckms(f"sym decrypt data.enc -k {key} -a 00")
    assert (ckms.folder / "data.plain").read_bytes() == data
    with (ckms.folder / "huge.bin").open("wb") as file:
        file.truncate(100 << 20)
    refused = await ckms(f"sym encrypt huge.bin -k {key}", code=1)
    assert "--key-encryption-algorithm" in refused.err
    assert not (ckms.folder / "huge.enc").exists()


@pytest.mark.slow
def test_files_of_any_size_take_the_same_memory(server: Kmsd, ckms: CommandLine) -> None:
    """A file of 200 megabytes and one of 2 take the same memory, within some megabytes."""

    def peak_kib(megabytes: int) -> int:
        with (ckms.folder / "data.bin").open("wb") as file:
            file.truncate(megabytes << 20)
        script = (
            "import resource, subprocess, sys; subprocess.run(sys.argv[1:], check=True);"
            "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)"
        )
        command = [CKMS, "--url", server.url, "sym", "encrypt", "data.bin", "-k", "memory"]
        ran = subprocess.run(
            [sys.executable, "-c", script, *map(str, command), "-e", "rfc5649"],
            cwd=ckms.folder, env=_environment(ckms), capture_output=True, text=True, check=True,
        )  # fmt: skip
        return int(ran.stdout.splitlines()[-1])

    subprocess.run(
        [CKMS, "--url", server.url, "sym", "keys", "create", "memory"],
        env=_environment(ckms), capture_output=True, check=True,
    )  # fmt: skip
    assert peak_kib(200) < peak_kib(2) + 10_000


def _environment(ckms: CommandLine) -> dict[str, str]:
    ours = {k: v for k, v in os.environ.items() if not k.startswith(("KMS_", "CKMS_"))}
    return ours | {"HOME": str(ckms.folder), "KMS_CLI_CONF": str(ckms.configuration)}


@ensureDeferred
async def test_several_files_and_pipes(ckms: CommandLine) -> None:
    """Several files are encrypted beside themselves; `-` is standard input and output."""
    key = (await ckms("sym keys create")).identifier
    for name in ("a.txt", "b.txt"):
        (ckms.folder / name).write_bytes(name.encode())
    await ckms(f"sym encrypt a.txt b.txt -k {key}")
    (ckms.folder / "a.txt").unlink()
    await ckms(f"sym decrypt a.enc b.enc -k {key}")
    assert (ckms.folder / "a.plain").read_bytes() == b"a.txt"
    assert (ckms.folder / "b.plain").read_bytes() == b"b.txt"
    for how in ("", "-e rfc5649"):
        sealed = await ckms(f"sym encrypt - -k {key} {how}", stdin=TEXT)
        opened = await ckms(f"sym decrypt - -k {key} {how}", stdin=sealed.out)
        assert opened.out == TEXT


# RSA and elliptic curves


@ensureDeferred
async def test_rsa(ckms: CommandLine) -> None:
    """RSA encrypts by each algorithm, and wraps what is too large for it."""
    made = await ckms("rsa keys create -s 2048 -t rsa-tour")
    public = made.field("Public key unique identifier")
    private = made.field("Private key unique identifier")
    assert public == f"{private}_pk"
    for how in ("", "-s sha512", "-e ckm-rsa-pkcs", "-e ckm-rsa-aes-key-wrap"):
        await ckms(f"rsa encrypt plain.txt -k {public} {how}")
        await ckms(f"rsa decrypt plain.enc -k {private} {how}")
        assert (ckms.folder / "plain.plain").read_bytes() == TEXT
    (ckms.folder / "large").write_bytes(bytes(10_000))
    await ckms(f"rsa encrypt large -k {public}", code=1)
    await ckms(f"rsa encrypt large -k {public} -e ckm-rsa-aes-key-wrap")
    await ckms(f"rsa decrypt large.enc -k {private} -e ckm-rsa-aes-key-wrap")
    assert (ckms.folder / "large.plain").read_bytes() == bytes(10_000)


@ensureDeferred
async def test_keys_in_the_forms_of_other_programs(ckms: CommandLine) -> None:
    """What is exported in PEM or DER other programs read, and it comes in again."""
    rsa = await ckms("rsa keys create -s 2048")
    ec = await ckms("ec keys create -c nist-p384")
    pairs = {
        kind: (
            made.field("Private key unique identifier"),
            made.field("Public key unique identifier"),
        )
        for kind, made in (("rsa", rsa), ("ec", ec))
    }
    for kind, form, back in (
        ("rsa", "pkcs1-pem", "pem"),
        ("rsa", "pkcs8-pem", "pem"),
        ("ec", "sec1-pem", "pem"),
        ("ec", "pkcs8-pem", "pem"),
    ):
        await ckms(f"{kind} keys export out.pem -k {pairs[kind][0]} -f {form}")
        key = load_pem_private_key((ckms.folder / "out.pem").read_bytes(), None)
        assert key.key_size in {2048, 384}  # type: ignore[union-attr]
        assert _mode(ckms.folder / "out.pem") == 0o600
        await ckms(f"{kind} keys import out.pem -f {back}")
    for kind, form, back in (
        ("rsa", "pkcs1-der", "pkcs1-priv"),
        ("rsa", "pkcs8-der", "pkcs8"),
        ("ec", "sec1-der", "sec1"),
    ):
        await ckms(f"{kind} keys export out.der -k {pairs[kind][0]} -f {form}")
        load_der_private_key((ckms.folder / "out.der").read_bytes(), None)
        await ckms(f"{kind} keys import out.der -f {back}")
    for kind in ("rsa", "ec"):
        await ckms(f"{kind} keys export out.pem -k {pairs[kind][1]} -f spki-pem")
        load_pem_public_key((ckms.folder / "out.pem").read_bytes())
        assert _mode(ckms.folder / "out.pem") == 0o666 & ~_umask()
        uid = (await ckms(f"{kind} keys import out.pem -f pem -k {pairs[kind][0]}")).identifier
        await ckms(f"{kind} encrypt plain.txt -k {uid}")
        await ckms(f"{kind} decrypt plain.enc -k {pairs[kind][0]} -o -")
    await ckms(f"rsa keys export out.pem -k {pairs['rsa'][0]} -f base64", code=1)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


@pytest.mark.parametrize(
    "curve", ["nist-p192", "nist-p224", "nist-p256", "nist-p384", "nist-p521", "x25519", "ed25519"]
)
@ensureDeferred
async def test_elliptic_curves_encrypt(curve: str, ckms: CommandLine) -> None:
    """A file encrypted to a key on a curve is decrypted with the other half of its pair."""
    made = await ckms(f"ec keys create -c {curve}")
    await ckms(f"ec encrypt plain.txt -k {made.field('Public key unique identifier')}")
    private = made.field("Private key unique identifier")
    assert (await ckms(f"ec decrypt plain.enc -k {private} -o -")).out == TEXT


@ensureDeferred
async def test_curves_that_do_not_encrypt_are_created(ckms: CommandLine) -> None:
    """X448 and Ed448 keys can be had, though nothing is encrypted to them."""
    for curve in ("x448", "ed448"):
        await ckms(f"ec keys create -c {curve}")


# Secret data


@ensureDeferred
async def test_secrets_are_kept(ckms: CommandLine) -> None:
    """A secret comes back as it was given; without one it is 32 random bytes."""
    given = (await ckms("secret-data create -v - -t pin", stdin=b"hunter2\n")).identifier
    assert (await ckms(f"secret-data export - -k {given} -f raw")).out == b"hunter2"
    random = (await ckms("secret-data create")).identifier
    assert len((await ckms(f"secret-data export - -k {random} -f raw")).out) == 32


# CoverCrypt, 4.4 and later


async def _department(ckms: CommandLine, tag: str) -> None:
    """Make a master key pair for the specification, under a tag."""
    (ckms.folder / "policy_specifications.json").write_text(json.dumps(SPECIFICATION))
    await ckms("cc policy create")
    await ckms(f"cc keys create-master-key-pair -b policy.bin -t {tag}")


@ensureDeferred
async def test_covercrypt(ckms: CommandLine) -> None:
    """A user key opens what its policy allows and nothing else; rekeying keeps it so, pruning takes
    old ciphertexts away.
    """
    await _department(ckms, "cc-tour")
    master = "-t cc-tour -t _sk"
    user = (
        await ckms(
            "cc keys create-user-key",
            '["cc-tour","_sk"]',
            "Department::HR && Security Level::Confidential",
        )
    ).identifier
    await ckms(
        "cc encrypt plain.txt 'Department::HR && Security Level::Protected' -t cc-tour -t _pk"
    )
    assert (await ckms(f"cc decrypt plain.enc -k {user} -o -")).out == TEXT
    await ckms(
        "cc encrypt plain.txt 'Department::FIN && Security Level::Protected' -t cc-tour -t _pk -o f"
    )
    await ckms(f"cc decrypt f -k {user} -o -", code=1)
    await ckms(f"cc keys rekey Department::HR {master}")
    assert (await ckms(f"cc decrypt plain.enc -k {user} -o -")).out == TEXT
    pruned = await ckms(f"cc keys prune Department::HR {master}")
    assert 'access policy "Department::HR"' in pruned.text
    await ckms(f"cc decrypt plain.enc -k {user} -o -", code=1)


@ensureDeferred
async def test_covercrypt_authenticates_and_takes_many_files(ckms: CommandLine) -> None:
    """Several files are encrypted and decrypted together; authentication data must match."""
    await _department(ckms, "cc-many")
    user = (await ckms("cc keys create-user-key", '["cc-many","_sk"]', "Department::HR")).identifier
    for name in ("a.txt", "b.txt", "c.txt"):
        (ckms.folder / name).write_bytes(name.encode() * 1000)
    await ckms(
        "cc encrypt a.txt b.txt c.txt Department::HR -t cc-many -t _pk -o sealed -a 'the case'"
    )
    sealed = " ".join(f"sealed/{name}.enc" for name in "abc")
    await ckms(f"cc decrypt {sealed} -k {user} -o opened -a 'the case'")
    for name in "abc":
        assert (ckms.folder / f"opened/{name}.plain").read_bytes() == f"{name}.txt".encode() * 1000
    await ckms(f"cc decrypt {sealed} -k {user} -o opened -a 'another case'", code=1)
    await ckms(f"cc decrypt sealed/a.enc -k {user} -o -", code=1)


@ensureDeferred
async def test_policies_are_read_and_changed(ckms: CommandLine) -> None:
    """A key's policy can be read, from the server and from a file, and its attributes changed."""
    await _department(ckms, "cc-policy")
    master = "-t cc-policy -t _sk"
    uid = (await ckms("locate -t cc-policy -t _sk")).text.split()[-1]
    await ckms(f"cc keys export key.json -k {uid}")
    assert json.loads((await ckms(f"cc policy view -i {uid}")).text) == SPECIFICATION
    assert json.loads((await ckms("cc policy view -f key.json")).text) == SPECIFICATION
    assert json.loads((await ckms("cc policy view -f key.json -d")).text)["version"] == "V2"
    await ckms("cc policy specs -f key.json -s specs.json")
    assert json.loads((ckms.folder / "specs.json").read_text()) == SPECIFICATION
    await ckms(f"cc policy binary -i {uid} -p again.bin")
    assert json.loads((ckms.folder / "again.bin").read_bytes())["dimensions"].keys() == {
        "Security Level",
        "Department",
    }
    await ckms(f"cc policy add-attribute Department::Legal --hybridized {master}")
    await ckms(f"cc policy rename-attribute Department::Legal Law {master}")
    assert "Law::+" in (await ckms(f"cc policy view -i {uid}")).text
    await ckms(f"cc policy disable-attribute Department::Law {master}")
    await ckms("cc encrypt plain.txt Department::Law -t cc-policy -t _pk", code=1)
    await ckms(f"cc policy remove-attribute Department::Law {master}")
    assert "Law" not in (await ckms(f"cc policy view -i {uid}")).text


# CoverCrypt as in 4.1


@ensureDeferred
async def test_covercrypt_in_the_words_of_4_1(ckms: CommandLine) -> None:
    """`cc init`, `cc new`, `cc encrypt -p`, `cc decrypt -u`, `cc rotate`, `cc revoke`, `cc destroy`
    do what 4.1 did, with the policy file of the documentation.
    """
    (ckms.folder / "policy.json").write_text(POLICY_OF_4_1)
    made = await ckms("cc init --policy policy.json")
    lines = made.text.splitlines()
    secret = made.field("Private key unique identifier")
    assert f"Private key unique identifier: {secret}" in lines
    public = lines[-1].removeprefix("Public key unique identifier: ")
    new = await ckms(f"cc new -s {secret} 'level::secret && department::finance'")
    user = new.field("Decryption user key unique identifier")
    policy = "level::confidential && department::finance"
    await ckms(f"cc encrypt plain.txt -a '{policy}' -p {public} -r row-7 -o sealed")
    assert (await ckms(f"cc decrypt sealed -u {user} -r row-7 -o -")).out == TEXT
    await ckms(f"cc decrypt sealed -u {user} -r row-8 -o -", code=1)
    await ckms(f"cc rotate -s {secret} -a department::finance department::marketing")
    assert (await ckms(f"cc decrypt sealed -u {user} -o -")).out == TEXT
    await ckms(f"cc revoke -u {user} -r left")
    await ckms(f"cc decrypt sealed -u {user} -o -", code=1)
    await ckms(f"cc destroy -u {user}")
    other = await ckms(f"cc new -s {secret} department::finance")
    active = other.field("Decryption user key unique identifier")
    await ckms(f"cc destroy -u {active}")
    owned = (await ckms("permission owned")).text
    assert f"[Destroyed] {user} - CoverCryptSecretKey" in owned
    assert f"[Destroyed] {active} - CoverCryptSecretKey" in owned


@ensureDeferred
async def test_keys_travel_in_the_words_of_4_1(ckms: CommandLine) -> None:
    """`cc export`, `import`, `export-keys` and `import-keys` move keys, also under a password."""
    (ckms.folder / "policy.json").write_text(POLICY_OF_4_1)
    made = await ckms("cc init")
    secret = made.field("Private key unique identifier")
    user = (await ckms(f"cc new -s {secret} department::finance")).field(
        "Decryption user key unique identifier"
    )
    await ckms(f"cc encrypt plain.txt -a department::finance -p {secret}_pk -o sealed")
    exported = await ckms(f"cc export -i {user}")
    assert exported.text == f"The object {user} of type PrivateKey was exported to object.json\n"
    await ckms(f"cc import -i {user}", code=1)
    imported = await ckms(f"cc import -f object.json -i {user} -r")
    assert imported.text.endswith(f"was imported with id: {user}\n")
    await ckms(f"cc export-keys user.key -k {user}")
    await ckms(f"cc export-keys secret.key -k {secret}")
    await ckms(f"cc export-keys public.key -k {secret}_pk")
    again = await ckms(f"cc import-keys -U user.key -s {secret} -a department::finance")
    copy = again.field("Decryption user key unique identifier")
    assert (await ckms(f"cc decrypt sealed -u {copy} -o -")).out == TEXT
    pair = await ckms("cc import-keys -S secret.key -P public.key -p policy.json")
    new_secret = pair.field("Private key unique identifier")
    newer = await ckms(f"cc new -s {new_secret} department::finance")
    newest = newer.field("Decryption user key unique identifier")
    assert (await ckms(f"cc decrypt sealed -u {newest} -o -")).out == TEXT
    wrapped = await ckms(
        f"cc import-keys -U user.key -s {secret} -a department::finance -W pass:word"
    )
    uid = wrapped.field("Decryption user key unique identifier")
    await ckms(f"cc export-keys back.key -k {uid} -W pass:word")
    assert (ckms.folder / "back.key").read_bytes() == (ckms.folder / "user.key").read_bytes()
    assert _mode(ckms.folder / "back.key") == 0o600
    await ckms(f"cc export-keys back.key -k {uid} -W pass:wrong", code=1)
    await ckms("cc import-keys -S secret.key", code=2)


# Certificates


def _run(ckms: CommandLine, line: str) -> str:
    """Run another program in the user's folder; give its output."""
    ran = subprocess.run(line.split(), cwd=ckms.folder, check=True, capture_output=True, text=True)
    return ran.stdout


EXTENSIONS = "[ v3_ca ]\nbasicConstraints=critical,CA:TRUE\nkeyUsage=critical,keyCertSign,cRLSign\n"


@ensureDeferred
async def test_certificates_are_issued_and_validated(ckms: CommandLine) -> None:
    """An authority certifies a key pair, a key, a request; the chain is valid until it is not."""
    (ckms.folder / "ca.cnf").write_text(EXTENSIONS)
    subject = r"-s 'CN=Root, O=Ex\, ample, C=FR'"
    await ckms(f"certificates certify -g -a nist-p256 {subject} -c root -e ca.cnf -t authority")
    await ckms("certificates certify -g -a rsa2048 -s CN=leaf -i root -c leaf -d 30 -t leaf")
    pair = await ckms("ec keys create")
    public = pair.field("Public key unique identifier")
    await ckms(f"certificates certify -p {public} -s CN=key -i root -c of-key")
    _run(
        ckms,
        "openssl req -new -newkey rsa:2048 -nodes -keyout csr.key -subj /CN=request -out csr.pem",
    )
    await ckms("certificates certify -r csr.pem -i root -c of-request")
    await ckms("certificates certify -n leaf -c renewed")
    valid = await ckms("certificates validate -k root -k leaf")
    assert valid.text.startswith("Valid\n")
    late = await ckms("certificates validate -k root -k leaf -t 4804152030Z")
    assert late.text.startswith("Invalid\n")
    for uid, common_name in (("root", "Root"), ("of-key", "key"), ("of-request", "request")):
        await ckms(f"certificates export {uid}.pem -c {uid} -f pem")
        found = x509.load_pem_x509_certificate((ckms.folder / f"{uid}.pem").read_bytes())
        assert f"CN={common_name}" in found.subject.rfc4514_string()
        assert r"O=Ex\, ample" in found.issuer.rfc4514_string()
        attributes = json.loads((ckms.folder / f"{uid}.attributes.json").read_text())
        assert attributes["ObjectType"] == "Certificate"
    files = await ckms("certificates validate -v root.pem -v of-key.pem")
    assert files.text.startswith("Valid\n")
    await ckms("certificates certify -g", code=2)
    await ckms("certificates certify", code=2)


@ensureDeferred
async def test_certificates_travel(ckms: CommandLine) -> None:
    """A certificate goes out and comes in as JSON, PEM, DER, chain, list, PKCS#12 and PKCS#7."""
    (ckms.folder / "ca.cnf").write_text(EXTENSIONS)
    await ckms("certificates certify -g -a nist-p256 -s CN=Travel -c t-root -e ca.cnf")
    await ckms("certificates certify -g -a nist-p256 -s CN=leaf -i t-root -c t-leaf")
    for uid in ("t-root", "t-leaf"):
        await ckms(f"certificates export {uid}.pem -c {uid} -f pem")
    pems = [(ckms.folder / f"{uid}.pem").read_bytes() for uid in ("t-leaf", "t-root")]
    (ckms.folder / "chain.pem").write_bytes(b"".join(pems))
    chain = await ckms("certificates import chain.pem -f chain --output json")
    leaf, root = chain.json["unique_identifiers"]
    with _authorities(b"".join(pems)) as url, pytest.MonkeyPatch.context() as patch:
        patch.setattr(certificate_files, "MOZILLA", url)
        fetched = await ckms("certificates import -f ccadb --output json")
    assert len(fetched.json["unique_identifiers"]) == 2
    links = await ckms(f"attributes get -i {leaf} -l CertificateLink")
    assert root in links.text
    both = await ckms("certificates import chain.pem -f ccadb --output json")
    assert len(both.json["unique_identifiers"]) == 2
    await ckms("certificates export leaf.json -c t-leaf")
    await ckms("certificates import leaf.json from-json -t travelled")
    await ckms("certificates import t-leaf.pem from-pem -f pem -i t-root")
    der = x509.load_pem_x509_certificate(pems[0])
    await ckms("certificates export leaf.p12 -c t-leaf -f pkcs12 -p pass:word")
    await ckms("certificates export legacy.p12 -c t-leaf -f pkcs12-legacy -p pass:word")
    for name in ("leaf.p12", "legacy.p12"):
        assert _mode(ckms.folder / name) == 0o600
        loaded = pkcs12.load_pkcs12((ckms.folder / name).read_bytes(), b"word")
        assert loaded.cert is not None
        assert loaded.cert.certificate == der
    private = await ckms("certificates import leaf.p12 from-p12 -f pkcs12 -p pass:word")
    await ckms("certificates import leaf.p12 -f pkcs12 -p pass:wrong", code=1)
    await ckms("certificates encrypt plain.txt -c from-p12")
    opened = await ckms(f"certificates decrypt plain.enc -k {private.identifier} -o -")
    assert opened.out == TEXT
    await ckms("certificates export leaf.p7 -c t-leaf -f pkcs7")
    shown = _run(ckms, "openssl pkcs7 -in leaf.p7 -print_certs -noout")
    assert shown.count("subject=") == 2


@contextlib.contextmanager
def _authorities(pem: bytes) -> Iterator[str]:
    """Serve a list of authorities; give its URL."""

    class List(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(pem)

        def log_message(self, *_: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), List)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


@ensureDeferred
async def test_certificates_end(ckms: CommandLine) -> None:
    """A certificate is revoked, then destroyed, or forgotten."""
    for uid in ("end-1", "end-2"):
        await ckms(f"certificates certify -g -a nist-p256 -s CN=end -c {uid} -t {uid}")
        await ckms(f"certificates destroy -c {uid}", code=1)
        await ckms(f"certificates revoke 'ceased to operate' -t {uid}")
    await ckms("certificates export - -c end-1 -f pem", code=1)
    revoked = await ckms("certificates export - -c end-1 -f pem --allow-revoked")
    assert revoked.out.startswith(b"-----BEGIN CERTIFICATE")
    await ckms("certificates destroy -c end-1")
    await ckms("certificates destroy -c end-2 --remove")
    assert "end-2" not in (await ckms("access-rights owned")).text


# Attributes, locate, rights, server


@ensureDeferred
async def test_attributes(ckms: CommandLine) -> None:
    """Attributes are shown, set and deleted, by name, link, usage and vendor."""
    key = (await ckms("sym keys create -t looked-at")).identifier
    shown = await ckms(f"attributes get -i {key} --output json")
    assert shown.json["attributes"]["State"] == "Active"
    assert shown.json["attributes"]["Tags"] == ["_kk", "looked-at"]
    changes = (
        ("-v acme -n cost --attribute-value beef", "-a acme::cost", "beef"),
        ("--parent-id the-parent", "-l ParentLink", "the-parent"),
        ("--certificate-id c --p12-id p --child-id d", "-l ChildLink", "d"),
    )
    for change, ask, value in changes:
        await ckms(f"attributes set -i {key} {change}")
        assert value in (await ckms(f"attributes get -t looked-at {ask}")).text
        await ckms(f"attributes delete -i {key} {change}")
        assert value not in (await ckms(f"attributes get -i {key} {ask}")).text.split("\n", 2)[2]
    await ckms(f"attributes set -i {key} -d 2030-01-31T12:00:00Z --p12-pwd pass:word")
    dated = await ckms(f"attributes get -i {key} -a ActivationDate")
    assert "ActivationDate: 2030-01-31T12:00:00Z" in dated.text
    await ckms(f"attributes set -i {key} -u encrypt -u decrypt")
    masked = await ckms(f"attributes get -i {key} -a CryptographicUsageMask --output json")
    assert masked.json["attributes"] == {"CryptographicUsageMask": ["Encrypt", "Decrypt"]}
    await ckms(f"attributes get -i {key} -o attributes.json")
    saved = json.loads((ckms.folder / "attributes.json").read_text())
    assert saved["CryptographicAlgorithm"] == "AES"
    await ckms(f"attributes set -i {key}", code=2)
    await ckms(f"attributes get -i {key} -a NoSuchAttribute", code=2)
    await ckms(f"attributes delete -i {key} --attribute ObjectType", code=1)


@ensureDeferred
async def test_locate(ckms: CommandLine) -> None:
    """Objects are found by tags, algorithm, length, format, type and links, in any capitals."""
    key = (await ckms("sym keys create -t found -t me -l 192")).identifier
    pair = await ckms("ec keys create -t found")
    private = pair.field("Private key unique identifier")
    public = pair.field("Public key unique identifier")
    for how, found in (
        ("-t found -t me", [key]),
        ("-t found -a aes", [key]),
        ("-t found -l 192 -o symmetrickey", [key]),
        ("-t found -f transparentsymmetrickey", [key]),
        (f"-p {public}", [private]),
        (f"-k {private}", [public]),
        ("-t found", sorted([key, private, public])),
    ):
        ran = await ckms(f"locate {how} --output json")
        assert sorted(ran.json["unique_identifiers"]) == found
    assert (await ckms("locate -t nowhere")).text == "No object found.\n"
    assert (await ckms("locate -c no-certificate")).text == "No object found.\n"
    table = (await ckms("--output table locate -t me")).text
    assert table.splitlines()[2].split()[:4] == [key, "SymmetricKey", "AES", "192"]


@ensureDeferred
async def test_rights(ckms: CommandLine) -> None:
    """What is granted the other user can do and see, and what is taken away no more."""
    key = (await ckms("sym keys create")).identifier
    await ckms(f"access-rights grant guest {key} get encrypt")
    assert (await ckms(f"access-rights list {key}")).text.endswith(" - guest: {encrypt, get}\n")
    await ckms(f"access-rights revoke guest {key} get")
    listed = await ckms(f"access-rights list {key} --output json")
    assert listed.json["accesses"] == [{"user_id": "guest", "operations": ["encrypt"]}]
    await ckms("access-rights obtained")
    await ckms(f"permission add {key} -u guest -o decrypt")
    assert (await ckms(f"permission list {key}")).text == "> guest\n\tdecrypt\n\tencrypt\n"
    await ckms(f"permission remove {key} -u guest -o decrypt")
    assert (await ckms(f"permission list {key}")).text == "> guest\n\tencrypt\n"
    await ckms("permission shared")
    assert f"[Active] {key} - " in (await ckms("permission owned")).text
    await ckms(f"access-rights grant guest {key} fly", code=1)


@ensureDeferred
async def test_what_is_shared_is_seen(ckms: CommandLine, server: Kmsd, tmp_path: Path) -> None:
    """To the other user, shared objects are obtained ones, and work as far as was granted."""
    key = (await ckms("sym keys create")).identifier
    await ckms(f"access-rights grant guest {key} encrypt")
    guest = launch(
        tmp_path,
        "--default-username=guest",
        f"--root-data-path={server.folder}",
        "--object-cache-size=0",
    )
    try:
        url = f"--url {guest.url}"
        obtained = await ckms(f"{url} access-rights obtained")
        assert f"[Active][admin]{key} {{encrypt}}" in obtained.text.splitlines()
        assert f"[Active][admin]{key} {{Encrypt}}" in (await ckms(f"{url} permission shared")).text
        await ckms(f"{url} sym encrypt plain.txt -k {key}")
        refused = await ckms(f"{url} sym decrypt plain.enc -k {key}", code=1)
        assert "  next: " in refused.err
    finally:
        guest.stop()
    assert (await ckms(f"sym decrypt plain.enc -k {key} -o -")).out == TEXT


@ensureDeferred
async def test_the_server_tells_its_version(ckms: CommandLine, server: Kmsd) -> None:
    """`server-version` says what the server says; the program of 4.1 finds kms.json where it is."""
    version = json.loads(server.get("/version"))
    assert (await ckms("server-version")).text == f"{version}\n"
    old = await ckms("server-version", program="cosmian_kms_cli")
    assert old.text == f"{version}\n"


@ensureDeferred
async def test_encrypted_databases(ckms: CommandLine, tmp_path_factory: Any) -> None:
    """`new-database`, and `configure` in the words of 4.1, make databases that only their secret
    opens, and that know nothing of each other.
    """
    folder = tmp_path_factory.mktemp("encrypted")
    server = launch(folder, "--database-type=sqlite-enc")
    try:
        secrets = [
            (await ckms(f"--url {server.url} {command} --output json")).json["database_secret"]
            for command in ("new-database", "configure")
        ]
        for secret in secrets:
            user = CommandLine(ckms.folder, server.url, kms_database_secret=secret)
            await user("sym keys create mine")
            assert (await user("access-rights owned")).text.count("[Active]") == 1
        nobody = CommandLine(ckms.folder, server.url)
        refused = await nobody("access-rights owned", code=1)
        assert "database_secret" in refused.err
    finally:
        server.stop()


@ensureDeferred
async def test_the_tour_of_the_documentation(ckms: CommandLine) -> None:
    """The command block of docs/cli.md works as it stands there."""
    text = (Path(__file__).parents[2] / "docs/cli.md").read_text()
    block = text.partition("```sh\n")[2].partition("```")[0].splitlines()
    assert block[0] == 'echo "attack at dawn" > order.txt'
    (ckms.folder / "order.txt").write_bytes(TEXT)
    for line in block[1:]:
        await ckms(line.removeprefix("ckms "))
    assert (ckms.folder / "order.again").read_bytes() == TEXT


@contextlib.contextmanager
def _https(folder: Path) -> Iterator[str]:
    """Run a server over TLS that asks for client certificates; give its URL."""
    options = {
        "--port": "0",
        "--hostname": "127.0.0.1",
        "--root-data-path": folder,
        "--https-p12-file": folder / "server.p12",
        "--https-p12-password": "s",
        "--authority-cert-file": folder / "root.pem",
    }
    log = folder / "https.log"
    with log.open("wb") as out:
        process = subprocess.Popen(
            [TWISTD, "-n", "--pidfile=", "kmsd", *(f"{k}={v}" for k, v in options.items())],
            cwd=folder, stdout=out, stderr=subprocess.STDOUT,
        )  # fmt: skip
    try:
        deadline = time.monotonic() + 30
        found = None
        while found is None and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.05)
            found = re.search(r"listening on https://127\.0\.0\.1:(\d+)", log.read_text())
        assert found is not None, log.read_text()
        yield f"https://localhost:{found[1]}"
    finally:
        process.terminate()
        process.wait(30)


@ensureDeferred
async def test_tls_and_client_certificates(tmp_path: Path) -> None:
    """ca_cert and the PKCS#12 file of the configuration make the connection; without them the error
    says which setting is missing.
    """
    root = pki.authority()
    server = pki.issue(root, "localhost")
    alice = pki.issue(root, "alice", usages=(pki.CLIENT,))
    (tmp_path / "server.p12").write_bytes(server.p12(encryption=BestAvailableEncryption(b"s")))
    (tmp_path / "me.p12").write_bytes(alice.p12(encryption=BestAvailableEncryption(b"me")))
    (tmp_path / "root.pem").write_bytes(root.pem)
    mine: dict[str, Any] = {
        "ssl_client_pkcs12_path": str(tmp_path / "me.p12"),
        "ssl_client_pkcs12_password": "me",
    }
    with _https(tmp_path) as url:
        known = CommandLine(tmp_path, url, ca_cert=str(tmp_path / "root.pem"), **mine)
        made = await known("sym keys create")
        assert f"{made.identifier} - " in (await known("access-rights owned")).text
        pinned = CommandLine(
            tmp_path, url, accept_invalid_certs=True, verified_cert=server.pem.decode(), **mine
        )
        await pinned("server-version")
        stranger = CommandLine(tmp_path, url, **mine)
        assert "ca_cert" in (await stranger("server-version", code=1)).err
        await stranger("server-version --accept-invalid-certs")
        nobody = CommandLine(tmp_path, url, ca_cert=str(tmp_path / "root.pem"))
        await nobody("server-version", code=1)


# Signing in


class _Provider(http.server.BaseHTTPRequestHandler):
    """An identity provider: it sends the browser back with a code, and sells a token for it."""

    challenges: ClassVar[dict[str, str]] = {}

    def do_GET(self) -> None:
        query = {k: v[0] for k, v in parse_qs(urlsplit(self.path).query).items()}
        assert query["response_type"] == "code"
        assert query["code_challenge_method"] == "S256"
        self.challenges["the-code"] = query["code_challenge"]
        back = urlencode({"code": "the-code", "state": query["state"]})
        self.send_response(302)
        self.send_header("Location", f"{query['redirect_uri']}?{back}")
        self.end_headers()

    def do_POST(self) -> None:
        form = parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())
        digest = hashlib.sha256(form["code_verifier"][0].encode()).digest()
        proved = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
        good = proved == self.challenges.get(form["code"][0]) and form["client_secret"] == ["s"]
        self.send_response(200 if good else 400)
        self.end_headers()
        self.wfile.write(json.dumps({"id_token": "the.id.token"}).encode() if good else b"{}")

    def log_message(self, *_: object) -> None:
        pass


class _Refusing(_Provider):
    """An identity provider that lets nobody in; before that, somebody else knocks."""

    def do_GET(self) -> None:
        query = {k: v[0] for k, v in parse_qs(urlsplit(self.path).query).items()}
        forged = f"{query['redirect_uri']}?code=forged&state=guessed"
        with contextlib.suppress(urllib.error.HTTPError):
            urllib.request.urlopen(forged, timeout=10)
        back = urlencode({"error": "access_denied", "state": query["state"]})
        self.send_response(302)
        self.send_header("Location", f"{query['redirect_uri']}?{back}")
        self.end_headers()


@contextlib.contextmanager
def _provider(kind: type[_Provider]) -> Iterator[str]:
    """Run an identity provider; give its URL."""
    provider = http.server.ThreadingHTTPServer(("127.0.0.1", 0), kind)
    threading.Thread(target=provider.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{provider.server_port}"
    finally:
        provider.shutdown()
        provider.server_close()


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
        return port


BROWSER = f"{sys.executable} -c 'import sys, urllib.request as u; u.urlopen(sys.argv[1])' %s &"


def test_a_refusal_to_sign_in_is_told(ckms: CommandLine) -> None:
    """What the provider refuses is told; a code from anybody else is not taken; a port in use is
    another error.
    """
    with _provider(_Refusing) as base:
        oauth2 = {"client_id": "ckms", "authorize_url": f"{base}/a", "token_url": f"{base}/t"}
        ckms.configuration.write_text(json.dumps({"oauth2_conf": oauth2}))
        ran = _program(ckms, "login", "--port", str(_free_port()), env={"BROWSER": BROWSER})
        assert ran.returncode == 1
        assert b"access_denied" in ran.stderr
        taken = base.rpartition(":")[2]
        ran = _program(ckms, "login", "--port", taken, "--no-browser")
        assert ran.returncode == 1
        assert b"--port" in ran.stderr


@pytest.mark.parametrize("form", ["json", "toml"])
def test_signing_in_keeps_a_token(form: str, ckms: CommandLine) -> None:
    """`login` sends a browser to the provider and keeps the token it buys; `logout` forgets it;
    the configuration keeps all else, and becomes its owner's alone.
    """
    with _provider(_Provider) as base:
        _sign_in(form, base, ckms)


def _sign_in(form: str, base: str, ckms: CommandLine) -> None:
    oauth2 = {
        "client_id": "ckms", "client_secret": "s", "scopes": ["openid"],
        "authorize_url": f"{base}/authorize", "token_url": f"{base}/token",
    }  # fmt: skip
    if form == "json":
        text = json.dumps({"kms_server_url": "http://127.0.0.1:1", "oauth2_conf": oauth2})
    else:
        rows = "".join(f"{name} = {json.dumps(value)}\n" for name, value in oauth2.items())
        text = (
            f'[http_config]\nserver_url = "http://127.0.0.1:1"\n[http_config.oauth2_conf]\n{rows}'
        )
    ckms.configuration.write_text(text)
    ran = _program(ckms, "login", "--port", str(_free_port()), env={"BROWSER": BROWSER})
    assert ran.returncode == 0, ran.stderr
    assert b"the.id.token" not in ran.stdout + ran.stderr
    assert "the.id.token" in ckms.configuration.read_text()
    assert _mode(ckms.configuration) == 0o600
    assert _settings(ckms).access_token == "the.id.token"
    assert _program(ckms, "login", "--token", "-", input=b"another\n").returncode == 0
    assert _settings(ckms).access_token == "another"
    assert _program(ckms, "logout").returncode == 0
    after = _settings(ckms)
    assert after.access_token is None
    assert after.server_url == "http://127.0.0.1:1"
    assert after.oauth2_conf is not None
    assert after.oauth2_conf.client_id == "ckms"


def _settings(ckms: CommandLine) -> Configuration:
    return configured(str(ckms.configuration), "ckms", {})


def test_signing_in_needs_a_provider(ckms: CommandLine) -> None:
    """Without a provider in the configuration, `login` says what to set."""
    ran = _program(ckms, "login")
    assert ran.returncode == 1
    assert b"oauth2_conf" in ran.stderr


# The published Python client

CLIENT = """
import asyncio, json, os, sys
import cosmian_kms
async def main(url, action, *arguments):
    client = cosmian_kms.KmsClient(url)
    result = await globals()[action](client, *arguments)
    print(json.dumps(result), flush=True)
    os._exit(0)  # it often crashes when its interpreter is torn down
async def decrypt(client, key, path):
    data = open(path, "rb").read()
    opened = await client.decrypt(data[12:-16], key, data[:12], data[-16:])
    return bytes(opened).decode()
async def encrypt(client, key, path):
    sealed = await client.encrypt(b"from the client", key)
    tag = sealed.authenticated_encryption_tag()
    data = bytes(sealed.iv_counter_nonce()) + bytes(sealed.data()) + bytes(tag)
    open(path, "wb").write(data)
async def cc_decrypt(client, key, path):
    opened, metadata = await client.cover_crypt_decryption(open(path, "rb").read(), key)
    return [bytes(opened).decode(), bytes(metadata).decode()]
async def cc_encrypt(client, key, path):
    sealed = await client.cover_crypt_encryption("Department::HR", b"from the client", key)
    open(path, "wb").write(bytes(sealed))
asyncio.run(main(*sys.argv[1:]))
"""


@pytest.fixture(scope="module")
def python_client(server: Kmsd) -> Any:
    """The published client, in an interpreter of its own: `python_client(action, *arguments)`."""
    try:
        interpreter = environment.python_interpreter()
    except environment.ClientMissingError as error:
        pytest.skip(str(error))

    def ask(action: str, *arguments: str) -> Any:
        ran = subprocess.run(
            [interpreter, "-c", CLIENT, server.url, action, *arguments],
            capture_output=True,
            text=True,
            check=False,
        )
        assert ran.stdout, ran.stderr
        return json.loads(ran.stdout)

    return ask


@pytest.mark.slow
@ensureDeferred
async def test_the_python_client_and_the_command_line_read_each_other(
    ckms: CommandLine, python_client: Any
) -> None:
    """What one encrypts under a symmetric key the other decrypts."""
    key = (await ckms("sym keys create")).identifier
    await ckms(f"sym encrypt plain.txt -k {key}")
    assert python_client("decrypt", key, str(ckms.folder / "plain.enc")) == TEXT.decode()
    python_client("encrypt", key, str(ckms.folder / "client.enc"))
    assert (await ckms(f"sym decrypt client.enc -k {key} -o -")).out == b"from the client"


@pytest.mark.slow
@pytest.mark.parametrize("words", ["4.22.1", "4.1"])
@ensureDeferred
async def test_covercrypt_with_the_python_client(
    words: str, ckms: CommandLine, python_client: Any
) -> None:
    """What one encrypts by CoverCrypt the other decrypts, metadata included."""
    (ckms.folder / "policy.json").write_text(json.dumps(SPECIFICATION))
    if words == "4.1":
        master = (await ckms("cc init")).field("Private key unique identifier")
        made = await ckms(f"cc new -s {master} Department::HR")
        user = made.field("Decryption user key unique identifier")
        encrypt = f"cc encrypt plain.txt -a Department::HR -p {master}_pk -r row-7"
        decrypt = f"cc decrypt client.enc -u {user} -o -"
    else:
        pair = await ckms("cc keys create-master-key-pair -s policy.json")
        master = pair.field("Private key unique identifier")
        user = (await ckms(f"cc keys create-user-key {master} Department::HR")).identifier
        encrypt = f"cc encrypt plain.txt Department::HR -k {master}_pk"
        decrypt = f"cc decrypt client.enc -k {user} -o -"
    await ckms(encrypt)
    metadata = "row-7" if words == "4.1" else ""
    opened = python_client("cc_decrypt", user, str(ckms.folder / "plain.enc"))
    assert opened == [TEXT.decode(), metadata]
    python_client("cc_encrypt", f"{master}_pk", str(ckms.folder / "client.enc"))
    assert (await ckms(decrypt)).out == b"from the client"


# The program itself


def _program(ckms: CommandLine, *arguments: str, **how: Any) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [CKMS, *arguments],
        cwd=ckms.folder,
        env=_environment(ckms) | how.pop("env", {}),
        capture_output=True,
        check=False,
        timeout=60,
        **how,
    )


def test_the_programs_exit_codes(ckms: CommandLine) -> None:
    """0 says that it is done, 1 that it failed, 2 that the command line is wrong."""
    done = _program(ckms, "server-version")
    assert (done.returncode, done.stderr) == (0, b"")
    failed = _program(ckms, "sym", "keys", "export", "-", "-k", "no such key")
    assert failed.returncode == 1
    assert failed.stderr.startswith(b"ERROR: ")
    assert b"\n  next: " in failed.stderr
    for wrong in (["sym", "encrypt"], ["nonsense"], ["sym", "encrypt", "plain.txt"], []):
        ran = _program(ckms, *wrong)
        assert ran.returncode == 2, wrong
        assert ran.stderr


def test_the_output_is_for_programs_as_well(ckms: CommandLine) -> None:
    """`--output json` and KMS_CLI_FORMAT give one JSON object; quiet says nothing."""
    for options, variable in ((["--output", "json"], ""), ([], "json")):
        ran = _program(
            ckms, "sym", "keys", "create", "-t", "a", *options, env={"KMS_CLI_FORMAT": variable}
        )
        made = json.loads(ran.stdout)
        assert made["tags"] == ["a"]
        assert made["stdout"]
        assert set(made) == {"stdout", "unique_identifier", "tags"}
    quiet = _program(ckms, "sym", "keys", "create", env={"KMS_CLI_FORMAT": "quiet"})
    assert (quiet.returncode, quiet.stdout, quiet.stderr) == (0, b"", b"")
    unknown = _program(ckms, "server-version", env={"KMS_CLI_FORMAT": "xml"})
    assert unknown.returncode == 1
    assert b"KMS_CLI_FORMAT" in unknown.stderr


def test_requests_can_be_shown(ckms: CommandLine) -> None:
    """`--print-json` shows request and answer on standard error, and the outcome stays apart."""
    ran = _program(ckms, "--print-json", "sym", "keys", "create", "--output", "json")
    assert json.loads(ran.stdout)["unique_identifier"]
    assert b'"tag": "Create"' in ran.stderr
    assert b'"tag": "CreateResponse"' in ran.stderr


def test_a_reader_that_leaves_is_no_traceback(ckms: CommandLine) -> None:
    """When who reads the output has gone, the program ends without a word."""
    line = f"{CKMS} completion bash | true"
    ran = subprocess.run(
        ["bash", "-o", "pipefail", "-c", line],
        env=_environment(ckms), capture_output=True, check=False, text=True,
    )  # fmt: skip
    assert "Traceback" not in ran.stderr
    assert ran.returncode in {0, 1}


def test_bash_completes_commands_and_values(ckms: CommandLine) -> None:
    """What `completion bash` prints is bash, and completes groups, commands, options and values."""
    script = _program(ckms, "completion", "bash").stdout.decode()
    checked = subprocess.run(["bash", "-n"], input=script, text=True, check=False)
    assert checked.returncode == 0
    for words, expected in (
        ("ckms se", {"secret-data", "server-version"}),
        ("ckms sym ke", {"keys"}),
        ("ckms sym keys cre", {"create"}),
        ("ckms sym keys create --alg", {"--algorithm"}),
        ("ckms sym keys create -a ch", {"chacha20"}),
        ("ckms locate -o symm", {"SymmetricKey"}),
    ):
        env = {
            "_CKMS_COMPLETE": "bash_complete",
            "COMP_WORDS": words,
            "COMP_CWORD": str(len(words.split()) - 1),
        }
        shown = _program(ckms, env=env).stdout.decode().split()
        assert {each.partition(",")[2] for each in shown} == expected


def test_an_interrupt_leaves_nothing_behind(ckms: CommandLine) -> None:
    """Ctrl-C in the middle of a long file ends the program, and no half of a file is left."""
    key = json.loads(_program(ckms, "sym", "keys", "create", "--output", "json").stdout)
    with (ckms.folder / "huge.bin").open("wb") as file:
        file.truncate(8 << 30)
    command = [CKMS, "sym", "encrypt", "huge.bin", "-e", "rfc5649", "-k", key["unique_identifier"]]
    process = subprocess.Popen(
        command,
        cwd=ckms.folder,
        env=_environment(ckms),
        stderr=subprocess.PIPE,
        # Tests that run in the background of a shell ignore SIGINT, and so would this.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # noqa: PLW1509
    )
    deadline = time.monotonic() + 30
    while not list(ckms.folder.glob(".ckms-*")) and time.monotonic() < deadline:
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    assert process.wait(30) != 0
    assert process.stderr is not None
    assert b"Traceback" not in process.stderr.read()
    assert {path.name for path in ckms.folder.iterdir()} == {"plain.txt", "kms.json", "huge.bin"}


WRONG = """
sym keys create -k AA== -l 128
sym keys create -k not-base64
sym keys create -a sha3 -l 100
sym keys export - -k a -t b
sym keys export -
sym keys export - -k a -u -w b
sym keys wrap plain.txt
sym keys import . some-id
sym encrypt plain.txt -k k -n 00
sym encrypt plain.txt other.txt -k k -o out
sym encrypt plain.txt other.txt -k k -n 000102030405060708090a0b
cc keys create-master-key-pair
cc policy view
cc encrypt Department::HR -k k
cc import-keys -S secret.key
certificates certify -g
certificates certify -g -s CN
certificates certify -g -s XX=1
certificates certify -g -n other -s CN=a
certificates validate
certificates import
attributes set -i k -v acme
attributes set -i k -d soon
attributes set -i k -u fly
locate -o teapot
"""
FAILING = """
sym keys import plain.txt
sym keys import plain.txt -f pem
sym keys import nowhere
sym encrypt plain.txt -k k -o plain.txt
sym decrypt plain.txt -k k -e rfc5649
sym encrypt plain.txt -k no-such-key
cc policy create -s plain.txt
cc policy view -f plain.txt
cc decrypt plain.txt -k no-such-key
certificates import plain.txt -f pem
certificates export - -c no-such-certificate
access-rights list no-such-object
"""


@pytest.mark.parametrize(
    ("line", "code"),
    [
        *((line, 2) for line in WRONG.split("\n") if line),
        *((line, 1) for line in FAILING.split("\n") if line),
    ],
)
@ensureDeferred
async def test_what_cannot_be_done_is_told(line: str, code: int, ckms: CommandLine) -> None:
    """A command line that makes no sense exits with 2, one that fails with 1, both with a text, and
    neither leaves a file behind or changes one.
    """
    ran = await ckms(line, code=code)
    assert "ERROR: " in ran.err
    assert "Traceback" not in ran.err
    assert {path.name for path in ckms.folder.iterdir()} == {"plain.txt", "kms.json"}
    assert (ckms.folder / "plain.txt").read_bytes() == TEXT


# The tour is complete


def _leaves(group: click.Group, path: str = "") -> Iterator[str]:
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        if isinstance(command, click.Group):
            yield from _leaves(command, f"{path}{name} ")
        else:
            yield f"{path}{name}"


SHARED = ("export", "import", "wrap", "unwrap", "revoke", "destroy")


def test_the_tour_leaves_out_no_command() -> None:
    """Every command of the tree occurs in this file, by itself or in the loop over kinds."""
    text = Path(__file__).read_text()
    missing = [
        leaf
        for leaf in _leaves(cli())
        if f'"{leaf}' not in text
        and f" {leaf} " not in text
        and not leaf.endswith(tuple(f"keys {each}" for each in SHARED))
        and leaf not in {f"secret-data {each}" for each in SHARED}
    ]
    assert missing == []
