"""Several answers at a time: each step computes the next rows of all tasks at work in one go, then each chooses.
Used by the inference process.

A task goes through three states. It waits for its prefix and a sequence; it reads what its sequence does not hold
of the prompt yet; it writes. What the grammar leaves no choice about is appended without asking the model, and
computed together with the next choice. Tasks that write come first in a step, so that a long prompt holds up nobody.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal, Protocol

from stages.inference.grammar import Guide
from stages.inference.native import Logits, NoRoom, Row
from stages.inference.sampling import Choice, Sampler
from stages.inference.sequences import Cache, Sequence, Sequences

Ending = Literal["", "whole", "truncated", "late", "cancelled"]


class Decoder(Cache, Protocol):
    """What computes rows."""

    def decode(self, rows: list[Row]) -> None:
        """Compute rows into their sequences."""

    def logits(self, row: int) -> Logits:
        """Those of a wanted row of the last decode."""


class Prefixes(Protocol):
    """Computed prefixes that outlive the process."""

    def load(self, sequence: int, tokens: list[int]) -> bool:
        """Put a saved prefix into an empty sequence; False if there is none."""

    def save(self, sequence: int, tokens: list[int]) -> None:
        """Keep what was computed of a prefix."""


@dataclass(slots=True, eq=False, kw_only=True)
class Task:
    """One answer to be written. The engine fills the fields from `answer` on."""

    name: str
    owner: str  # the session
    prompt: list[int]
    shared: int  # tokens of the prompt that all prompts of its kind begin with
    guide: Guide
    sampler: Sampler
    limit: int  # most tokens of the answer
    deadline_ns: int
    answer: list[int] = field(default_factory=list)
    choices: list[tuple[int, Choice]] = field(default_factory=list)  # with their places in the answer
    reused: int = 0
    started_ns: int = 0
    ending: Ending = ""
    cancelled: bool = False
    sequence: Sequence | None = None

    def pending(self) -> list[int]:
        """The tokens that are not computed yet."""
        assert self.sequence is not None
        done = len(self.sequence.tokens)
        return self.prompt[done:] + self.answer if done < len(self.prompt) else self.answer[done - len(self.prompt) :]


@dataclass(slots=True)
class Timing:
    """Where the time went, in nanoseconds: `step_ns` includes `decode_ns`."""

    steps: int = 0
    rows: int = 0
    decode_ns: int = 0
    step_ns: int = 0


class Engine:
    """The tasks of one model. Call `step` again and again while `active`."""

    def __init__(
        self,
        decoder: Decoder,
        sequences: Sequences,
        rows: int,
        prefixes: Prefixes | None = None,
        clock: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        """`rows`: most rows of a step."""
        self.timing = Timing()
        self._decoder = decoder
        self._sequences = sequences
        self._rows = rows
        self._prefixes = prefixes
        self._clock = clock
        self._waiting: list[Task] = []
        self._working: list[Task] = []
        self._filling: list[Sequence] = []  # prefixes that are being computed

    @property
    def active(self) -> int:
        """Tasks without their ending."""
        return len(self._waiting) + len(self._working)

    @property
    def names(self) -> tuple[str, ...]:
        """The tasks that the next step may work on."""
        return tuple(task.name for task in (*self._working, *self._waiting))

    def admit(self, task: Task) -> None:
        """Take a task. Nothing is computed yet."""
        task.started_ns = self._clock()
        self._waiting.append(task)

    def warm(self, tokens: list[int]) -> None:
        """Compute a prefix now, or load it. Raises NoRoom if there is no place for it."""
        sequence = self._prefix(tokens)
        if sequence is None:
            raise NoRoom(f"no place for a prefix of {len(tokens)} tokens: others are at work")
        while not sequence.ready:
            self.step()

    def cancel(self, name: str) -> None:
        """Let a task go at the next step."""
        for task in (*self._waiting, *self._working):
            task.cancelled |= task.name == name

    def step(self) -> list[Task]:
        """One decode, and the choices that follow from it; the tasks that came to their ending.

        An error of the decoder or of a guide goes through; call `abandon` then.
        """
        began = self._clock()
        ended = self._let_go(began)
        self._place()
        rows: list[Row] = []
        choosing: list[tuple[Task, int]] = []
        for task in sorted(self._working, key=lambda t: not t.answer):  # who writes, before who reads
            sequence, pending = task.sequence, task.pending()
            assert sequence is not None
            if self._add(rows, sequence, pending, wanted=True):
                choosing.append((task, len(rows) - 1))
        for sequence in self._filling:
            self._add(rows, sequence, sequence.goal[len(sequence.tokens) :], wanted=False)
        if rows:
            self._decode(rows)
        elif self._waiting:
            raise NoRoom(f"no place for a prompt of {len(self._waiting[0].prompt)} tokens, though nothing is at work")
        ended += [task for task, row in choosing if self._choose(task, row)]
        self._finish_prefixes()
        self.timing.step_ns += self._clock() - began
        return ended

    def abandon(self) -> list[Task]:
        """Forget all tasks, and all that was computed; the tasks."""
        tasks = [*self._working, *self._waiting]
        self._working, self._waiting, self._filling = [], [], []
        self._sequences.spoil_all()
        return tasks

    # --- which tasks work ---------------------------------------------------------------------------------

    def _let_go(self, now: int) -> list[Task]:
        gone = []
        for task in (*self._working, *self._waiting):
            if task.cancelled or now >= task.deadline_ns:
                task.ending = "cancelled" if task.cancelled else "late"
                gone.append(task)
                if task.sequence is not None:
                    self._sequences.release(task.sequence)
        self._working = [task for task in self._working if not task.ending]
        self._waiting = [task for task in self._waiting if not task.ending]
        return gone

    def _place(self) -> None:
        """Give tasks their sequences, in the order they came; prefixes that nobody has are begun."""
        for task in list(self._waiting):
            prefix = self._prefix(task.prompt[: task.shared])
            if prefix is None or not prefix.ready:
                continue
            task.sequence = self._sequences.take(task.prompt, prefix, task.owner, task.limit)
            if task.sequence is not None:
                task.reused = len(task.sequence.tokens)
                self._waiting.remove(task)
                self._working.append(task)
                self._force(task)

    def _prefix(self, tokens: list[int]) -> Sequence | None:
        found = self._sequences.prefix(tokens)
        if found is None and (found := self._sequences.take_prefix(tokens)) is not None:
            if self._prefixes is not None and self._prefixes.load(found.number, tokens):
                found.tokens = list(tokens)
                self._sequences.release(found)
            else:
                self._filling.append(found)
        return found

    def _finish_prefixes(self) -> None:
        for sequence in self._filling:
            if sequence.ready:
                self._sequences.release(sequence)
                if self._prefixes is not None:
                    self._prefixes.save(sequence.number, sequence.goal)
        self._filling = [sequence for sequence in self._filling if not sequence.ready]

    # --- one step -----------------------------------------------------------------------------------------

    def _add(self, rows: list[Row], sequence: Sequence, tokens: list[int], wanted: bool) -> bool:
        """Put the next of `tokens` into the step, as far as it has room; whether all were."""
        room = self._rows - len(rows)
        start, last = len(sequence.tokens), len(tokens) - 1
        rows += [
            Row(token, start + at, sequence.number, wanted and at == last) for at, token in enumerate(tokens[:room])
        ]
        sequence.tokens += tokens[:room]
        return len(tokens) <= room

    def _decode(self, rows: list[Row]) -> None:
        began = self._clock()
        self._decoder.decode(rows)
        self.timing.decode_ns += self._clock() - began
        self.timing.steps += 1
        self.timing.rows += len(rows)

    def _choose(self, task: Task, row: int) -> bool:
        """Let a task choose its next token; whether it came to its ending."""
        choice = task.sampler.choose(self._decoder.logits(row), task.guide.allowed())
        task.guide.take(choice.token)
        task.choices.append((len(task.answer), choice))
        task.answer.append(choice.token)
        self._force(task)
        if task.guide.over:
            task.ending = "whole"
        elif len(task.answer) >= task.limit:
            task.ending = "truncated"
            del task.answer[task.limit :]
        else:
            return False
        assert task.sequence is not None
        self._sequences.release(task.sequence)
        self._working.remove(task)
        return True

    def _force(self, task: Task) -> None:
        if not task.guide.over:
            task.answer += task.guide.forced()
