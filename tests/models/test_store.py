from pathlib import Path

import msgspec
import pytest
from tiny_gguf import tiny

from models.manifest import Manifest, find_manifest
from models.store import ModelBroken, ModelMissing, locate, verify
from models.trim import trim


def test_missing_weights_say_where_they_would_lie_and_how_to_get_them(folder: Path, packaged: Manifest) -> None:
    with pytest.raises(ModelMissing, match=r"weights/tiny\.gguf.*run_pipeline\.py models fetch tiny"):
        locate(packaged)


def test_a_missing_file_given_by_path_is_named(tmp_path: Path) -> None:
    with pytest.raises(ModelMissing, match=r"gone\.gguf: there is no such file"):
        locate(find_manifest(str(tmp_path / "gone.gguf")))


def test_the_stub_has_nothing_to_locate() -> None:
    with pytest.raises(ModelMissing, match="stub has no weights"):
        locate(find_manifest("stub"))


def test_right_weights_are_verified_by_their_sha256(folder: Path, packaged: Manifest, weights: bytes) -> None:
    folder.mkdir()
    (folder / "tiny.gguf").write_bytes(weights)
    assert packaged.sha256 in verify(packaged)


def test_changed_weights_are_told_with_both_sums_and_the_remedy(
    folder: Path, packaged: Manifest, weights: bytes
) -> None:
    folder.mkdir()
    (folder / "tiny.gguf").write_bytes(weights[:-1] + b"x")
    with pytest.raises(ModelBroken, match=rf"expected {packaged.sha256}; delete it and run: .* models fetch tiny"):
        verify(packaged)


def test_without_a_sum_only_size_and_header_are_checked_and_it_is_said(
    folder: Path, on_hub: Manifest, weights: bytes
) -> None:
    folder.mkdir()
    (folder / "far.gguf").write_bytes(weights)
    assert "no sha256 is known" in verify(on_hub)


def test_half_a_file_is_found_by_its_size(folder: Path, on_hub: Manifest, weights: bytes) -> None:
    folder.mkdir()
    (folder / "far.gguf").write_bytes(weights[: len(weights) // 2])
    with pytest.raises(ModelBroken, match="size is"):
        verify(on_hub)


def test_without_sum_and_size_the_frame_of_the_file_is_checked(folder: Path, smaller: Manifest, tmp_path: Path) -> None:
    folder.mkdir()
    trim(tiny(tmp_path / "tiny.gguf"), folder / "smaller.gguf", lambda done, total: None)
    assert "neither sha256 nor size are known" in verify(smaller)
    (folder / "smaller.gguf").write_bytes((folder / "smaller.gguf").read_bytes()[:2000])
    with pytest.raises(ModelBroken, match=r"smaller\.gguf: .* at byte \d+ of 2000; .* models fetch smaller"):
        verify(smaller)


def test_an_original_in_the_place_of_what_is_trimmed_of_it_is_refused(folder: Path, smaller: Manifest) -> None:
    folder.mkdir()
    tiny(folder / "smaller.gguf")
    with pytest.raises(ModelBroken, match="is not trimmed, smaller must be; delete it"):
        verify(smaller)


def test_a_file_of_another_kind_is_found_by_its_first_bytes(folder: Path, on_hub: Manifest, weights: bytes) -> None:
    folder.mkdir()
    (folder / "far.gguf").write_bytes(b"<htm" + weights[4:])
    with pytest.raises(ModelBroken, match=r"b'<htm'"):
        verify(msgspec.structs.replace(on_hub, size_gib=0.0))
