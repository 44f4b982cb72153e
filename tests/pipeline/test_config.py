"""The configuration: what is taken, and what an error names."""

import tomllib
from pathlib import Path
from typing import Any

import msgspec
import pytest

from pipeline.config import DEFAULT_FILE, ROOT, Config, load_config, resolve
from pipeline.errors import ConfigError


def _written(folder: Path, text: str) -> Path:
    path = folder / "own.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_the_shipped_file_says_the_defaults_key_by_key() -> None:
    assert msgspec.to_builtins(load_config()) == msgspec.to_builtins(Config())


def test_every_key_stands_in_the_shipped_file_and_nothing_else() -> None:
    shipped = tomllib.loads(DEFAULT_FILE.read_text(encoding="utf-8"))
    keys = {section: set(table) for section, table in shipped.items()}
    assert keys == {section: set(table) for section, table in msgspec.to_builtins(Config()).items()}


def test_a_file_changes_what_it_names_and_leaves_the_rest(tmp_path: Path) -> None:
    config = load_config(_written(tmp_path, "[queues]\nslots = 8\n"))
    assert config.queues.slots == 8
    assert msgspec.structs.replace(config, queues=Config().queues) == Config()


def test_an_empty_file_is_all_defaults(tmp_path: Path) -> None:
    assert load_config(_written(tmp_path, "")) == Config()


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("[run]\nspeed = 1\n", "unknown field `speed` - at `$.run`"),
        ("[runn]\n", "unknown field `runn`"),
        ("[queues]\nslots = 'many'\n", "Expected `int`, got `str` - at `$.queues.slots`"),
        ("[queues]\nslots = 1\n", "Expected `int` >= 2 - at `$.queues.slots`"),
        ("[run]\ndrain_s = nan\n", "Expected `float` > 0.0 - at `$.run.drain_s`"),
        ("[run]\ndrain_s = inf\n", "at `$.run.drain_s`"),
        ("[run]\ninstance = 'a/b'\n", "at `$.run.instance`"),
        ('[run]\ninstance = "a\\n"\n', "at `$.run.instance`"),
        ("[ingress]\nconnect = [7]\n", "at `$.ingress.connect[0]`"),
        ("[ingress]\nconnect = ['tcp://a:1', 'udp://x:1']\n", "ingress.connect = 'udp://x:1': "),
        ("[ingress]\nconnect = ['ipc']\n", "ingress.connect = 'ipc': "),
        ("[ingress]\nconnect = ['']\n", "ingress.connect = '': "),
        ("[ingress]\nbind = 'localhost:5555'\n", "ingress.bind = 'localhost:5555': "),
        ("[ingress]\nrequests = ''\n", "ingress.requests = '': "),
        ("[egress]\nstates = ''\n", "egress.states = '': "),
        ("[egress]\nstates = 'tcp://*:70000'\n", "egress.states = 'tcp://*:70000': "),
        ("[egress]\nencoding = 'xml'\n", "Invalid enum value 'xml' - at `$.egress.encoding`"),
        ("run = 3\n", "Expected `object`, got `int` - at `$.run`"),
        ("[run\n", "no TOML: "),
        ("[run]\na = 1\na = 2\n", "no TOML: "),
        (f"a = {'[' * 3000}", "no TOML: "),
        (f"a = {'9' * 5000}", "no TOML: "),
    ],
)
def test_an_error_names_the_file_and_the_key(tmp_path: Path, text: str, named: str) -> None:
    path = _written(tmp_path, text)
    with pytest.raises(ConfigError) as caught:
        load_config(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert named in str(caught.value)


def test_a_file_that_is_no_text_names_the_file(tmp_path: Path) -> None:
    path = tmp_path / "binary.toml"
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigError, match=f"{path}: no TOML"):
        load_config(path)


@pytest.mark.parametrize("name", ["missing.toml", "."])
def test_a_file_that_cannot_be_read_names_the_file_and_says_what_to_do(tmp_path: Path, name: str) -> None:
    with pytest.raises(ConfigError, match=f"{tmp_path / name}: cannot be read: .*; give another with --config"):
        load_config(tmp_path / name)


@pytest.mark.parametrize(
    ("setting", "section", "key", "value"),
    [
        ("inference.model=stub", "inference", "model", "stub"),
        ("inference.model='stub'", "inference", "model", "stub"),
        ('inference.model="a b=c"', "inference", "model", "a b=c"),
        ("run.directory=/tmp/x y", "run", "directory", "/tmp/x y"),
        ("run.journal=", "run", "journal", ""),
        ("run.lockstep=true", "run", "lockstep", True),
        ("queues.slots=16", "queues", "slots", 16),
        ("run.drain_s=5", "run", "drain_s", 5.0),
        (" run.drain_s =2.5", "run", "drain_s", 2.5),
        ("ingress.connect=['tcp://a:1','ipc:///b']", "ingress", "connect", ("tcp://a:1", "ipc:///b")),
        ("ingress.bind=", "ingress", "bind", ""),
        ("egress.states=tcp://127.0.0.1:5556", "egress", "states", "tcp://127.0.0.1:5556"),
    ],
)
def test_a_setting_is_a_toml_value_or_a_bare_word(setting: str, section: str, key: str, value: Any) -> None:
    assert getattr(getattr(load_config(None, [setting]), section), key) == value


def test_settings_stand_above_the_file_and_the_last_one_wins(tmp_path: Path) -> None:
    path = _written(tmp_path, "[queues]\nslots = 8\ninline_bytes = 7\n")
    config = load_config(path, ["queues.slots=9", "queues.slots=10"])
    assert (config.queues.slots, config.queues.inline_bytes) == (10, 7)


@pytest.mark.parametrize(
    ("setting", "named"),
    [
        ("run", "give it as section.key=value"),
        ("run=1", "give it as section.key=value"),
        (".instance=1", "give it as section.key=value"),
        ("run.=1", "give it as section.key=value"),
        ("", "give it as section.key=value"),
        ("nowhere.key=1", "unknown field `nowhere`"),
        ("run.speed=1", "unknown field `speed` - at `$.run`"),
        ("run.a.b=1", "unknown field `a.b` - at `$.run`"),
        ("run.instance=true", "Expected `str`, got `bool` - at `$.run.instance`"),
        ("queues.slots=many", "Expected `int`, got `str` - at `$.queues.slots`"),
        ("ingress.bind=inproc://a", "ingress.bind = 'inproc://a': "),
    ],
)
def test_a_wrong_setting_is_named_with_its_key(setting: str, named: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load_config(None, ["queues.slots=8", setting])
    assert str(caught.value).startswith(f"--set {setting}: ")
    assert named in str(caught.value)


def test_relative_paths_count_from_the_project_and_others_stay(tmp_path: Path) -> None:
    assert resolve("configs/machines") == ROOT / "configs" / "machines"
    assert resolve(str(tmp_path)) == tmp_path
    assert resolve("~/models") == Path.home() / "models"
