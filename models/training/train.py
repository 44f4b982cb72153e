"""`python -m models.training.train`: trains an adapter as a settings file says, and goes on where it was cut off.

The folder of a training holds its checkpoint, `log.jsonl` (a line a step, and one a validation), and the best adapter
so far with its scores, `best.gguf` and `best.json`. What stands in it follows from the settings: a training that was
killed at any moment and begun again writes what one without a break would have written, times apart.
"""

import fcntl
import json
import math
import os
import resource
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, Final

import msgspec
import torch
import typer
from rich.console import Console
from rich.progress import Progress as Bar
from rich.progress import SpinnerColumn, TimeRemainingColumn

from models.adapter import BASE, read_adapter, write_adapter
from models.fetch import ensure
from models.manifest import find_manifest
from models.store import file_sha256
from models.training import checkpoint
from models.training.checkpoint import Progress
from models.training.encode import Encoder
from models.training.loss import cost
from models.training.network import Network
from models.training.packs import Pack
from models.training.settings import DEFAULT_FILE, Settings, load_settings
from models.training.teaching import Teaching
from models.training.validation import Scores, Validation
from pipeline.config import ROOT
from pipeline.errors import ConfigError, OrstateError

OUTPUT: Final = ROOT / "training-run"
BEST, SCORES, LOG = "best.gguf", "best.json", "log.jsonl"
NOTICE: Final = (
    "This is a modification of Gemma 3 270M: an adapter that was trained by orstate (models/training). Gemma is "
    "provided under and subject to the Gemma Terms of Use found at ai.google.dev/gemma/terms"
)


class Training:
    """One training in one folder."""

    def __init__(self, settings: Settings, output: Path, start: Path | None, console: Console) -> None:
        """Loads the model, and what was done before. Raises OrstateError."""
        self._settings, self._output, self._console = settings, output, console
        torch.set_num_threads(settings.threads or len(os.sched_getaffinity(0)))
        torch.compiler.set_stance("default" if settings.compiled else "force_eager")
        path = ensure(find_manifest(settings.model))
        self.base_sha256 = file_sha256(path, None)
        started = file_sha256(start, None) if start is not None else ""
        self._check(started)
        self.network = Network(
            path,
            rank=settings.adapter.rank,
            alpha=settings.adapter.alpha,
            seed=settings.seed,
            precision=settings.precision,
        )
        if start is not None:
            self.network.take(*read_adapter(start))
        self._trained = self.network.trained
        self._optimiser = torch.optim.AdamW(self._trained.values(), lr=0.0, weight_decay=settings.steps.decay)
        before = checkpoint.restore(output, self._trained, self._optimiser)
        self.progress = before or Progress(settings=settings.digest, start=started)
        self._trim_log()
        encoder = Encoder(path, settings.lessons.hints)
        self._teaching = Teaching(encoder, settings)
        self._validation = Validation(encoder, settings)

    def run(self, minutes: float | None = None) -> bool:
        """Train until all steps are done, the minutes are over, or a signal asks for an end; whether it is done."""
        began, before, count = time.monotonic(), self.progress.seconds, self._settings.steps.count
        limit = math.inf if minutes is None else 60.0 * minutes
        packs = self._teaching.packs(self.progress.chunk, self.progress.pack)
        with _signals() as asked, self._bar() as bar:
            task = bar.add_task("training", total=count, completed=self.progress.step)
            while self.progress.step < count and not asked and time.monotonic() - began < limit:
                chunk, number, pack = next(packs)
                loss = self._step(pack)
                self.progress = msgspec.structs.replace(
                    self.progress,
                    step=self.progress.step + 1,
                    chunk=chunk,
                    pack=number + 1,
                    seen=self.progress.seen + len(pack.examples),
                    seconds=before + time.monotonic() - began,
                )
                self._log({"step": self.progress.step, "loss": loss, "lessons": self.progress.seen})
                bar.update(task, completed=self.progress.step, description=f"loss {loss:.3f}")
                if self.progress.step % self._settings.validation.every == 0 or self.progress.step == count:
                    self._validate()
                if self.progress.step % self._settings.checkpoint_every == 0 or self.progress.step == count:
                    self._save()
        self._save()
        return self.progress.step == count

    def _step(self, pack: Pack) -> float:
        """One step; the mean loss of its choices."""
        settings = self._settings.steps
        for group in self._optimiser.param_groups:
            group["lr"] = rate(self._settings, self.progress.step)
        fields = [field for example in pack.examples for field in example.fields]
        weights = torch.tensor([settings.words_weight if field == "words" else 1.0 for field in fields])
        total = cost(self.network.hidden(pack), self.network.embedding, torch.from_numpy(pack.targets), weights)
        loss = total / weights.sum()
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(self._trained.values(), settings.clip)
        self._optimiser.step()
        self._optimiser.zero_grad()
        return loss.item()

    def _validate(self) -> None:
        scores = self._validation.scores(self.network)
        step = self.progress.step
        self._log({"step": step, "validation": scores})
        if scores["exact"] > self.progress.best:
            self.progress = msgspec.structs.replace(self.progress, best=scores["exact"], best_step=step)
            self._keep(scores)
        shown = "  ".join(f"{name} {scores[name]:.3f}" for name in scores if not name.startswith("kind "))
        self._console.print(f"step {step}, {self.progress.seconds / 60:.1f} min: {shown}")

    def _keep(self, scores: Scores) -> None:
        """The best so far: the adapter, and what is known of it."""
        notice = {
            "general.license": "gemma",
            "orstate.adapter.notice": NOTICE,
            BASE: self.base_sha256,
            "orstate.adapter.settings": self._settings.digest,
            "orstate.adapter.data_seed": str(self._settings.lessons.seed),
        }
        write_adapter(
            self._output / BEST,
            self.network.pairs(),
            architecture="gemma3",
            alpha=self._settings.adapter.alpha,
            notice=notice,
        )
        known = {
            "settings": self._settings.digest,
            "base_sha256": self.base_sha256,
            "step": self.progress.step,
            "start": self.progress.start,
        }
        part = self._output / f"{SCORES}.part"
        part.write_text(json.dumps({**known, "scores": scores}, indent=1) + "\n")
        part.replace(self._output / SCORES)

    def _save(self) -> None:
        checkpoint.save(self._output, self.progress, self._trained, self._optimiser)

    def _check(self, started: str) -> None:
        """Raises ConfigError if the folder is of another training."""
        before = checkpoint.read_progress(self._output)
        if before is None:
            return
        if before.settings != self._settings.digest:
            raise ConfigError(f"{self._output}: was begun with other settings; give those, or another --output")
        if before.start != started:
            raise ConfigError(f"{self._output}: was begun with another --start; give that one, or another --output")

    def _log(self, line: dict[str, Any]) -> None:
        with (self._output / LOG).open("a") as file:
            file.write(json.dumps(line) + "\n")

    def _trim_log(self) -> None:
        """Forget what was logged behind the checkpoint: it is done again."""
        path = self._output / LOG
        if path.exists():
            lines = path.read_text().splitlines(keepends=True)
            whole = [line for line in lines if line.endswith("\n")]
            path.write_text("".join(line for line in whole if json.loads(line)["step"] <= self.progress.step))

    def _bar(self) -> Bar:
        columns = (SpinnerColumn(), *Bar.get_default_columns()[:-1], TimeRemainingColumn(elapsed_when_finished=True))
        return Bar(*columns, console=self._console, disable=not self._console.is_terminal)


