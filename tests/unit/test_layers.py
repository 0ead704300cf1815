"""Rules about imports that import-linter cannot say: it sees `twisted`, not `twisted.web`."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

KMSD = Path(__file__).parents[2] / "kmsd"

# Layer → top-level names and modules that nothing in it may import.
FORBIDDEN = {
    "ttlv": ("twisted", "klein", "treq", "cryptography"),
    "kmip": ("twisted", "klein", "treq", "cryptography"),
    "crypto": ("twisted", "klein", "treq"),
    "operations": ("twisted.web", "klein", "treq"),
    "store": ("twisted.web", "klein", "treq"),
}


def imported(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


@pytest.mark.parametrize("layer", FORBIDDEN)
def test_a_layer_imports_nothing_that_is_above_its_station(layer: str) -> None:
    files = sorted((KMSD / layer).rglob("*.py"))
    assert files
    for path in files:
        names = set(imported(path))
        for ban in FORBIDDEN[layer]:
            assert not [n for n in names if n == ban or n.startswith(ban + ".")], (path, ban)
