"""Settings: one table, five ways to give a value."""

from __future__ import annotations

import os
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from kmsd.options import (
    Configuration,
    SettingsError,
    fill,
    from_arguments,
    from_environment,
    option,
    table,
)
from kmsd.options_file import from_file
from kmsd.options_text import help_text, info, sample
from kmsd.settings import DatabaseType, LogFormat, Settings, commands, load


@dataclass(frozen=True, kw_only=True)
class Small:
    """A table with one option of each kind, so that the machinery is tested apart from ours."""

    word: str = option("plain", "A word.", group="one", aliases=("term",), variables=("OLD_WORD",))
    number: int = option(5, "A number.", group="one", low=1, high=9)
    ratio: float = option(0.5, "A ratio.", group="one", low=0)
    switch: bool = option(False, "A switch.", group="one")
    on: bool = option(True, "A switch that is on.", group="one")
    place: Path | None = option(None, "A place.", group="two", short="p")
    many: tuple[str, ...] = option((), "Many.", group="two")
    parts: tuple[str, ...] = option((), "Parts with commas.", group="two", separator="")
    kind: LogFormat = option(LogFormat.TEXT, "A kind.", group="two")
    password: str = option("", "A password.", group="two", secret=True)
    quiet: str = option("", "Not for everybody.", group="two", hidden=True)


def arguments(*words: str) -> Small:
    return fill(Small, from_arguments(Small, words)).settings


def environment(**variables: str) -> Small:
    return fill(Small, from_environment(Small, variables)).settings


def file(folder: Path, text: str) -> Small:
    path = folder / "options.toml"
    path.write_text(text)
    return fill(Small, from_file(Small, path, ("foreign",))).settings


@pytest.mark.parametrize(
    ("words", "name", "value"),
    [
        (["--word=x"], "word", "x"),
        (["--word", "x"], "word", "x"),
        (["--term", "x"], "word", "x"),
        (["--word="], "word", ""),
        (["--word=--x=1"], "word", "--x=1"),
        (["--number", "9"], "number", 9),
        (["--ratio", "2.5"], "ratio", 2.5),
        (["--switch"], "switch", True),
        (["--switch=true"], "switch", True),
        (["--on=false"], "on", False),
        (["--on=0"], "on", False),
        (["-p", "/a"], "place", Path("/a")),
        (["--place", "~/a"], "place", Path.home() / "a"),
        (["--many", "a", "--many", "b"], "many", ("a", "b")),
        (["--many", "a, b,,c"], "many", ("a", "b", "c")),
        (["--parts", "a,b c,d"], "parts", ("a,b", "c,d")),
        (["--kind", "json"], "kind", LogFormat.JSON),
    ],
)
def test_a_flag_gives_a_typed_value(words: list[str], name: str, value: object) -> None:
    assert getattr(arguments(*words), name) == value


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--wrod", "x"], "--wrod: no such option; did you mean --word? (--help lists them)"),
        (["word"], "unexpected argument 'word': options start with -- (--help lists them)"),
        (["--number", "ten"], "--number: 'ten' is not a whole number from 1 to 9"),
        (["--number", "10"], "--number: '10' is not a whole number from 1 to 9"),
        (["--number", "0"], "--number: '0' is not a whole number from 1 to 9"),
        (["--number"], "--number: needs a value: a whole number from 1 to 9"),
        (["--number", "--switch"], "--number: needs a value: a whole number from 1 to 9"),
        (["--ratio", "nan"], "--ratio: 'nan' is not a number, at least 0"),
        (["--switch=maybe"], "--switch: 'maybe' is not true or false"),
        (["--kind", "xml"], "--kind: 'xml' is not one of text, json"),
        (["--place", "~nobody-of-that-name/a"], "--place: '~nobody-of-that-name/a' is not a path"),
        (["--word", "a", "--term", "b"], "--term: given twice; keep one"),
        (["--word", "a\nb", "--number", "x\ny"], "--number: 'x\\ny' is not a whole number"),
    ],
)
def test_a_bad_flag_is_one_line_that_names_it(words: list[str], told: str) -> None:
    with pytest.raises(SettingsError) as caught:
        arguments(*words)
    assert str(caught.value).startswith(told)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("variables", "name", "value"),
    [
        ({"KMS_WORD": "x"}, "word", "x"),
        ({"KMS_TERM": "x"}, "word", "x"),
        ({"OLD_WORD": "x"}, "word", "x"),
        ({"KMS_WORD": "x", "OLD_WORD": "x"}, "word", "x"),
        ({"KMS_WORD": ""}, "word", "plain"),
        ({"KMS_SWITCH": "1"}, "switch", True),
        ({"KMS_SWITCH": "TRUE"}, "switch", True),
        ({"KMS_ON": "false"}, "on", False),
        ({"KMS_MANY": "a,b"}, "many", ("a", "b")),
        ({"KMS_PASSWORD": "x"}, "password", "x"),
    ],
)
def test_a_variable_gives_a_value(variables: dict[str, str], name: str, value: object) -> None:
    assert getattr(environment(**variables), name) == value


