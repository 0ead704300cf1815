"""Reading the command line: groups that are imported late, commands that run later."""

from __future__ import annotations

import functools
import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import click

from kmsd.cli.outcome import Format

CONTEXT = {"help_option_names": ["-h", "--help"], "max_content_width": 100}


@dataclass
class Globals:
    """The options that every command has."""

    program: str = "ckms"
    conf_path: str | None = None
    url: str | None = None
    accept_invalid_certs: bool | None = None
    print_json: bool | None = None
    output: Format | None = None


class Command(click.Command):
    """A command whose function is a coroutine: invoking it gives the work, to be done later.

    The global options may also stand behind the command.
    """

    def __init__(self, *args: Any, **options: Any) -> None:
        """Add the global options."""
        options.setdefault("context_settings", CONTEXT)
        super().__init__(*args, **options)
        taken = {name for parameter in self.params for name in parameter.opts}
        self.params += [each for each in global_options() if not taken & set(each.opts)]

    def invoke(self, ctx: click.Context) -> Any:
        """Return the work."""
        assert self.callback is not None  # noqa: S101 (the decorator sets it)
        return functools.partial(self.callback, **ctx.params)


class Group(click.Group):
    """A group of such commands."""

    command_class = Command

    def __init__(self, *args: Any, **options: Any) -> None:
        """Make `-h` help as well."""
        options.setdefault("context_settings", CONTEXT)
        super().__init__(*args, **options)


Group.group_class = Group


class Late(NamedTuple):
    """Where a subcommand is defined, and what its group says of it."""

    place: str
    help: str
    hidden: bool = False


class LateGroup(Group):
    """A group that imports a subcommand when it is named, so that `--help` is quick."""

    def __init__(self, *args: Any, late: Mapping[str, Late], **options: Any) -> None:
        """Know the subcommands of `late`."""
        super().__init__(*args, **options)
        self._late = late

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 (click's)
        """Return the names that help shows."""
        return sorted(name for name, row in self._late.items() if not row.hidden)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        """Import a subcommand."""
        row = self._late.get(cmd_name)
        if row is None:
            return None
        module, _, name = row.place.partition(":")
        found: click.Command = getattr(importlib.import_module(module), name)
        return found

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list of subcommands without importing them."""
        rows = [(name, self._late[name].help) for name in self.list_commands(ctx)]
        with formatter.section("Commands"):
            formatter.write_dl(rows)

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[Any]:
        """Complete names without importing what they stand for."""
        from click.shell_completion import CompletionItem

        items = [
            CompletionItem(name, help=self._late[name].help)
            for name in self.list_commands(ctx)
            if name.startswith(incomplete)
        ]
        return items or click.Command.shell_complete(self, ctx, incomplete)


def _kept(name: str) -> Callable[..., None]:
    """Return a callback that keeps an option among the globals."""

    def keep(ctx: click.Context, _parameter: click.Parameter, value: Any) -> None:
        if value is not None and value is not False:
            setattr(ctx.find_root().obj, name, Format(value) if name == "output" else value)

    return keep


def global_options() -> list[click.Option]:
    """Return the options that every command understands."""
    return [
        click.Option(
            ["--output"],
            type=click.Choice([each.value for each in Format]),
            callback=_kept("output"),
            expose_value=False,
            help="How to write the outcome [env KMS_CLI_FORMAT; tables on a terminal, else text].",
        ),
        click.Option(
            ["--url"],
            metavar="URL",
            callback=_kept("url"),
            expose_value=False,
            hidden=True,
            help="The server, over the configuration's.",
        ),
        click.Option(
            ["--accept-invalid-certs"],
            is_flag=True,
            callback=_kept("accept_invalid_certs"),
            expose_value=False,
            hidden=True,
            help="Take any certificate of the server's. For tests only.",
        ),
        click.Option(
            ["--print-json"],
            is_flag=True,
            callback=_kept("print_json"),
            expose_value=False,
            hidden=True,
            help="Show each request and answer on standard error, secrets and all.",
        ),
    ]
