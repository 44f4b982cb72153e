"""Computed prefixes on disk: found again by the next process, and used only if they are what they should be."""

import stat
from pathlib import Path

import numpy as np
import pytest

from stages.inference.prefixes import MAGIC, PrefixFiles
from stages.inference.shelf import Saved

TOKENS = [2, 10, 11, 12]
STATE = np.arange(200, dtype=np.uint8)


@pytest.fixture
def files(tmp_path: Path) -> PrefixFiles:
    """With one prefix saved."""
    files = PrefixFiles(tmp_path / "prefixes", "model and engine")
    files.save(Saved(TOKENS, STATE))
    return files


def test_a_saved_prefix_is_what_it_was_in_the_next_process(files: PrefixFiles, tmp_path: Path) -> None:
    again = PrefixFiles(tmp_path / "prefixes", "model and engine")
    saved = again.load(TOKENS)
    assert saved is not None
    assert (saved.tokens, saved.state.tolist()) == (TOKENS, STATE.tolist())
    assert (files.saved, again.loaded) == (1, 1)


def test_a_saved_prefix_can_be_read_by_this_user_only(files: PrefixFiles) -> None:
    assert stat.S_IMODE(files.path(TOKENS).stat().st_mode) == 0o600


def test_saving_leaves_no_other_file(files: PrefixFiles, tmp_path: Path) -> None:
    files.save(Saved(TOKENS, STATE))
    assert [path.name for path in (tmp_path / "prefixes").iterdir()] == [files.path(TOKENS).name]


def test_a_prefix_that_was_not_saved_is_not_there_and_that_is_no_warning(
    files: PrefixFiles, capfd: pytest.CaptureFixture[str]
) -> None:
    assert files.load([2, 10]) is None
    assert capfd.readouterr().err == ""


def test_other_tokens_or_another_model_are_another_file(files: PrefixFiles, tmp_path: Path) -> None:
    other = PrefixFiles(tmp_path / "prefixes", "another model")
    paths = {files.path(TOKENS), files.path(TOKENS[:-1]), files.path([*TOKENS, 13]), other.path(TOKENS)}
    assert len(paths) == 4
    assert other.load(TOKENS) is None


def damage(raw: bytes) -> bytes:
    return raw[:-5] + bytes([raw[-5] ^ 1]) + raw[-4:]


@pytest.mark.parametrize(
    "spoil",
    [
        damage,
        lambda raw: damage(raw[::-1])[::-1],
        lambda raw: raw[:-1],
        lambda raw: raw[: len(MAGIC) + 32],
        lambda raw: raw[:10],
        lambda raw: b"",
        lambda raw: raw + b"x",
        lambda raw: b"GGUF" + bytes(500),
    ],
    ids=["changed", "changed head", "cut", "no state", "half a head", "empty", "longer", "foreign"],
)
def test_what_is_damaged_or_foreign_is_not_used_and_a_warning_names_the_file(
    files: PrefixFiles, capfd: pytest.CaptureFixture[str], spoil: object
) -> None:
    assert callable(spoil)
    path = files.path(TOKENS)
    path.write_bytes(spoil(path.read_bytes()))
    assert files.load(TOKENS) is None
    said = capfd.readouterr().err
    assert said == f"warning: {path}: is damaged or no saved prefix; the prefix is computed anew\n"
    assert files.loaded == 0


def test_what_is_damaged_is_replaced_by_the_next_saving(files: PrefixFiles) -> None:
    files.path(TOKENS).write_bytes(b"GGUF")
    files.save(Saved(TOKENS, STATE))
    assert files.load(TOKENS) is not None


def test_what_cannot_be_read_is_a_warning(files: PrefixFiles, capfd: pytest.CaptureFixture[str]) -> None:
    files.path(TOKENS).unlink()
    files.path(TOKENS).mkdir()
    assert files.load(TOKENS) is None
    assert "cannot be read: Is a directory" in capfd.readouterr().err


def test_a_folder_that_cannot_be_written_is_a_warning(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").write_text("no folder")
    files = PrefixFiles(tmp_path / "file" / "prefixes", "key")
    files.save(Saved(TOKENS, STATE))
    assert files.saved == 0
    assert f"warning: {files.path(TOKENS)}: cannot be written: Not a directory" in capfd.readouterr().err


def test_a_saving_that_fails_leaves_nothing_behind(
    files: PrefixFiles, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    files.path([1]).mkdir()
    (files.path([1]) / "full").touch()  # so that it cannot be replaced
    files.save(Saved([1], STATE))
    assert "cannot be written" in capfd.readouterr().err
    assert not list((tmp_path / "prefixes").glob("*.part"))


def test_a_prefix_that_others_can_write_or_that_lies_elsewhere_is_not_loaded(
    files: PrefixFiles, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    path = files.path(TOKENS)
    path.chmod(0o620)
    assert files.load(TOKENS) is None
    assert "is not ours alone" in capfd.readouterr().err
    path.chmod(0o600)
    path.rename(tmp_path / "elsewhere")
    path.symlink_to(tmp_path / "elsewhere")
    assert files.load(TOKENS) is None
    assert "cannot be read" in capfd.readouterr().err


def test_what_replaces_a_link_is_a_file_of_ours(files: PrefixFiles, tmp_path: Path) -> None:
    path = files.path(TOKENS)
    path.unlink()
    (tmp_path / "precious").write_text("dear")
    path.symlink_to(tmp_path / "precious")
    files.save(Saved(TOKENS, STATE))
    assert not path.is_symlink()
    assert (tmp_path / "precious").read_text() == "dear"
    assert files.load(TOKENS) is not None
