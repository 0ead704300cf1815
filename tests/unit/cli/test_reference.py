"""The page on the command line says what the program does."""

from __future__ import annotations

from pathlib import Path

from kmsd.cli.reference import page

PAGE = Path(__file__).parents[3] / "docs/cli.md"


def test_the_page_is_the_programs() -> None:
    """docs/cli.md is what `python -m kmsd.cli.reference > docs/cli.md` writes."""
    assert PAGE.read_text() == page()
