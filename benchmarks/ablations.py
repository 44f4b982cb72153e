"""`bench ablations`: what rank, invented surgeries, words and the amount of lessons are good for. Needs the extra
`training`.

Short trainings from the beginning that differ from the shipped settings in one thing each, and are as long; then the
same validation for all. What is compared is how far each has come, not how far it could come.
"""

import json
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import msgspec
from msgspec.structs import replace
from rich.console import Console

from benchmarks.report import report, write
from models.training.generate import lessons
from models.training.settings import DEFAULT_FILE, Settings, load_settings
from pipeline.errors import ConfigError, OrstateError

FEW = 400  # lessons, of which a variation has no more
Variation = Callable[[Settings, Path], Settings]


def main(names: list[str], steps: int, kept: Path | None, path: Path | None) -> None:
    """Train each variation, print its scores, write them to `path`.

    `kept`: where the trainings are kept, so that what was cut off goes on; None: nowhere. Raises ConfigError
    for an unknown name, OrstateError without PyTorch or if a training was stopped.
    """
    if unknown := sorted(set(names) - set(VARIATIONS)):
        raise ConfigError(f"--only {','.join(unknown)}: no such variation; there are {', '.join(VARIATIONS)}")
    with TemporaryDirectory() as folder:
        place = kept or Path(folder)
        runs = {name: _trained(name, steps, place, kept is not None) for name in names or VARIATIONS}
    ratios = {f"{name}: {score}": run["scores"][score] for name, run in runs.items() for score in ("exact", "invented")}
    write(report("ablations", {"steps": steps, **runs}, ratios), path)


def settings_of(name: str, steps: int, folder: Path) -> Settings:
    """The shipped settings with that one change, for so many steps and one validation at their end."""
    shipped = load_settings(DEFAULT_FILE)
    shipped = replace(
        shipped,
        steps=replace(shipped.steps, count=steps, warm_up=min(shipped.steps.warm_up, steps // 5)),
        validation=replace(shipped.validation, every=steps),
    )
    return VARIATIONS[name](shipped, folder)


def _trained(name: str, steps: int, place: Path, kept: bool) -> dict[str, Any]:
    try:
        from models.training.train import LOG, Training
    except ImportError as error:
        raise OrstateError(
            f"bench ablations: PyTorch is not installed ({error}); run: pip install 'orstate[training]'"
        ) from error
    folder = place / name
    folder.mkdir(parents=True, exist_ok=True)
    settings = settings_of(name, steps, folder)
    training = Training(settings, folder, None, Console(stderr=True))
    if not training.run():
        where = f"; the same with --keep {place} goes on" if kept else ", and is lost without --keep"
        raise OrstateError(f"bench ablations: {name} was stopped at step {training.progress.step} of {steps}{where}")
    logged = [json.loads(line) for line in (folder / LOG).read_text().splitlines()]
    return {
        "settings": msgspec.to_builtins(settings),
        "lessons": training.progress.seen,
        "minutes": training.progress.seconds / 60,
        "losses": [line["loss"] for line in logged if "loss" in line],
        "scores": next(line["validation"] for line in reversed(logged) if "validation" in line),
    }


def _of_rank(rank: int) -> Variation:
    """With the same scale of what is added."""

    def varied(settings: Settings, _: Path) -> Settings:
        scale = settings.adapter.alpha / settings.adapter.rank
        return replace(settings, adapter=replace(settings.adapter, rank=rank, alpha=scale * rank))

    return varied


def _of_invented(share: float) -> Variation:
    return lambda settings, _: replace(settings, lessons=replace(settings.lessons, share_invented=share))


def _of_words(share: float) -> Variation:
    return lambda settings, _: replace(settings, lessons=replace(settings.lessons, share_words=share))


def _of_few(settings: Settings, folder: Path) -> Settings:
    """Again and again the same lessons."""
    told = settings.lessons
    own = folder / "few.jsonl"
    made = lessons(told.seed, FEW, share_invented=told.share_invented, most_lines=told.most_lines)
    own.write_bytes(b"".join(msgspec.json.encode(lesson) + b"\n" for lesson in made))
    return replace(settings, lessons=replace(told, own=str(own), share_own=1.0, written=(), share_written=0.0))


VARIATIONS: dict[str, Variation] = {
    "shipped": lambda settings, _: settings,
    "rank-4": _of_rank(4),
    "rank-8": _of_rank(8),
    "none-invented": _of_invented(0.0),
    "all-invented": _of_invented(1.0),
    "all-words": _of_words(1.0),
    "few-lessons": _of_few,
    "none-written": lambda settings, _: replace(
        settings, lessons=replace(settings.lessons, written=(), share_written=0.0)
    ),
}
