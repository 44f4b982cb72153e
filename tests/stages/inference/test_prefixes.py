"""Computed prefixes on disk: found again by the next process, and used only if they are what they should be."""

import stat
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from stages.inference.prefixes import MAGIC, PrefixFiles

TOKENS = [2, 10, 11, 12]
State = npt.NDArray[np.uint8]


class Store:
    """Sequences with a state each. One that is restored must begin with `fits`."""

    def __init__(self, fits: int = 7) -> None:
        self.states: dict[int, State] = {0: np.array([fits, *range(200)], np.uint8)}
        self._fits = fits

    def save(self, sequence: int) -> State:
        return self.states[sequence]

    def restore(self, sequence: int, state: State) -> bool:
        if len(state) == 0 or state[0] != self._fits:
            return False
        self.states[sequence] = state.copy()
        return True


@pytest.fixture
def store() -> Store:
    return Store()


@pytest.fixture
def files(tmp_path: Path, store: Store) -> PrefixFiles:
    """With one prefix saved."""
    files = PrefixFiles(tmp_path / "prefixes", "model and engine", store)
    files.save(0, TOKENS)
    return files


def test_a_saved_prefix_is_what_it_was_in_the_next_process(files: PrefixFiles, store: Store, tmp_path: Path) -> None:
    again = PrefixFiles(tmp_path / "prefixes", "model and engine", store)
    assert again.load(1, TOKENS)
    assert store.states[1].tolist() == store.states[0].tolist()
    assert (files.saved, again.loaded) == (1, 1)


def test_a_saved_prefix_can_be_read_by_this_user_only(files: PrefixFiles) -> None:
    assert stat.S_IMODE(files.path(TOKENS).stat().st_mode) == 0o600


def test_saving_leaves_no_other_file(files: PrefixFiles, tmp_path: Path) -> None:
    files.save(0, TOKENS)
    assert [path.name for path in (tmp_path / "prefixes").iterdir()] == [files.path(TOKENS).name]


def test_a_prefix_that_was_not_saved_is_not_there_and_that_is_no_warning(
    files: PrefixFiles, capfd: pytest.CaptureFixture[str]
) -> None:
    assert not files.load(1, [2, 10])
    assert capfd.readouterr().err == ""


def test_other_tokens_or_another_model_are_another_file(files: PrefixFiles, tmp_path: Path, store: Store) -> None:
    other = PrefixFiles(tmp_path / "prefixes", "another model", store)
    paths = {files.path(TOKENS), files.path(TOKENS[:-1]), files.path([*TOKENS, 13]), other.path(TOKENS)}
    assert len(paths) == 4
    assert not other.load(1, TOKENS)


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
    files: PrefixFiles, store: Store, capfd: pytest.CaptureFixture[str], spoil: object
) -> None:
    assert callable(spoil)
    path = files.path(TOKENS)
    path.write_bytes(spoil(path.read_bytes()))
    assert not files.load(1, TOKENS)
    assert 1 not in store.states
    said = capfd.readouterr().err
    assert said == f"warning: {path}: is damaged or no saved prefix; the prefix is computed anew\n"
    assert files.loaded == 0


def test_what_is_damaged_is_replaced_by_the_next_saving(files: PrefixFiles) -> None:
    files.path(TOKENS).write_bytes(b"GGUF")
    files.save(0, TOKENS)
    assert files.load(1, TOKENS)


def test_a_state_that_does_not_fit_is_not_used(
    files: PrefixFiles, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert not PrefixFiles(tmp_path / "prefixes", "model and engine", Store(fits=8)).load(1, TOKENS)
    assert "does not fit this model or cache" in capfd.readouterr().err


def test_what_cannot_be_read_is_a_warning(files: PrefixFiles, capfd: pytest.CaptureFixture[str]) -> None:
    files.path(TOKENS).unlink()
    files.path(TOKENS).mkdir()
    assert not files.load(1, TOKENS)
    assert "cannot be read: Is a directory" in capfd.readouterr().err


def test_a_folder_that_cannot_be_written_is_a_warning(
    tmp_path: Path, store: Store, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("no folder")
    files = PrefixFiles(tmp_path / "file" / "prefixes", "key", store)
    files.save(0, TOKENS)
    assert files.saved == 0
    assert f"warning: {files.path(TOKENS)}: cannot be written: Not a directory" in capfd.readouterr().err


def test_a_saving_that_fails_leaves_nothing_behind(
    files: PrefixFiles, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    files.path([1]).mkdir()
    (files.path([1]) / "full").touch()  # so that it cannot be replaced
    files.save(0, [1])
    assert "cannot be written" in capfd.readouterr().err
    assert not list((tmp_path / "prefixes").glob("*.part"))
