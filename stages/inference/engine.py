"""Several answers at a time: each step computes the next rows of all tasks at work in one go, then each chooses.
Used by the inference process.

A task goes through three states. It waits for its prefix and a sequence; it reads what its sequence does not hold
of the prompt yet; it writes. What the grammar leaves no choice about is appended without asking the model, and
computed together with the next choice; so are guesses at what follows (drafts.py). Tasks that write come first in a
step, so that a long prompt holds up nobody.

Sequences have cells of their own, and llama.cpp computes sequences in one go only as far as they bring equally many
rows. So those that write are given guesses until they bring as many as the others, and no more; and rows for nothing
where few are lacking.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Protocol

from stages.inference.drafts import Drafts
from stages.inference.native import Logits, Row
from stages.inference.sequences import Cache, Sequence, Sequences, common
from stages.inference.shelf import Saved, Shelf
from stages.inference.tasks import Task, Turn

REMEMBERED: Final = 256  # sessions whose last answer is kept


class Decoder(Cache, Protocol):
    """What computes rows."""

    def decode(self, rows: list[Row]) -> None:
        """Compute rows into their sequences."""

    def logits(self, row: int) -> Logits:
        """Those of a wanted row of the last decode."""


class Prefixes(Protocol):
    """Computed prefixes that outlive the process."""

    def load(self, tokens: list[int]) -> Saved | None:
        """A saved prefix; None if there is none."""

    def save(self, saved: Saved) -> None:
        """Keep what was computed of a prefix."""


@dataclass(slots=True)
class Timing:
    """Where the time went, in nanoseconds: `step_ns` includes `decode_ns`. `guessed` tokens, and the `right` ones."""

    steps: int = 0
    rows: int = 0
    guessed: int = 0
    right: int = 0
    decode_ns: int = 0
    step_ns: int = 0


class Engine:
    """The tasks of one model. Call `step` again and again while `active`."""

    def __init__(
        self,
        decoder: Decoder,
        sequences: Sequences,
        shelf: Shelf,
        rows: int,
        prefixes: Prefixes | None = None,
        longest_guess: int = 0,
        row_cost: float = 1.0,
        clock: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        """`rows`: most rows of a step. `longest_guess`: of a task, in tokens; needs a cache that can be cut back.

        `row_cost`: what one more row of a step costs, as a share of a step of one row; at 1
        nothing is worth guessing.
        """
        self.timing = Timing()
        self._decoder = decoder
        self._sequences = sequences
        self._shelf = shelf
        self._rows = rows
        self._prefixes = prefixes
        self._longest_guess = longest_guess
        self._row_cost = row_cost
        self._clock = clock
        self._answers: dict[str, list[int]] = {}  # of each session, the last
        self._waiting: list[Task] = []
        self._working: list[Task] = []

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
        """Have a prefix ready: from the files, or computed now, while no task is at work."""
        if self._shelf.has_prefix(tokens) or self._load_prefix(tokens):
            return
        sequence = self._sequences.take([*tokens, -1], "")
        while part := tokens[len(sequence.tokens) :][: self._rows]:
            rows = [Row(token, at, sequence.number, False) for at, token in enumerate(part, len(sequence.tokens))]
            sequence.tokens += part  # before they are computed: what fails may leave some of them behind
            self._decode(rows)
        self._keep_prefix(sequence)
        self._sequences.release(sequence, len(sequence.tokens))

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
        turns = self._turns()
        if turns:
            self._decode(self._rows_of(turns))
        for turn in turns:
            if turn.chooses:
                self._write(turn)
        ended += [turn.task for turn in turns if turn.task.ending]
        self._keep_prefixes()
        self.timing.step_ns += self._clock() - began
        return ended

    def abandon(self) -> list[Task]:
        """Forget all tasks, and all that the cache holds; the tasks."""
        tasks = [*self._working, *self._waiting]
        self._working, self._waiting = [], []
        self._sequences.spoil_all()
        return tasks

    # --- which tasks work ---------------------------------------------------------------------------------

    def _let_go(self, now: int) -> list[Task]:
        gone = []
        for task in (*self._working, *self._waiting):
            if task.cancelled or now >= task.deadline_ns:
                task.ending = "cancelled" if task.cancelled else "late"
                gone.append(task)
                self._release(task)
        self._working = [task for task in self._working if not task.ending]
        self._waiting = [task for task in self._waiting if not task.ending]
        return gone

    def _release(self, task: Task) -> None:
        if task.sequence is not None:
            task.computed = len(task.sequence.tokens)
            self._sequences.release(task.sequence, task.lasting)

    def _place(self) -> None:
        """Give tasks their sequences, in the order they came. Whose prefix another one computes waits for it."""
        for task in list(self._waiting):
            tokens = task.prompt[: task.shared]
            if not self._sequences.free:
                return
            if not self._shelf.has_prefix(tokens):
                if self._computes_prefix(tokens):
                    continue
                self._load_prefix(tokens)
            task.sequence = sequence = self._sequences.take(task.prompt, task.owner)
            task.reused = len(sequence.tokens)
            task.drafts = Drafts(self._answers.get(task.owner, ()), task.prompt, self._longest_guess, self._row_cost)
            self._waiting.remove(task)
            self._working.append(task)
            self._force(task)

    def _load_prefix(self, tokens: list[int]) -> bool:
        saved = self._prefixes.load(tokens) if self._prefixes is not None else None
        if saved is not None:
            self._shelf.put_prefix(saved)
        return saved is not None

    def _computes_prefix(self, tokens: list[int]) -> bool:
        """Whether a task at work is about to have that prefix computed."""
        return any(task.prompt[: task.shared] == tokens and task.reads for task in self._working)

    def _keep_prefixes(self) -> None:
        """Save prefixes that were just computed."""
        for task in self._working:
            tokens = task.prompt[: task.shared]
            assert task.sequence is not None
            if task.sequence.tokens == tokens and not self._shelf.has_prefix(tokens):
                self._keep_prefix(task.sequence)

    def _keep_prefix(self, sequence: Sequence) -> None:
        saved = self._sequences.save(sequence)
        self._shelf.put_prefix(saved)
        if self._prefixes is not None:
            self._prefixes.save(saved)

    # --- one step -----------------------------------------------------------------------------------------

    def _turns(self) -> list[Turn]:
        """What each task does in this step: first those that write, then as much reading as there is room for."""
        turns = []
        room = self._rows
        readers = sum(task.reads for task in self._working)
        for task in sorted(self._working, key=lambda t: t.reads):
            pending = task.pending()
            share = min(room, max(1, room // readers)) if task.reads else room
            readers -= task.reads
            if tokens := pending[:share]:
                turns.append(Turn(task, tokens, chooses=len(tokens) == len(pending) and not task.reads_prefix))
                room -= len(tokens)
        self._add_guesses([turn for turn in turns if turn.chooses], room)
        return sorted(turns, key=lambda turn: turn.number)  # the order in which llama.cpp takes neighbours together

    def _add_guesses(self, turns: list[Turn], room: int) -> None:
        """Let those that choose compute as many rows as the others, as far as they can guess and there is room."""
        writing = [turn for turn in turns if not turn.task.reads]
        if not writing:
            return
        for turn in writing:
            self._guess(turn, room)
        longest = max(len(turn.tokens) for turn in writing)
        rows = max(longest, min(len(turn.tokens) + len(turn.guess) for turn in writing))
        for turn in writing:
            del turn.guess[max(0, min(rows - len(turn.tokens), room)) :]
            room -= len(turn.guess)
            self.timing.guessed += len(turn.guess)
        self._pad(writing, room)

    def _pad(self, turns: list[Turn], room: int) -> None:
        """Let all bring equally many rows, if that costs less than the rounds that llama.cpp makes for the rest."""
        most = max(turn.rows for turn in turns)
        lacking = [most - turn.rows for turn in turns]
        rounds = len(set(lacking)) - 1
        fits = sum(lacking) <= room and all(n <= turn.spare for n, turn in zip(lacking, turns, strict=True))
        if self._longest_guess and fits and sum(lacking) * self._row_cost < rounds * (1.0 - self._row_cost):
            for n, turn in zip(lacking, turns, strict=True):
                turn.padding = n

    def _guess(self, turn: Turn, room: int) -> None:
        """What a task may go on with, as far as the grammar allows it."""
        task = turn.task
        assert task.drafts is not None
        guess = task.drafts.guess(min(room, task.limit - len(task.answer) - 1))
        turn.wanted = task.guide.follow(guess) if guess else []
        turn.guess = guess[: len(turn.wanted)]

    def _rows_of(self, turns: list[Turn]) -> list[Row]:
        """The rows of a step; sequences take them as theirs."""
        rows: list[Row] = []
        for turn in turns:
            sequence = turn.task.sequence
            assert sequence is not None
            turn.row = len(rows) + len(turn.tokens) - 1
            start = len(sequence.tokens)
            tokens = turn.tokens + turn.guess + turn.tokens[-1:] * turn.padding
            sequence.tokens += tokens
            wanted = [*[False] * (len(turn.tokens) - 1), turn.chooses, *turn.wanted, *[False] * turn.padding]
            for at, token in enumerate(tokens):
                rows.append(Row(token, start + at, sequence.number, wanted[at]))
        return rows

    def _decode(self, rows: list[Row]) -> None:
        began = self._clock()
        self._decoder.decode(rows)
        self.timing.decode_ns += self._clock() - began
        self.timing.steps += 1
        self.timing.rows += len(rows)

    def _write(self, turn: Turn) -> None:
        """Let a task choose as long as there are logits for what it chose."""
        task, row, right = turn.task, turn.row, 0
        assert task.sequence is not None
        assert task.drafts is not None
        while not task.ending:
            before = len(task.answer)
            self._choose(task, row)
            new = task.answer[before:]
            agreed = common(turn.guess[right:], new)
            right += agreed
            if agreed < len(new):
                break
            if not turn.wanted[right - 1]:  # no choice was foreseen here: this token is computed again
                right -= 1
                break
            row = turn.row + right
        task.drafts.learn(len(turn.guess), right)
        self.timing.right += right
        if wrong := len(turn.guess) - right + turn.padding:
            self._sequences.cut_back(task.sequence, wrong)
        if task.ending:
            self._end(task)

    def _choose(self, task: Task, row: int) -> None:
        """One choice, and what the grammar forces after it."""
        choice = task.sampler.choose(self._decoder.logits(row), task.guide.allowed())
        task.guide.take(choice.token)
        task.choices.append((len(task.answer), choice))
        self._append(task, [choice.token])
        self._force(task)
        if task.guide.over:
            task.ending = "whole"
        elif len(task.answer) >= task.limit:
            task.ending = "truncated"
            del task.answer[task.limit :]

    def _force(self, task: Task) -> None:
        if not task.guide.over:
            self._append(task, task.guide.forced())

    def _append(self, task: Task, tokens: list[int]) -> None:
        assert task.drafts is not None
        task.answer += tokens
        task.drafts.grow(tokens)

    def _end(self, task: Task) -> None:
        self._release(task)
        self._working.remove(task)
        if task.ending == "whole":
            self._answers.pop(task.owner, None)
            self._answers[task.owner] = task.answer
            while len(self._answers) > REMEMBERED:
                del self._answers[next(iter(self._answers))]
