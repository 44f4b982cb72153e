"""`python -m models.training.ship`: puts the best adapter of a training where models are found, with its manifest.

The adapter is asked through the engine before, as a run asks it: what the manifest tells is what came of that.
"""

import shutil
import sys
from pathlib import Path
from typing import Annotated, Final

import msgspec
import typer

from models.adapter import adapters_folder, verify_adapter
from models.fetch import ensure
from models.manifest import FOLDER, Adapter, Manifest, MergedSource, find_manifest
from models.merge import merge
from models.store import file_sha256, weights_path
from models.training.asking import ask_engine
from models.training.lesson import Lesson
from models.training.mix import mix
from models.training.settings import DEFAULT_FILE, Settings, load_settings
from models.training.validating import validation_lessons
from pipeline.config import ROOT, resolve
from pipeline.errors import ConfigError, OrstateError
from pipeline.progress import silent
from stages.surgery import load_surgeries

OUTPUT: Final = ROOT / "training-run"
NOTICE: Final = (
    "Modified: an adapter trained by orstate (models/training) is added to the weights. Gemma is provided under "
    "and subject to the Gemma Terms of Use found at ai.google.dev/gemma/terms"
)


class Best(msgspec.Struct):
    """What a training knows of its best adapter."""

    settings: str
    base_sha256: str
    step: int
    scores: dict[str, float]
    start: str = ""  # the sha256 of the adapter that it began with


def ship(
    settings: Settings, output: Path, name: str, asked: int, start: Path | None = None, share: float = 1.0
) -> Manifest:
    """Copy the adapter, and write models/NAME.toml; the manifest. `asked`: lessons that the engine is asked.

    `share`: of the way from `start`, which the training began with, to what it came to. Raises OrstateError if the
    training is of other settings or began with another adapter, or has no best one yet.
    """
    best = _best(output)
    if best.settings != settings.digest:
        raise ConfigError(f"{output}: was trained with other settings; give those with --config")
    base = find_manifest(settings.model)
    if base.sha256 != best.base_sha256:
        raise ConfigError(f"{output}: was trained on weights with sha256 {best.base_sha256}, {base.name} has another")
    target = adapters_folder() / f"{name}.gguf"
    target.parent.mkdir(parents=True, exist_ok=True)
    if start is None:
        shutil.copyfile(output / "best.gguf", target)
    else:
        if best.start and best.start != file_sha256(start, None):
            raise ConfigError(f"--start {start}: is not the adapter that {output} began with; give that one")
        mix(start, output / "best.gguf", share, target)
    manifest = msgspec.structs.replace(
        base,
        name=name,
        file=f"{name}.gguf",
        source=MergedSource(model=base.name),
        label=name,  # a modified model is not called as the one that it was made of
        examples="none",
        window_lines=settings.lessons.most_lines,
        links=True,
        hints=settings.lessons.hints,
        own_phase=False,
        licence=msgspec.structs.replace(base.licence, notice=NOTICE) if base.licence else None,
        adapter=Adapter(
            file=target.name,
            sha256=file_sha256(target, None),
            base_sha256=best.base_sha256,
            data_seed=settings.lessons.seed,
            settings=settings.digest,
            scores={},
            notice=NOTICE,
        ),
    )
    merged = weights_path(manifest)
    merge(ensure(base), target, merged, silent)
    size_gib = round(merged.stat().st_size / 2**30, 3)
    manifest = msgspec.structs.replace(manifest, sha256=file_sha256(merged, None), size_gib=size_gib)
    verify_adapter(manifest)
    scores = engine_scores(manifest, list(validation_lessons(settings, asked)))
    assert manifest.adapter is not None
    manifest = msgspec.structs.replace(manifest, adapter=msgspec.structs.replace(manifest.adapter, scores=scores))
    (FOLDER / f"{name}.toml").write_text(manifest_text(manifest))
    return manifest


def engine_scores(manifest: Manifest, lessons: list[Lesson]) -> dict[str, float]:
    """Shares of the lessons that the engine answers right: see models/training/validation.py."""
    shipped = set(load_surgeries(resolve("configs/machines")))
    answers = ask_engine(manifest, lessons)
    right: dict[str, list[bool]] = {"toggles": [], "exact": [], "exact_shipped": [], "exact_invented": []}
    for lesson, answer in zip(lessons, answers, strict=True):
        told = lesson.answer
        toggles = (set(answer["on"]), set(answer["off"])) == (set(told.on), set(told.off))
        exact = toggles and (answer["phase"], answer["next"]) == (told.phase, told.next)
        right["toggles"].append(toggles)
        right["exact"].append(exact)
        right["exact_shipped" if lesson.surgery.surgery in shipped else "exact_invented"].append(exact)
    return {name: round(sum(each) / len(each), 4) for name, each in right.items() if each}


def manifest_text(manifest: Manifest) -> str:
    """A manifest as the TOML of its file: what differs from the defaults."""
    fields = {key: value for key, value in msgspec.to_builtins(manifest).items() if value is not None}
    defaults = {field.name: field.default for field in msgspec.structs.fields(Manifest)}
    plain = {k: v for k, v in fields.items() if not isinstance(v, dict) and v != defaults.get(k)}
    lines = ["# Written by models/training/ship.py", *_pairs(plain)]
    for key, table in fields.items():
        if isinstance(table, dict):
            inner = {k: v for k, v in table.items() if isinstance(v, dict)}
            lines += ["", f"[{key}]", *_pairs({k: v for k, v in table.items() if k not in inner})]
            for name, values in inner.items():
                lines += ["", f"[{key}.{name}]", *_pairs(values)]
    return "\n".join(lines) + "\n"


def _pairs(values: dict[str, object]) -> list[str]:
    """Strings, numbers and booleans are written in TOML as in JSON."""
    return [f"{key} = {msgspec.json.encode(value).decode()}" for key, value in values.items()]


def _best(output: Path) -> Best:
    try:
        return msgspec.json.decode((output / "best.json").read_bytes(), type=Best)
    except FileNotFoundError as error:
        raise ConfigError(f"{output}: has no best adapter yet; train until a validation, or give --output") from error
    except (OSError, msgspec.DecodeError) as error:
        raise ConfigError(f"{output / 'best.json'}: {error}; give the folder of a training with --output") from error


def main(
    name: Annotated[str, typer.Option(help="Of the model that is made.")] = "gemma-3-270m-taught",
    config: Annotated[Path, typer.Option(help="The settings of the training.")] = DEFAULT_FILE,
    output: Annotated[Path, typer.Option(help="The folder of the training.")] = OUTPUT,
    asked: Annotated[int, typer.Option(min=1, help="Lessons that the engine is asked for the scores.")] = 300,
    start: Annotated[Path | None, typer.Option(help="The adapter that the training began with, for --share.")] = None,
    share: Annotated[
        float, typer.Option(min=0.0, max=1.0, help="How far from --start to what the training came to.")
    ] = 1.0,
) -> None:
    """Make a model of the best adapter of a training."""
    if start is None and share != 1.0:
        sys.exit(f"ship: --share {share:g}: of the way from which adapter? Give --start as the training had it")
    try:
        manifest = ship(load_settings(config), output, name, asked, start, share)
    except OrstateError as error:
        sys.exit(f"ship: {error}")
    assert manifest.adapter is not None
    print(FOLDER / f"{name}.toml")
    print("  ".join(f"{key} {value:.3f}" for key, value in manifest.adapter.scores.items()), file=sys.stderr)


if __name__ == "__main__":
    typer.run(main)