def test_two_variables_of_one_option_that_differ_are_refused() -> None:
    with pytest.raises(SettingsError, match="KMS_WORD and OLD_WORD: both set, and they differ"):
        environment(KMS_WORD="a", OLD_WORD="b")


def test_a_bad_variable_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kmsd.settings.CONFIGURATION_FILES", ())
    with pytest.raises(
        SettingsError, match=r"^KMS_PORT: 'x' is not a whole number from 0 to 65535"
    ):
        load((), {"KMS_PORT": "x"})


def test_a_secret_is_read_from_the_file_its_variable_names(tmp_path: Path) -> None:
    path = tmp_path / "password"
    path.write_text(" pass word \n")
    assert environment(KMS_PASSWORD_FILE=str(path)).password == " pass word "


def test_a_secret_file_that_is_missing_is_named(tmp_path: Path) -> None:
    path = tmp_path / "password"
    with pytest.raises(SettingsError, match=r"KMS_PASSWORD_FILE: cannot read .*no such file"):
        environment(KMS_PASSWORD_FILE=str(path))


def test_only_secrets_have_a_file_variable(tmp_path: Path) -> None:
    path = tmp_path / "word"
    path.write_text("x")
    assert environment(KMS_WORD_FILE=str(path)).word == "plain"


@pytest.mark.parametrize(
    ("text", "name", "value"),
    [
        ('word = "x"', "word", "x"),
        ('term = "x"', "word", "x"),
        ('[one]\nword = "x"', "word", "x"),
        ('[foreign]\nword = "x"', "word", "x"),
        ("[one]\nnumber = 7", "number", 7),
        ('[one]\nnumber = "7"', "number", 7),
        ("ratio = 2", "ratio", 2.0),
        ("[one]\nswitch = true", "switch", True),
        ("[one]\non = false", "on", False),
        ('many = ["a", "b"]', "many", ("a", "b")),
        ('many = "a,b"', "many", ("a", "b")),
        ('[two]\nkind = "json"', "kind", LogFormat.JSON),
        ("", "word", "plain"),
    ],
)
def test_a_file_gives_a_value(tmp_path: Path, text: str, name: str, value: object) -> None:
    assert getattr(file(tmp_path, text), name) == value


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('wrod = "x"', "options.toml: wrod: no such option; did you mean word?"),
        ("[one]\nnumbr = 1", "options.toml: one.numbr: no such option; did you mean number?"),
        ("[onne]\nnumber = 1", "options.toml: onne: no such option; did you mean one?"),
        ("number = 77", "options.toml: number: '77' is not a whole number from 1 to 9"),
        ("number = true", "options.toml: number: 'true' is not a whole number from 1 to 9"),
        ("number = [1]", "options.toml: number: expected a whole number from 1 to 9, not a list"),
        ("number = 1\n[one]\nnumber = 2", "options.toml: one.number: given twice; keep one"),
        ("[one.two]\nnumber = 2", "options.toml: one.two: no such option"),
        ("number = = 1", "options.toml: not a TOML file: invalid value (at line 1"),
    ],
)
def test_a_bad_file_is_one_line_that_names_place_and_mend(
    tmp_path: Path, text: str, told: str
) -> None:
    with pytest.raises(SettingsError) as caught:
        file(tmp_path, text)
    assert told in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_secret_value_is_in_no_message(tmp_path: Path) -> None:
    """Neither a repr, nor --info, nor --help, nor an error shows a secret."""
    small = arguments("--password", "hunter2")
    told = [repr(small), info(Configuration(small, dict.fromkeys(vars(small), "x"), ()))]
    told += [help_text(Small, ""), sample(Small)]
    for text in ('password = [["hunter2"]]', 'password = "hunter2'):
        with pytest.raises(SettingsError) as caught:
            file(tmp_path, text)
        told.append(str(caught.value))
    assert not [text for text in told if "hunter2" in text]
    assert 'password = "***"' in told[1]


# The real table


def loaded(words: list[str], variables: dict[str, str], text: str, folder: Path) -> Any:
    path = folder / "kms.toml"
    path.write_text(text)
    return load([*words, "--config", str(path)], variables)


