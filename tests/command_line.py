"""Runs the command line's commands in this process, with the reactor of the tests."""

from __future__ import annotations

import contextlib
import io
import json
import os
import re
import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kmsd.cli.main import carry_out, parse
from tests.reactor import reactor


@dataclass(frozen=True)
class Ran:
    """How a command went."""

    code: int
    out: bytes
    err: str

    @property
    def text(self) -> str:
        return self.out.decode()

    @property
    def identifier(self) -> str:
        """The identifier on the line that scripts look for."""
        return self.field("Unique identifier")

    def field(self, label: str) -> str:
        """The value on a line `label: value`."""
        found = re.search(rf"^\s*{label}: (\S+)$", self.text, re.MULTILINE)
        assert found is not None, f"no {label!r} in {self.text!r}"
        return found[1]

    @property
    def json(self) -> Any:
        return json.loads(self.text)


class CommandLine:
    """`ckms` as a user in `folder` has it, configured for one server."""

    def __init__(self, folder: Path, url: str, **settings: Any) -> None:
        self.folder = folder
        self.configuration = folder / "kms.json"
        self.configuration.write_text(
            json.dumps({"kms_server_url": url, "kms_access_token": "", **settings})
        )

    async def __call__(
        self, line: str, *more: str, code: int = 0, stdin: bytes = b"", program: str = "ckms"
    ) -> Ran:
        """Run a command line, as a shell splits it, in the folder; it must exit with `code`."""
        ran = await self.run([*shlex.split(line), *more], stdin, program)
        assert ran.code == code, f"{line!r} left with {ran.code}:\n{ran.text}\n{ran.err}"
        return ran

    async def run(self, arguments: list[str], stdin: bytes, program: str) -> Ran:
        out, err = _text(b""), _text(b"")
        with contextlib.ExitStack() as stack:
            stack.enter_context(self._environment(program))
            stack.enter_context(contextlib.chdir(self.folder))
            stack.enter_context(contextlib.redirect_stdout(out))
            stack.enter_context(contextlib.redirect_stderr(err))
            stack.enter_context(_stdin(stdin))
            parsed = parse(arguments, program)
            code = parsed if isinstance(parsed, int) else await carry_out(reactor, *parsed)
        return Ran(code, _bytes(out), _bytes(err).decode())

    @contextlib.contextmanager
    def _environment(self, program: str) -> Any:
        before = dict(os.environ)
        ours = {k: v for k, v in before.items() if not k.startswith(("KMS_", "CKMS_"))}
        conf = {} if program == "cosmian_kms_cli" else {"KMS_CLI_CONF": str(self.configuration)}
        os.environ.clear()
        os.environ.update(ours | {"HOME": str(self.folder)} | conf)
        try:
            yield
        finally:
            os.environ.clear()
            os.environ.update(before)


def _text(data: bytes) -> io.TextIOWrapper:
    return io.TextIOWrapper(io.BytesIO(data), "utf-8", write_through=True)


def _bytes(stream: io.TextIOWrapper) -> bytes:
    stream.flush()
    buffer = stream.buffer
    assert isinstance(buffer, io.BytesIO)
    return buffer.getvalue()


@contextlib.contextmanager
def _stdin(data: bytes) -> Any:
    import sys

    before, sys.stdin = sys.stdin, _text(data)
    try:
        yield
    finally:
        sys.stdin = before
