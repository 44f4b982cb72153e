"""Where the weights lie on this machine, and whether they are what the manifest says. Used by the command line and
the inference process.
"""

import hashlib
import os
from contextlib import suppress
from pathlib import Path

from models.gguf import MAGIC, GgufBroken, read
from models.manifest import FOLDER, Manifest, TrimmedSource
from models.trim import DONE
from pipeline.errors import OrstateError

MERGED = "orstate.merge.adapter_sha256"  # the metadata of merged weights that names the adapter in them
SIZE_TOLERANCE = 0.03  # of a manifest's rounded size


class ModelMissing(OrstateError):
    """The weights are not on this machine; says where they would lie and how to get them."""


class ModelBroken(OrstateError):
    """The weights are not what the manifest says; says what was expected, what was found, and what to do."""


def weights_folder() -> Path:
    """The folder of downloaded weights: models/ of the project, or what ORSTATE_MODELS names."""
    return Path(os.environ.get("ORSTATE_MODELS") or FOLDER).expanduser().absolute()


def weights_path(manifest: Manifest) -> Path:
    """Where the weights of that model lie, or would lie."""
    return weights_folder() / manifest.file


def locate(manifest: Manifest) -> Path:
    """The file with the weights. Raises ModelMissing."""
    if not manifest.file:
        raise ModelMissing(f"model {manifest.name} has no weights: nothing to locate")
    path = weights_path(manifest)
    if path.is_file():
        return path
    if manifest.source is None:
        raise ModelMissing(f"{path}: there is no such file; give the path of a .gguf file that exists")
    raise ModelMissing(
        f"{path}: the weights of {manifest.name} are not there; "
        f"get them with: python run_pipeline.py models fetch {manifest.name}"
    )


def verify(manifest: Manifest) -> str:
    """What was checked of the located weights, as one sentence. Raises ModelMissing and ModelBroken."""
    return verify_file(locate(manifest), manifest)


def file_sha256(path: Path, notes: Path | None) -> str:
    """The sha256 of a file. It is noted in the folder `notes` for the next time, until the file changes."""
    if notes is None:
        return _sha256(path)
    found = path.stat()
    note = notes / f"{path.name}.sha256"
    seen = f"{found.st_size} {found.st_mtime_ns} {found.st_ino} "
    try:
        noted = note.read_text()
    except (OSError, UnicodeDecodeError):
        noted = ""
    if noted.startswith(seen):
        return noted.removeprefix(seen)
    digest = _sha256(path)
    with suppress(OSError):  # then it is computed the next time too
        notes.mkdir(parents=True, exist_ok=True)
        note.write_text(f"{seen}{digest}")
    return digest


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def verify_file(path: Path, manifest: Manifest, sha256: str = "", notes: Path | None = None) -> str:
    """What was checked of the weights at `path`. `sha256` is used if the manifest has none; `notes`: see `file_sha256`.

    Without any sha256 the size and the first bytes are all there is to check, or without a size the file's frame,
    and the sentence says so. Raises ModelBroken.
    """
    advice = "put a whole one there"
    if manifest.source is not None:
        advice = f"delete it and run: python run_pipeline.py models fetch {manifest.name}"
    with path.open("rb") as file:
        if (found := file.read(len(MAGIC))) != MAGIC:
            raise ModelBroken(f"{path}: begins with {found!r}, a GGUF file with {MAGIC!r}; {advice}")
    if expected := manifest.sha256 or sha256:
        digest = file_sha256(path, notes)
        if digest != expected:
            raise ModelBroken(f"{path}: sha256 is {digest}, expected {expected}; {advice}")
        return f"{path}: sha256 is the expected one, {digest}"
    size_gib = path.stat().st_size / 2**30
    if not manifest.size_gib:
        try:
            metadata = read(path).metadata
        except GgufBroken as error:
            raise ModelBroken(f"{error}; {advice}") from error
        if isinstance(manifest.source, TrimmedSource) and DONE not in metadata:
            raise ModelBroken(f"{path}: is not trimmed, {manifest.name} must be; {advice}")
        return f"{path}: a GGUF file of {size_gib:.2f} GiB; neither sha256 nor size are known to check it by"
    if abs(size_gib - manifest.size_gib) > SIZE_TOLERANCE * manifest.size_gib:
        raise ModelBroken(f"{path}: size is {size_gib:.2f} GiB, expected {manifest.size_gib:.2f}; {advice}")
    return f"{path}: size ({size_gib:.2f} GiB) and GGUF header are right; no sha256 is known to check it by"
