"""What is known of a model before its weights are read: the files models/*.toml. Used by the command line and all
processes.
"""

import re
from pathlib import Path
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from pipeline.config import read_toml, resolve
from pipeline.errors import ConfigError

FOLDER = Path(__file__).resolve().parent
STUB = "stub"
LABEL_CHARACTERS = 64
_FILE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,200}\.gguf")

Text = Annotated[str, Meta(min_length=1, max_length=500)]
# Names become parts of paths: none begins with a dot, and \Z, unlike $, lets no newline through behind them
ModelName = Annotated[str, Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*\Z", max_length=128)]
Sha256 = Annotated[str, Meta(pattern=r"^[0-9a-f]{64}\Z")]
Label = Annotated[str, Meta(pattern=r"^[a-z0-9][a-z0-9._-]*\Z", max_length=LABEL_CHARACTERS)]


class Part(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A table of a manifest."""


class PackageSource(Part, frozen=True, kw_only=True, tag_field="kind", tag="package"):
    """The weights come with a Python package, in pieces; `module`, one of it, has `assemble(path, overwrite)`."""

    package: Annotated[str, Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*\Z", max_length=128)]
    module: Annotated[str, Meta(pattern=r"^[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*)*\Z")]


class HubSource(Part, frozen=True, kw_only=True, tag_field="kind", tag="hub"):
    """The weights are a file of a repository on the Hugging Face hub, under the manifest's file name."""

    repository: Annotated[str, Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*/[A-Za-z0-9][A-Za-z0-9._-]*\Z")]
    revision: Annotated[str, Meta(pattern=r"^(?!.*\.\.)[A-Za-z0-9][A-Za-z0-9._/-]*\Z", max_length=128)] = "main"


class TrimmedSource(Part, frozen=True, kw_only=True, tag_field="kind", tag="trimmed"):
    """The weights are those of another model without the tokens that ASCII text cannot reach (models/trim.py)."""

    model: ModelName


class MergedSource(Part, frozen=True, kw_only=True, tag_field="kind", tag="merged"):
    """The weights are those of another model with the manifest's adapter added to them (models/merge.py)."""

    model: ModelName


class Licence(Part, frozen=True, kw_only=True):
    """Under which terms the weights are used; `notice` must be shown wherever they are passed on."""

    name: Text
    terms: Text
    notice: Text


class Adapter(Part, frozen=True, kw_only=True):
    """What the model was taught: a file in models/adapters/ (models/adapter.py), which the weights are merged with.

    `settings`: the sha256 of those it was trained with. `scores`: shares of 1 on lessons that it was not trained on.
    """

    file: Annotated[str, Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,200}\.gguf\Z")]
    sha256: Sha256
    base_sha256: Sha256  # of the weights that it was trained on: no others will do
    data_seed: Annotated[int, Meta(ge=0)]
    settings: Sha256
    scores: dict[Annotated[str, Meta(min_length=1, max_length=64)], Annotated[float, Meta(ge=0, le=1)]]
    notice: Text  # must be shown wherever it is passed on


class Manifest(Part, frozen=True, kw_only=True):
    """One model. `file` lies in the folder of weights, unless it is an absolute path; "" is a model without weights.

    `size_gib` is rounded; it is checked when `sha256` is not known. What is trimmed of a file without a known
    `sha256` has neither. `source` is None for a file that the user gave by its path, and `licence` then is unknown
    too.
    """

    name: ModelName
    label: Label  # as it appears in a state's `source`
    file: str
    prompt: Literal["chat", "completion"]
    template: Literal["gemma"] = "gemma"  # the turns of a chat prompt
    examples: Literal["none", "few", "many"] = "many"  # what a prompt shows; a model that was taught the job needs none
    window_lines: Annotated[int, Meta(ge=1, le=1_000_000)] = 60  # of what was said, at most: as it was taught
    links: bool = False  # whether the names of machines in what was said have ids behind them: as it was taught
    hints: bool = False  # and ids with a question mark behind what only hints at one
    own_phase: bool = True  # whether it is told the phase where the rules read nothing: as it was taught
    context: Annotated[int, Meta(ge=512)]  # tokens that the model was trained for
    # What is faster on few cores, measured for each shape of model (`bench layouts`):
    flash_attention: bool = False
    row_cost: Annotated[float, Meta(gt=0, le=1)] = 0.25  # of one more row in a step, as a share of a step of one row
    sha256: Annotated[str, Meta(pattern=r"^([0-9a-f]{64})?\Z")] = ""
    size_gib: Annotated[float, Meta(ge=0)] = 0.0
    source: PackageSource | HubSource | TrimmedSource | MergedSource | None = None
    licence: Licence | None = None
    adapter: Adapter | None = None


def load_manifests(folder: Path = FOLDER) -> dict[str, Manifest]:
    """The manifests of a folder by name, in the order of the names.

    Raises ConfigError, which names file and key.
    """
    paths = sorted(folder.glob("*.toml"), key=lambda path: path.stem)
    manifests = {path.stem: _load(path) for path in paths}
    for path in paths:
        _check_base(path, manifests)
    return manifests


def find_manifest(name: str) -> Manifest:
    """The model that the configuration or `--model` means: a manifest's name, "stub", or the path of a GGUF file.

    A relative path counts from the current folder, or else from the project's. A file given by path gets its
    stem as name and label and is asked by completion, whatever its own chat template: the question is laid out
    by a process that does not read the file. A chat model asks for a manifest. Whether the file exists is found
    when it is located.

    Raises ConfigError for anything else; it lists what there is.
    """
    if name == STUB:
        return Manifest(name=STUB, label=STUB, file="", prompt="completion", context=131_072)
    manifests = load_manifests()
    if name in manifests:
        return manifests[name]
    if name.endswith(".gguf"):
        return _of_path(name)
    known = ", ".join([*manifests, STUB])
    raise ConfigError(f"model {name!r} is not known; give one of {known}, or the path of a .gguf file")


def _of_path(name: str) -> Manifest:
    here = Path(name).expanduser().absolute()
    path = here if here.exists() else resolve(name)
    plain = re.sub(r"[^A-Za-z0-9._-]+", "-", path.stem).lstrip("._-")[:LABEL_CHARACTERS] or "model"
    return Manifest(name=plain, label=plain.lower(), file=str(path), prompt="completion", context=131_072)


def _load(path: Path) -> Manifest:
    try:
        manifest = msgspec.convert(read_toml(path), Manifest)
    except msgspec.ValidationError as error:
        raise ConfigError(f"{path}: {error}") from error
    if manifest.name != path.stem:
        raise ConfigError(f"{path}: name is {manifest.name!r}; it must be the file's own, {path.stem!r}")
    if not _FILE.fullmatch(manifest.file):
        raise ConfigError(f"{path}: file is {manifest.file!r}; give the bare name of a .gguf file: A-Z a-z 0-9 . _ -")
    if not (manifest.sha256 or manifest.size_gib or isinstance(manifest.source, TrimmedSource)):
        raise ConfigError(f"{path}: neither sha256 nor size_gib is given; one is needed to check a download")
    if manifest.source is None or manifest.licence is None:
        raise ConfigError(f"{path}: [source] and [licence] are needed")
    if (manifest.adapter is None) == isinstance(manifest.source, MergedSource):
        raise ConfigError(f'{path}: [adapter] and [source] kind = "merged" belong together; give both or none')
    return manifest


def _check_base(path: Path, manifests: dict[str, Manifest]) -> None:
    """Raises ConfigError if the adapter of the manifest of that file was trained on other weights than those named."""
    manifest = manifests[path.stem]
    if manifest.adapter is None or not isinstance(manifest.source, MergedSource):
        return
    base = manifests.get(manifest.source.model)
    if base is None or base.sha256 != manifest.adapter.base_sha256:
        found = "not known" if base is None else f"of sha256 {base.sha256 or 'that is not told'}"
        raise ConfigError(
            f"{path}: the adapter was trained on weights with sha256 {manifest.adapter.base_sha256}, "
            f"{manifest.source.model} is {found}; name the weights that it was trained on"
        )
