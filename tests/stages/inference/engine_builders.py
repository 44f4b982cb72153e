"""An engine over a decoder without a model, tasks for it, and what the answer to each must be."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from fake_decoder import FakeDecoder, logits_after
from fake_guide import FakeGuide

from stages.inference.engine import Ending, Engine, Prefixes, Task
from stages.inference.sampling import Sampler, Sampling
from stages.inference.sequences import Sequence, Sequences

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
    """An engine and all that it works on. `ended`: in the order they ended."""

    cells: int = 200
    count: int = 6
    prefixes: int = 2
    rows: int = 16
    unified: bool = True
    recurrent: bool = False
    saved: Callable[[FakeDecoder], Prefixes] | None = None
    decoder: FakeDecoder = field(init=False)
    sequences: Sequences = field(init=False)
    engine: Engine = field(init=False)
    clock: Clock = field(default_factory=Clock)
    ended: list[Task] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.decoder = FakeDecoder(
            cells=self.cells, sequences=self.count, rows=self.rows, unified=self.unified, recurrent=self.recurrent
        )
        self.sequences = Sequences(
            self.decoder, count=self.count, prefixes=self.prefixes, cells=self.cells, unified=self.unified
        )
        saved = self.saved(self.decoder) if self.saved is not None else None
        self.engine = Engine(self.decoder, self.sequences, self.rows, saved, self.clock)

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

    def check(self) -> None:
        """The decoder holds what is believed of each sequence, and nobody believes to hold less than nothing."""
        for sequence in self.all_sequences():
            assert self.decoder.held[sequence.number] == sequence.tokens
            assert 0 <= sequence.shared <= len(sequence.tokens) or not sequence.tokens
            if sequence.origin is not None:
                assert sequence.origin.tokens[: sequence.shared] == sequence.tokens[: sequence.shared]
        if self.unified:
            assert self.sequences.held == self.decoder.cells_taken <= self.cells

    def all_sequences(self) -> list[Sequence]:
        return [*self.sequences._prefixes, *self.sequences._others]