def test_each_option_is_decided_on_its_own_by_the_strongest_source(tmp_path: Path) -> None:
    """Flag beats variable beats file beats default, and none of them switches another off."""
    configuration = loaded(
        ["--port", "1"],
        {"KMS_PORT": "2", "KMS_HOSTNAME": "two", "KMS_LOG_LEVEL": "debug"},
        'port = 3\nhostname = "three"\ndefault_username = "three"',
        tmp_path,
    )
    settings = configuration.settings
    assert (settings.port, settings.hostname, settings.default_username) == (1, "two", "three")
    assert settings.log_format is LogFormat.TEXT
    named = {name: configuration.origins[name] for name in ("port", "hostname", "log_format")}
    assert named == {"port": "--port", "hostname": "KMS_HOSTNAME", "log_format": "default"}
    assert configuration.origins["default_username"].endswith("kms.toml: default_username")


def test_the_configuration_file_is_named_by_flag_or_variable_or_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, port in (("a", 1), ("b", 2), ("c", 3)):
        (tmp_path / name).write_text(f"port = {port}")
    usual = (tmp_path / "missing", tmp_path / "c")
    monkeypatch.setattr("kmsd.settings.CONFIGURATION_FILES", usual)
    variable = {"COSMIAN_KMS_CONF": str(tmp_path / "b")}
    assert load(["-c", str(tmp_path / "a")], variable).settings.port == 1
    assert load((), variable).settings.port == 2
    assert load((), {}).settings.port == 3
    assert load((), {"KMS_CONFIG": str(tmp_path / "a")}).settings.port == 1


def test_a_named_file_that_is_missing_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"cannot read .*nothing.toml.*no such file"):
        load(["--config", str(tmp_path / "nothing.toml")], {})


def test_the_tables_of_the_product_are_accepted(tmp_path: Path) -> None:
    text = """
        default_username = "ann"
        [db]
        database_type = "sqlite"
        sqlite_path = "/somewhere"
        [http]
        port = 1
        hostname = "::1"
        [workspace]
        root_data_path = "/root-data"
        """
    settings = loaded([], {}, text, tmp_path).settings
    assert settings.database_type is DatabaseType.SQLITE
    assert settings.sqlite_folder == Path("/somewhere")
    assert (settings.hostname, settings.root_folder) == ("::1", Path("/root-data"))


def test_relative_folders_are_below_home_and_root_data_path(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("HOME", "/home/ann")
    assert Settings().sqlite_folder == Path("/home/ann/cosmian-kms/sqlite-data")
    settings = Settings(root_data_path=Path("/var/kms"), sqlite_path=Path("db"))
    assert settings.sqlite_folder == Path("/var/kms/db")


def test_a_misspelt_variable_is_noticed_and_a_foreign_one_is_not(tmp_path: Path) -> None:
    variables = {"KMS_DEFAULT_USER_NAME": "ann", "KMS_CLI_CONF": "x", "PORT": "1"}
    (notice,) = loaded([], variables, "", tmp_path).notices
    assert "KMS_DEFAULT_USER_NAME" in notice
    assert "did you mean KMS_DEFAULT_USERNAME?" in notice


def test_the_sample_file_is_the_default_configuration(tmp_path: Path) -> None:
    """Uncommented, what --print-default-config prints loads and changes nothing."""
    lines = sample(Settings).splitlines()
    entries = [line[2:] for line in lines if " = " in line and line.startswith("# ")]
    names = {row.name for row in table(Settings)}
    entries = [line for line in entries if line.split(" ")[0] in names]
    assert len(entries) > 15
    text = "\n".join(line for line in entries if not line.endswith('= ""'))
    assert tomllib.loads(text)
    assert loaded([], {}, text, tmp_path).settings == loaded([], {}, "", tmp_path).settings


def test_info_can_be_used_as_a_file(tmp_path: Path) -> None:
    """What --info prints is TOML, says where each value came from, and loads as it was."""
    before = loaded(["--privileged-users", "a,b"], {"KMS_LOG_FORMAT": "json"}, "", tmp_path)
    text = info(before)
    assert 'privileged_users = ["a", "b"]' in text
    assert "# --privileged-users" in text
    assert loaded([], {}, text, tmp_path).settings == before.settings


def test_help_names_every_option_with_variable_default_and_values() -> None:
    text = help_text(Settings, "Usage")
    for row in table(Settings):
        if not row.hidden:
            assert row.flags[0] in text
            assert all(variable in text for variable in row.environment)
    assert "[env: KMS_PORT] [default: 9998] [possible values: a whole number from 0 to" in text
    assert "[possible values: text, json]" in text
    assert max(map(len, text.splitlines())) <= 100


def test_help_leaves_out_hidden_options() -> None:
    text = help_text(Small, "Usage")
    assert "--quiet" not in text
    assert "--password" in text
    assert "KMS_PASSWORD_FILE" in text


def test_commands_are_no_file_entries(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="info: no such option"):
        loaded([], {}, "info = true", tmp_path)
    assert commands(["--info"]).info
    assert not load((), {**os.environ, "KMS_INFO": "true"}).settings.info


def test_every_option_is_described_in_a_sentence() -> None:
    for row in table(Settings):
        assert row.about.endswith((".", "any.")), row.name
