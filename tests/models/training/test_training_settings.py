"""The settings of a training: the shipped ones are whole, and what is wrong is named."""

from pathlib import Path

import pytest

from models.training.settings import DEFAULT_FILE, load_settings
from pipeline.errors import ConfigError

SHIPPED = DEFAULT_FILE.read_text()


def test_the_shipped_settings_are_read_and_have_a_digest() -> None:
    settings = load_settings(DEFAULT_FILE)
    assert settings.model == "gemma-3-270m"
    assert settings.digest == load_settings(DEFAULT_FILE).digest


def test_another_setting_is_another_digest(tmp_path: Path) -> None:
    path = tmp_path / "s.toml"
    path.write_text(SHIPPED.replace("rank = 16", "rank = 8"))
    assert load_settings(path).digest != load_settings(DEFAULT_FILE).digest


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("rank = 16", "rank = 0", r"s\.toml: .*>= 1.*\$\.adapter\.rank"),
        ("rank = 16", "rnak = 16", "rnak"),
        ('precision = "bfloat16"', 'precision = "int8"', r"int8.*\$\.precision"),
        ("rank = 16", "rank = ", r"s\.toml: no TOML"),
    ],
)
def test_a_wrong_setting_is_named(old: str, new: str, says: str, tmp_path: Path) -> None:
    path = tmp_path / "s.toml"
    assert old in SHIPPED
    path.write_text(SHIPPED.replace(old, new))
    with pytest.raises(ConfigError, match=says):
        load_settings(path)


def test_settings_that_are_not_there_are_told_with_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"gone\.toml: cannot be read: .*give another with --config"):
        load_settings(tmp_path / "gone.toml")
