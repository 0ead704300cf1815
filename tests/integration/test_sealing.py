"""A server with a key-encryption key: from plain to sealed, to the next key, and without one."""

import json
import os
import time
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Kmsd, StartKmsd

KEY = "6B6D73642D7365616C696E672D746573742D6B65792D6F662D33322D6279746573"[:64]


def ask(kmsd: Kmsd, tag: str, *items: dict[str, Any]) -> dict[str, Any]:
    """Carry out one operation over HTTP; return its response's fields."""
    body = json.dumps({"tag": tag, "value": list(items)}).encode()
    request = urllib.request.Request(kmsd.url + "/kmip/2_1", body, method="POST")
    with urllib.request.urlopen(request, timeout=30) as answer:
        fields: list[dict[str, Any]] = json.load(answer)["value"]
    return {field["tag"]: field["value"] for field in fields}


def text(tag: str, value: str) -> dict[str, Any]:
    return {"tag": tag, "type": "TextString", "value": value}


def name(tag: str, value: str) -> dict[str, Any]:
    return {"tag": tag, "type": "Enumeration", "value": value}


def import_key(kmsd: Kmsd, uid: str) -> None:
    """Import the key that the test can look for."""
    block = [
        name("KeyFormatType", "Raw"),
        {
            "tag": "KeyValue",
            "value": [{"tag": "KeyMaterial", "type": "ByteString", "value": KEY}],
        },
        name("CryptographicAlgorithm", "AES"),
        {"tag": "CryptographicLength", "type": "Integer", "value": 256},
    ]
    ask(
        kmsd,
        "Import",
        text("UniqueIdentifier", uid),
        name("ObjectType", "SymmetricKey"),
        {"tag": "Attributes", "value": []},
        {"tag": "SymmetricKey", "value": [{"tag": "KeyBlock", "value": block}]},
    )


def shown(kmsd: Kmsd, uid: str) -> bool:
    """Tell whether Get returns the key."""
    return KEY in json.dumps(ask(kmsd, "Get", text("UniqueIdentifier", uid)))


def in_clear(kmsd: Kmsd) -> bool:
    """Tell whether the key is in any file of the database."""
    folder = kmsd.folder / "sqlite-data"
    return any(bytes.fromhex(KEY) in path.read_bytes() for path in folder.iterdir())


def wait_for(kmsd: Kmsd, words: str) -> None:
    """Wait until the log says so."""
    deadline = time.monotonic() + 20
    while words not in kmsd.output():
        assert time.monotonic() < deadline, kmsd.output()
        time.sleep(0.05)


def test_a_database_is_sealed_resealed_and_refused_without_its_kek(
    start_kmsd: StartKmsd, tmp_path: Path
) -> None:
    """With a KEK the server seals what is there, with the next one again; without, it stops."""
    first, second = os.urandom(32), os.urandom(32)
    file = tmp_path / "kek"
    file.write_bytes(first)
    plain = start_kmsd()
    import_key(plain, "old")
    assert in_clear(plain)
    plain.stop()

    sealed = start_kmsd(f"--kek-file={file}")
    import_key(sealed, "new")
    wait_for(sealed, "objects are sealed under file:")
    assert shown(sealed, "old")
    assert shown(sealed, "new")
    sealed.stop()

    file.write_text(f"{second.hex()}\n{first.hex()}\n")
    both = start_kmsd(f"--kek-file={file}")
    wait_for(both, "all 2 objects are sealed under file:")
    both.stop()
    file.write_bytes(second)
    last = start_kmsd(f"--kek-file={file}")
    assert shown(last, "old")
    assert shown(last, "new")
    assert not in_clear(last)
    last.stop()

    with pytest.raises(AssertionError, match=r"sealed under the key-encryption key.*--kek-file"):
        start_kmsd()


def test_a_key_of_the_database_seals_all_others(start_kmsd: StartKmsd) -> None:
    """With --key-encryption-key nothing can be stored before the key is; then it is sealed."""
    kmsd = start_kmsd("--key-encryption-key=root")
    ask(
        kmsd,
        "Create",
        name("ObjectType", "SymmetricKey"),
        {
            "tag": "Attributes",
            "value": [
                text("UniqueIdentifier", "root"),
                name("CryptographicAlgorithm", "AES"),
                {"tag": "CryptographicLength", "type": "Integer", "value": 256},
                {"tag": "ActivationDate", "type": "DateTime", "value": "2024-01-01T00:00:00Z"},
            ],
        },
    )
    import_key(kmsd, "k")
    assert shown(kmsd, "k")
    assert not in_clear(kmsd)


def test_a_file_that_holds_no_key_stops_the_start(start_kmsd: StartKmsd, tmp_path: Path) -> None:
    """The error says what belongs into the file."""
    file = tmp_path / "kek"
    file.write_text("correct horse battery staple")
    with pytest.raises(AssertionError, match="must hold keys of 32 bytes"):
        start_kmsd(f"--kek-file={file}")
