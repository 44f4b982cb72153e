"""An engine over a decoder without a model, tasks for it, and what the answer to each must be."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from fake_decoder import FakeDecoder, logits_after
from fake_guide import FakeGuide

from stages.inference.engine import Engine, Prefixes
from stages.inference.sampling import Sampler, Sampling
from stages.inference.sequences import Sequences
from stages.inference.shelf import Shelf
from stages.inference.tasks import Ending, Task

NEVER = 2**62
HEADS = [[1, 2, 3, 4, 5, 6, 7, 8], [1, 2, 9, 8], [20, 21, 22, 23, 24, 25, 26, 27, 28], [1, 2]]  # of four surgeries
TAIL = [60, 61]


def line(session: int, number: int) -> list[int]:
    """The tokens of a session's transcript line. Line 3 of session 10 reads as the first head after `1, 2`."""
    return [(7 * session + 11 * number + at) % 50 for at in range(4)]


def prompt(surgery: int = 0, session: int = 0, lines: Iterable[int] = (0,)) -> list[int]:
    spoken = [token for number in lines for token in line(session, number)]
    return HEADS[surgery] + spoken + TAIL


def make_task(
    name: str = "a",
    *,
    surgery: int = 0,
    session: int = 0,
    lines: Iterable[int] = (0,),
    length: int = 8,
    start: tuple[int, ...] = (3,),
    limit: int = 20,
    temperature: float = 0.0,
    deadline_ns: int = NEVER,
) -> Task:
    return Task(
        name=name,
        owner=f"s{session}",
        prompt=prompt(surgery, session, lines),
        shared=len(HEADS[surgery]),
        lasting=len(prompt(surgery, session, lines)) - len(TAIL),
        guide=FakeGuide(length, start),
        sampler=Sampler(Sampling(temperature=temperature, top_p=0.9, seed=7)),
        limit=limit,
        deadline_ns=deadline_ns,
    )


def alone(task: Task) -> tuple[Ending, list[int]]:
    """What comes of a task like that without any engine: each token from the logits after all tokens before it."""
    guide, sampler, answer = task.guide, task.sampler, task.guide.forced()
    while True:
        choice = sampler.choose(logits_after(task.prompt + answer), guide.allowed())
        guide.take(choice.token)
        answer.append(choice.token)
        if not guide.over:
            answer += guide.forced()
        if guide.over:
            return "whole", answer
        if len(answer) >= task.limit:
            return "truncated", answer[: task.limit]


class Clock:
    """Nanoseconds that pass only when told."""

    now = 0

    def __call__(self) -> int:
        return self.now


@dataclass(kw_only=True)
class World:
    """An engine and all that it works on. `ended`: in the order they ended. `guess`: the longest."""

    cells: int = 80  # of each sequence
    count: int = 4
    rows: int = 16
    guess: int = 0
    back: int | None = None
    shelf_bytes: int = 100_000
    files: Prefixes | None = None
    decoder: FakeDecoder = field(init=False)
    shelf: Shelf = field(init=False)
    sequences: Sequences = field(init=False)
    engine: Engine = field(init=False)
    clock: Clock = field(default_factory=Clock)
    ended: list[Task] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.decoder = FakeDecoder(cells=self.cells, sequences=self.count, rows=self.rows, back=self.back)
        self.shelf = Shelf(self.shelf_bytes)
        self.sequences = Sequences(self.decoder, self.count, self.shelf)
        self.engine = Engine(
            self.decoder, self.sequences, self.shelf, self.rows, self.files, self.guess, 0.25, self.clock
        )

    def admit(self, *tasks: Task) -> None:
        for task in tasks:
            self.engine.admit(task)

    def step(self) -> list[Task]:
        ended = self.engine.step()
        self.ended += ended
        self.check()
        return ended

    def finish(self) -> list[Task]:
        """Step until all tasks have ended; those that did."""
        before = len(self.ended)
        while self.engine.active:
            self.step()
        return self.ended[before:]

    def run(self, *tasks: Task) -> list[Task]:
        """Admit them at one time, and let them end; in the order they were given."""
        self.admit(*tasks)
        ended = self.finish()
        assert len(ended) == len(tasks)
        return list(tasks)

    def rows_of(self, work: Callable[[], object]) -> int:
        """How many rows were computed for that."""
        before = self.decoder.computed
        work()
        return self.decoder.computed - before

    def rows_below(self, position: int) -> int:
        """How many rows were computed at the beginnings of sequences, up to that position."""
        return sum(row.position < position for decode in self.decoder.decodes for row in decode)

    def check(self) -> None:
        """The decoder holds what is believed of each sequence: of those at work a beginning of prompt and answer."""
        assert [sequence.tokens for sequence in self.sequences._all] == self.decoder.held
        assert self.sequences.held == self.decoder.cells_taken
        for task in self.engine._working:
            assert task.sequence is not None
            assert task.sequence.at_work
            done = len(task.sequence.tokens)
            assert (task.prompt + task.answer)[:done] == task.sequence.tokens
        assert self.sequences.free == self.count - len(self.engine._working)
