"""Writes docs/cli.md: `python -m kmsd.cli.reference > docs/cli.md`."""

from __future__ import annotations

from collections.abc import Iterator

import click

from kmsd.cli.configuration import ENVIRONMENT, Configuration
from kmsd.cli.main import COMMANDS, cli
from kmsd.cli.outcome import Format
from kmsd.cli.tree import global_options

_HEAD = """# The command line

`ckms` works with a key management server over HTTP. `cosmian_kms_cli` is the same program under the
name that it had up to 4.3; the commands of that time (`cc init`, `permission owned`, …) are marked
(4.1).

This page is made from the program: `python -m kmsd.cli.reference > docs/cli.md`.

## A first tour

```sh
echo "attack at dawn" > order.txt
ckms sym keys create order-key --tag orders
ckms sym encrypt order.txt --key-id order-key
ckms sym decrypt order.enc --tag orders --output-file order.again
ckms access-rights grant alice order-key decrypt
ckms access-rights list order-key
ckms attributes get --id order-key --output json
ckms sym keys export order-key.json --key-id order-key
ckms sym keys revoke "the battle is over" --key-id order-key
ckms sym keys destroy --key-id order-key
```

## Configuration

A file in JSON or TOML, looked for in this order: `--conf-path`, the variable `KMS_CLI_CONF`, for
`cosmian_kms_cli` `kms.json` in the working folder, `~/.cosmian/kms.toml`, `~/.cosmian/kms.json`,
`/etc/cosmian/kms.toml`, `/etc/cosmian/kms.json`. Without any the server is `http://0.0.0.0:9998`.

```json
{ "kms_server_url": "http://127.0.0.1:9998", "kms_access_token": "" }
```

```toml
[http_config]
server_url = "https://kms.example.com"
access_token = "…"
ca_cert = "/etc/ssl/our-authority.pem"
```

| JSON | TOML, in `[http_config]` | meaning |
| --- | --- | --- |
| `kms_server_url` | `server_url` | the server |
| `kms_access_token` | `access_token` | bearer token; `ckms login` fetches one |
| `kms_database_secret` | `database_secret` | opens an encrypted database |
| `accept_invalid_certs`, `insecure` | `accept_invalid_certs` | trust any server: for tests only |
| `ca_cert` | `ca_cert` | PEM file of the authorities to trust, instead of the system's |
| `verified_cert` | `verified_cert` | the PEM certificate that the server's must be equal to |
| `ssl_client_pkcs12_path`, `…_password` | the same | the client's own certificate |
| `oauth2_conf` | `[http_config.oauth2_conf]` | `client_id`, `client_secret`, `authorize_url`, \
`token_url`, `scopes` |
| `print_json` | `print_json`, outside the section | show requests and answers |
| `timeout` | `timeout` | seconds to wait for an answer |

"""

_SECRETS = """## Secrets

Where an option takes a secret, `-` asks for it, `env:NAME` and `file:PATH` say where it is, and
`pass:TEXT` is the secret itself; other users can see the last one in the list of processes. Files
with keys or decrypted data are written with mode 0600.

## Output and exit codes

`--output` or `KMS_CLI_FORMAT` is one of {formats}. On a terminal
lists are tables; elsewhere they are lines that stay as they are. The exit code is 0 when it is
done, 1 when it failed (`ERROR: …` on standard error, and what to do next), 2 when the command line
is wrong.

## Large files

Without `--key-encryption-algorithm` the server encrypts a file, of up to 60 MiB. With it the file
is encrypted on this side, piece by piece, under a key of its own that the server's key encrypts:
files of any size, in a few megabytes of memory. The algorithms `aes-xts` and `aes-gcm-siv` need all
of a file at once, 256 MiB at most.

"""


def page() -> str:
    """Return the whole page."""
    return "\n".join([_HEAD + "".join(_environment()) + _after_environment(), *_commands()]) + "\n"


def _environment() -> Iterator[str]:
    yield "Variables of the environment win over the file:\n\n"
    yield "| variable | setting |\n| --- | --- |\n"
    known = Configuration.__dataclass_fields__
    for variable, name in ENVIRONMENT.items():
        assert name in known  # noqa: S101 (the table names settings)
        yield f"| `{variable}` | `{name}` |\n"


def _after_environment() -> str:
    formats = ", ".join(f"`{each.value}`" for each in Format)
    return "\n" + _SECRETS.format(formats=formats) + "## Commands\n"


def _commands() -> Iterator[str]:
    root = cli()
    context = click.Context(root, info_name="ckms")
    for name in (name for name, row in COMMANDS.items() if not row.hidden):
        command = root.get_command(context, name)
        assert command is not None  # noqa: S101 (the table names commands)
        yield from _described(command, context, f"ckms {name}", 3)


def _described(
    command: click.Command, parent: click.Context, path: str, level: int
) -> Iterator[str]:
    context = click.Context(command, info_name=path.rpartition(" ")[2], parent=parent)
    if isinstance(command, click.Group):
        yield f"\n{'#' * level} `{path}`\n\n{_sentence(command)}"
        for name in command.list_commands(context):
            inner = command.get_command(context, name)
            assert inner is not None  # noqa: S101 (it has just been listed)
            yield from _described(inner, context, f"{path} {name}", level + 1)
        return
    usage = " ".join(command.collect_usage_pieces(context))
    yield f"\n{'#' * level} `{path} {usage}`\n\n{_sentence(command)}"
    rows = [*_options(command, context)]
    if rows:
        yield "\n| option | meaning |\n| --- | --- |\n" + "\n".join(rows)


def _sentence(command: click.Command) -> str:
    return (command.help or "").replace("\b\n", "").strip()


def _options(command: click.Command, context: click.Context) -> Iterator[str]:
    everywhere = {name for option in global_options() for name in option.opts}
    for parameter in command.params:
        if isinstance(parameter, click.Option) and not everywhere & set(parameter.opts):
            row = parameter.get_help_record(context)
            if row is not None:
                names, meaning = (" ".join(part.split()).replace("|", "\\|") for part in row)
                yield f"| `{names}` | {meaning} |"


if __name__ == "__main__":
    click.echo(page(), nl=False)
