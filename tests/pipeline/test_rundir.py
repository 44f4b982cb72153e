"""The run directory: one instance at a time, private, and nothing of others is touched."""

import multiprocessing
import os
import socket
from collections.abc import Iterator
from multiprocessing.connection import Connection
from pathlib import Path

import pytest

from pipeline.config import load_config
from pipeline.endpoints import MAX_IPC_PATH
from pipeline.errors import OrstateError
from pipeline.rundir import RunDirectory, run_directory

_spawn = multiprocessing.get_context("spawn")


@pytest.fixture
def directory(short_dir: Path) -> Iterator[RunDirectory]:
    claimed = RunDirectory(short_dir / "run")
    yield claimed
    claimed.remove()


def claim_and_wait(path: str, told: Connection) -> None:
    """Another instance, which is there until it is killed."""
    directory = RunDirectory(Path(path))
    with socket.socket(socket.AF_UNIX) as control:
        control.bind(str(directory.path / "control"))
        (directory.path / "prompt.log").write_text("last words")
        told.send(os.getpid())
        told.recv()


def test_the_directory_is_private_and_bears_the_id_of_its_owner(directory: RunDirectory) -> None:
    assert directory.path.stat().st_mode & 0o777 == 0o700
    assert (directory.path / "lock").read_text() == str(os.getpid())


def test_a_directory_that_was_open_to_others_is_closed(short_dir: Path) -> None:
    (short_dir / "run").mkdir(mode=0o755)
    directory = RunDirectory(short_dir / "run")
    assert directory.path.stat().st_mode & 0o777 == 0o700
    directory.remove()


def test_a_second_instance_is_told_who_holds_it_and_changes_nothing(directory: RunDirectory) -> None:
    (directory.path / "parse.log").write_text("words")
    with pytest.raises(OrstateError, match=f"{directory.path}: in use by process {os.getpid()}; stop it, or set run"):
        RunDirectory(directory.path)
    assert (directory.path / "parse.log").read_text() == "words"


def test_it_is_removed_with_all_in_it_and_once_more_is_no_error(directory: RunDirectory) -> None:
    (directory.path / "parse.log").write_text("words")
    directory.remove()
    directory.remove()
    assert not directory.path.exists()


def test_what_a_killed_instance_left_is_swept_and_its_directory_taken_over(short_dir: Path) -> None:
    ours, theirs = _spawn.Pipe()
    child = _spawn.Process(target=claim_and_wait, args=(str(short_dir / "run"), theirs))
    child.start()
    assert ours.poll(60)
    pid = ours.recv()
    with pytest.raises(OrstateError, match=f"in use by process {pid}"):
        RunDirectory(short_dir / "run")
    child.kill()
    child.join(60)
    child.close()
    directory = RunDirectory(short_dir / "run")
    assert [path.name for path in directory.path.iterdir()] == ["lock"]
    assert (directory.path / "lock").read_text() == str(os.getpid())
    directory.remove()


@pytest.mark.parametrize("name", ["notes.txt", "server.log", "folder/file"])
def test_a_folder_with_other_things_in_it_is_refused_and_left_as_it_is(short_dir: Path, name: str) -> None:
    (short_dir / name).parent.mkdir(exist_ok=True)
    (short_dir / name).write_text("dear")
    mode = short_dir.stat().st_mode
    with pytest.raises(
        OrstateError, match=r"in it, and a run directory is emptied; set run\.directory to a new folder"
    ):
        RunDirectory(short_dir)
    assert (short_dir / name).read_text() == "dear"
    assert short_dir.stat().st_mode == mode


def test_a_path_too_long_for_sockets_is_refused_and_not_made(short_dir: Path) -> None:
    path = short_dir / ("x" * (MAX_IPC_PATH - len(str(short_dir)) - len("//completions") + 1))
    with pytest.raises(OrstateError, match=r"too long for ipc sockets \(107 bytes\); set a shorter run.directory"):
        RunDirectory(path)
    assert not path.exists()
    longest = RunDirectory(Path(str(path)[:-1]))
    with socket.socket(socket.AF_UNIX) as control:
        control.bind(str(longest.path / "completions"))
    longest.remove()


def test_a_path_that_cannot_be_made_is_told(short_dir: Path) -> None:
    (short_dir / "file").write_text("")
    for path in (short_dir / "file", short_dir / "file" / "run"):
        with pytest.raises(OrstateError, match=f"{path}: cannot be made: .*; set another run.directory"):
            RunDirectory(path)


def test_a_configured_directory_is_used_as_it_is(short_dir: Path) -> None:
    assert run_directory(load_config(None, [f"run.directory={short_dir}/x"])) == short_dir / "x"


def test_the_default_directory_is_one_of_the_user_for_each_instance(monkeypatch: pytest.MonkeyPatch) -> None:
    config = load_config(None, ["run.instance=two"])
    monkeypatch.setenv("XDG_RUNTIME_DIR", "/run/user/5")
    assert run_directory(config) == Path("/run/user/5/orstate/two")
    monkeypatch.delenv("XDG_RUNTIME_DIR")
    assert run_directory(config).parts[-2:] == (f"orstate-{os.getuid()}", "two")
