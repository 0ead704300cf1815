"""Outputs appear whole or not at all, and secrets for their owner only."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from kmsd.cli import files
from kmsd.cli.errors import CommandFailed


def _mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.fixture(autouse=True)
def _usual_umask() -> object:
    before = os.umask(0o022)
    yield
    os.umask(before)


def test_secret_files_are_their_owners(tmp_path: Path) -> None:
    """A secret file has mode 0600 from its first byte on, also when it replaces an open one."""
    target = tmp_path / "key"
    target.write_text("old")
    target.chmod(0o644)
    with files.Output(str(target), secret=True) as output:
        output.write(b"new")
        (temporary,) = (path for path in tmp_path.iterdir() if path != target)
        assert _mode(temporary) == 0o600
        assert target.read_text() == "old"
    assert target.read_text() == "new"
    assert _mode(target) == 0o600


def test_other_files_have_the_usual_mode(tmp_path: Path) -> None:
    """A file that is no secret has the mode that the user's umask says."""
    files.write(str(tmp_path / "public"), b"", secret=False)
    assert _mode(tmp_path / "public") == 0o644


def test_a_failure_leaves_the_old_file(tmp_path: Path) -> None:
    """When writing fails, what was there before is still there, and nothing else."""
    target = tmp_path / "file"
    target.write_text("old")

    def fail() -> None:
        with files.Output(str(target), secret=False) as output:
            output.write(b"half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail()
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
    assert target.read_text() == "old"


def test_links_are_followed(tmp_path: Path) -> None:
    """A symbolic link stays one: what it points to is written."""
    target, link = tmp_path / "target", tmp_path / "link"
    target.write_text("old")
    link.symlink_to(target)
    files.write(str(link), b"new", secret=False)
    assert link.is_symlink()
    assert target.read_text() == "new"


def test_devices_are_written_as_they_are(tmp_path: Path) -> None:
    """What is no regular file is written to, not replaced."""
    files.write("/dev/null", b"gone", secret=True)
    assert not Path("/dev/null").is_file()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["missing/file", "."])
def test_what_cannot_be_written_is_told(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A folder that is not there, or a folder itself, is an error that names it."""
    monkeypatch.chdir(tmp_path)
    with pytest.raises(CommandFailed, match=f"cannot write {name}"):
        files.write(name, b"", secret=False)


def test_what_cannot_be_read_is_told() -> None:
    """A file that is not there is an error that names it."""
    for read in (files.read, files.opened, files.length):
        with pytest.raises(CommandFailed, match="cannot read nowhere"):
            read("nowhere")


@pytest.mark.parametrize(
    ("name", "beside"),
    [("a.txt", "a.enc"), ("a", "a.enc"), ("b/a.tar.gz", "b/a.tar.enc"), ("-", "-")],
)
def test_outputs_are_beside_their_inputs(name: str, beside: str) -> None:
    """The output has the input's name with another extension."""
    assert files.beside(name, "enc") == beside