def rate(settings: Settings, step: int) -> float:
    """The rate of that step, counted from 0: it rises to the whole, then falls by a cosine."""
    steps = settings.steps
    if step < steps.warm_up:
        return steps.rate * (step + 1) / steps.warm_up
    share = (step - steps.warm_up) / max(1, steps.count - steps.warm_up)
    return steps.rate * (steps.last_rate + (1 - steps.last_rate) * (1 + math.cos(math.pi * share)) / 2)


@contextmanager
def _signals() -> Iterator[list[int]]:
    """A list that a signal to end is put into: the step at work is finished before."""
    asked: list[int] = []
    before = {which: signal.signal(which, lambda number, _: asked.append(number)) for which in _ENDING}
    try:
        yield asked
    finally:
        for which, handler in before.items():
            signal.signal(which, handler)


_ENDING: Final = (signal.SIGINT, signal.SIGTERM)


@contextmanager
def _alone(output: Path) -> Iterator[None]:
    output.mkdir(parents=True, exist_ok=True)
    with (output / "lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ConfigError(f"{output}: another training is at work in it; give another --output") from None
        yield


def main(
    config: Annotated[Path, typer.Option(help="A TOML file; its form is that of the shipped one.")] = DEFAULT_FILE,
    output: Annotated[Path, typer.Option(help="The folder of this training; the same again goes on with it.")] = OUTPUT,
    minutes: Annotated[float | None, typer.Option(min=0.0, help="Stop after so long.")] = None,
    start: Annotated[Path | None, typer.Option(help="Begin with the weights of this adapter.")] = None,
) -> None:
    """Train an adapter, or go on with a training that was cut off."""
    console = Console(stderr=True)
    try:
        settings = load_settings(config)
        with _alone(output):
            training = Training(settings, output, start, console)
            done = training.run(minutes)
    except OrstateError as error:
        sys.exit(f"train: {error}")
    progress = training.progress
    end = "done" if done else "to be gone on with by the same command"
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    spent = f"{progress.seconds / 60:.1f} min, {memory:.1f} GB at most"
    console.print(f"{progress.step} steps, {progress.seen} lessons, {spent}: {end}")
    print(output / BEST if progress.best_step else output)


if __name__ == "__main__":
    typer.run(main)
