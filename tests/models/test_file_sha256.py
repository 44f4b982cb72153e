"""The sum of a file of gigabytes is computed once, and again only when the file has changed."""

import hashlib
import os
from pathlib import Path

import pytest

from models.store import file_sha256


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "tiny.gguf"
    path.write_bytes(b"GGUF and more")
    return path


def sum_of(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def change_unseen(path: Path) -> None:
    """Change the content but nothing that is seen from outside."""
    before = path.stat()
    with path.open("r+b") as file:
        file.write(b"XXXX")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def test_a_noted_sum_is_used_while_the_file_is_as_it_was(file: Path, tmp_path: Path) -> None:
    first = file_sha256(file, tmp_path / "notes")
    assert first == sum_of(file)
    change_unseen(file)  # so that computing it again would show
    assert file_sha256(file, tmp_path / "notes") == first != sum_of(file)


def test_a_file_that_grew_or_was_written_later_or_replaced_is_summed_again(file: Path, tmp_path: Path) -> None:
    notes = tmp_path / "notes"
    seen = [file_sha256(file, notes)]
    file.write_bytes(b"GGUF and much more")
    seen.append(file_sha256(file, notes))
    change_unseen(file)
    os.utime(file, ns=(0, file.stat().st_mtime_ns + 1))
    seen.append(file_sha256(file, notes))
    other = tmp_path / "other"
    other.write_bytes(b"GGUF AND MUCH MORE")
    os.utime(other, ns=(0, file.stat().st_mtime_ns))
    other.replace(file)
    seen.append(file_sha256(file, notes))
    assert len(set(seen)) == 4
    assert seen[-1] == sum_of(file)


@pytest.mark.parametrize("note", [b"", b"x", b"\xff\xfe", b"13 1 1 abc"])
def test_a_note_that_is_none_is_not_used(file: Path, tmp_path: Path, note: bytes) -> None:
    (tmp_path / "tiny.gguf.sha256").write_bytes(note)
    assert file_sha256(file, tmp_path) == sum_of(file)
    change_unseen(file)
    assert file_sha256(file, tmp_path) != sum_of(file)  # and was replaced by one


def test_notes_that_cannot_be_written_are_done_without(file: Path, tmp_path: Path) -> None:
    (tmp_path / "no folder").touch()
    assert file_sha256(file, tmp_path / "no folder") == sum_of(file)
