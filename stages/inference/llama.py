"""A backend that runs a GGUF file with the engine: jobs become tasks, tasks become answers. Inference process only."""

import codecs
import os
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final, NamedTuple

from models.manifest import Manifest
from models.store import file_sha256
from pipeline.config import InferenceSection, resolve
from pipeline.errors import OrstateError
from pipeline.messages import Certainty, Prompt, PromptJob
from stages.answer import AnswerForm
from stages.inference.backend import Answer
from stages.inference.certainty import Scored, certainty
from stages.inference.engine import Engine
from stages.inference.grammar import Grammars
from stages.inference.native import Context, Layout, Model, engine_version, fastest_cells
from stages.inference.prefixes import PrefixFiles
from stages.inference.sampling import Sampler, Sampling
from stages.inference.sequences import Sequences
from stages.inference.shelf import Shelf
from stages.inference.tasks import Task
from stages.inference.tokens import PromptTokens
from stages.surgery import Surgery

# By how many tokens a sequence is cut back after an answer: those of most answers, and of the tail before them.
BACK: Final[dict[AnswerForm, int]] = {"small": 128, "full": 512}


class _Identity(NamedTuple):
    """Of a file, and of what is in it."""

    inode: int
    size: int
    changed_ns: int


class LlamaBackend:
    """One model. Each step computes all admitted jobs a little further."""

    def __init__(
        self,
        path: Path,
        manifest: Manifest,
        settings: InferenceSection,
        surgeries: Mapping[str, Surgery],
        limit_s: float,
        clock: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        """Loads the model. `limit_s`: how long a job may run that has no deadline or a later one.

        Raises OrstateError if the file cannot be loaded.
        """
        self.clock = clock
        self._path = path
        self._loaded = _identity(path)  # before it is read: what changes meanwhile counts as changed
        self._settings = settings
        self._surgeries = surgeries
        self._limit_ns = round(limit_s * 1e9)
        self._refused: list[Answer] = []
        try:
            self._model = Model(path)
        except OrstateError as error:
            raise OrstateError(
                f"{error}; check it with: python run_pipeline.py models verify {manifest.name}"
            ) from None
        layout = layout_of(settings, manifest)
        try:
            self._context = _rehearsed(self._model, layout)
        except OrstateError:
            self._model.close()  # it may be loaded again
            raise
        room = layout.cells // layout.sequences - settings.max_tokens
        self._tokens = PromptTokens(self._model.tokenize, self._model.begin, room)
        self._grammars = Grammars(self._model.grammar_tokenizer(), self._model.tokens, surgeries)
        self._prefixes = _prefix_files(path, settings, layout)
        self._shelf = Shelf(settings.shelf_mb * 1_000_000)
        self._sequences = Sequences(self._context, layout.sequences, self._shelf)
        guess = settings.guess if self._model.cuts_back else 0
        self._engine = Engine(
            self._context,
            self._sequences,
            self._shelf,
            layout.rows,
            self._prefixes,
            longest_guess=guess,
            row_cost=manifest.row_cost,
            clock=clock,
        )
        self._sampling = Sampling(temperature=settings.temperature, top_p=settings.top_p, seed=settings.seed)

    @property
    def active(self) -> int:
        return self._engine.active + len(self._refused)

    @property
    def at_work(self) -> tuple[str, ...]:
        return self._engine.names

    def admit(self, job: PromptJob) -> None:
        now = self.clock()
        limit = now + self._limit_ns
        try:
            tokens = self._tokens.lay_out(job.prompt)
            guide = self._grammars.guide(job.rules.surgery, job.answer)
        except OrstateError as error:
            self._refused.append(
                Answer(job_id=job.job_id, outcome="model_unavailable", error=str(error), started_ns=now)
            )
            return
        task = Task(
            name=job.job_id,
            owner=job.rules.session if job.kind == "session" else "",
            prompt=tokens.prompt,
            shared=tokens.shared,
            lasting=tokens.lasting,
            guide=guide,
            sampler=Sampler(self._sampling),
            limit=self._settings.max_tokens,
            phases=self._surgeries[job.rules.surgery].phase_ids,
            deadline_ns=limit if job.deadline_ns is None else min(limit, job.deadline_ns),
        )
        self._engine.admit(task)

    def cancel(self, job_id: str) -> None:
        self._engine.cancel(job_id)

    def step(self) -> list[Answer]:
        refused, self._refused = self._refused, []
        return [*refused, *map(self._answer, self._engine.step())]

    def abandon(self) -> None:
        self._engine.abandon()
        self._refused = []

    def fault(self) -> str:
        """The weights are mapped: what is written into their file is at work at once, what is cut off it kills. A
        file that another took the place of goes on being read.
        """
        now = _identity(self._path)
        if now is None or self._loaded is None or now.inode != self._loaded.inode or now == self._loaded:
            return ""
        return f"{self._path}: was changed while it was in use; put a whole file there, with mv and not with cp"

    def warm(self, prompt: Prompt) -> None:
        """Have ready what the prompt shares with all of its kind; nothing is asked."""
        tokens = self._tokens.lay_out(prompt)
        self._engine.warm(tokens.prompt[: tokens.shared])

    def counters(self) -> dict[str, float]:
        timing = self._engine.timing
        return {
            "steps": float(timing.steps),
            "rows": float(timing.rows),
            "guessed_tokens": float(timing.guessed),
            "right_tokens": float(timing.right),
            "decode_ms": timing.decode_ns / 1e6,
            "step_ms": timing.step_ns / 1e6,
            "held_tokens_now": float(self._sequences.held),
            "shelved_sequences": float(self._sequences.shelved),
            "restored_sequences": float(self._sequences.restored),
            "dropped_states": float(self._shelf.dropped),
            "shelf_mb_now": self._shelf.bytes / 1e6,
            "prefixes_loaded": float(self._prefixes.loaded) if self._prefixes else 0.0,
            "prefixes_saved": float(self._prefixes.saved) if self._prefixes else 0.0,
            "model_mb_now": self._model.bytes / 1e6,
            "cache_mb_now": self._context.bytes / 1e6,
        }

    def close(self) -> None:
        self._context.close()
        self._model.close()

    def _answer(self, task: Task) -> Answer:
        pieces = [self._model.piece(token) for token in task.answer]
        text = b"".join(pieces).decode(errors="replace")
        error = ""
        if task.ending == "late":
            where = f"answer token {len(task.answer)}"
            if task.computed < len(task.prompt):
                where = f"{task.computed} of {len(task.prompt)} prompt tokens"
            error = f"the deadline passed at {where}"
        elif task.ending == "cancelled":
            error = "the question was taken back while the model worked on it"
        return Answer(
            job_id=task.name,
            outcome="timeout" if task.ending == "late" else "expired" if task.ending == "cancelled" else "ok",
            error=error,
            started_ns=task.started_ns,
            text=text if task.choices else "",
            truncated=task.ending == "truncated",
            prompt_tokens=len(task.prompt),
            reused_tokens=task.reused,
            answer_tokens=len(task.answer),
            certainty=self._certainty(text, pieces, task) if task.ending == "whole" else None,
        )

    def _certainty(self, text: str, pieces: list[bytes], task: Task) -> Certainty:
        decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")  # a character may be several tokens
        ends = [0]
        for piece in pieces:
            ends.append(ends[-1] + len(decoder.decode(piece)))
        scored = [
            Scored(ends[at], ends[at + 1], choice.logprob, tuple(map(self._written, choice.rivals)))
            for at, choice in task.choices
        ]
        return certainty(text, scored, task.phases)

    def _written(self, rival: tuple[int, float]) -> tuple[str, float]:
        token, logprob = rival
        return self._model.piece(token).decode(errors="replace"), logprob


def _rehearsed(model: Model, layout: Layout) -> Context:
    """A context that has computed before, so that what cannot compute is found at the start, not at a question."""
    context = Context(model, layout)
    try:
        context.rehearse(model.begin[0] if model.begin else 0)
    except OrstateError:
        context.close()
        raise
    return context


def _identity(path: Path) -> _Identity | None:
    try:
        found = path.stat()
    except OSError:  # it was removed: its place in memory stays
        return None
    return _Identity(found.st_ino, found.st_size, found.st_mtime_ns)


def layout_of(settings: InferenceSection, manifest: Manifest) -> Layout:
    """How the cache of that model is laid out: by the settings, and where they leave it open by what was measured."""
    return Layout(
        cells=min(settings.context, manifest.context) * settings.batch,
        sequences=settings.batch,
        rows=settings.rows,
        threads=settings.threads or default_threads(),
        unified=False,
        back=BACK[settings.answer],
        kind=fastest_cells(),
        flash_attention=manifest.flash_attention,
    )


def default_threads() -> int:
    """Half of the cores that this process may use, but two where there are two: the rest is the video process's."""
    cores = len(os.sched_getaffinity(0))
    return max(min(cores, 2), cores // 2)


def _prefix_files(path: Path, settings: InferenceSection, layout: Layout) -> PrefixFiles | None:
    if not settings.prefix_cache:
        return None
    folder = resolve(settings.prefix_cache)
    parts = (file_sha256(path, folder), engine_version(), layout)
    return PrefixFiles(folder, repr(parts))
