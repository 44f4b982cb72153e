"""Whatever arrives, leaves or is pushed out, and when: each task ends once, with the answer that it has alone."""

from collections.abc import Iterator
from dataclasses import dataclass

from engine_builders import HEADS, World, alone, make_task
from fake_decoder import FakeDecoder
from hypothesis import given, settings
from hypothesis import strategies as st

from stages.inference.engine import Task
from stages.inference.native import Row
from stages.inference.prefixes import State


@dataclass(frozen=True)
class Plan:
    """A task: what it asks, when it comes, and when somebody wants it no more or its deadline passes (in steps)."""

    surgery: int
    session: int
    first_line: int
    lines: int
    length: int
    start: tuple[int, ...]
    limit: int
    temperature: float
    arrives: int
    cancelled: int | None
    late: int | None

    def task(self, name: str = "") -> Task:
        return make_task(
            name,
            surgery=self.surgery,
            session=self.session,
            lines=range(self.first_line, self.first_line + self.lines),
            length=self.length,
            start=self.start,
            limit=self.limit,
            temperature=self.temperature,
            **({} if self.late is None else {"deadline_ns": self.arrives + self.late}),
        )

    @property
    def cells(self) -> int:
        return len(self.task().prompt) + self.limit


plans = st.builds(
    Plan,
    surgery=st.integers(0, len(HEADS) - 1),
    session=st.sampled_from([0, 1, 2, 10]),
    first_line=st.sampled_from([0, 0, 2, 3]),
    lines=st.integers(0, 6),
    length=st.integers(4, 16),
    start=st.sampled_from([(), (3,), (3, 4, 5)]),
    limit=st.integers(4, 20),
    temperature=st.sampled_from([0.0, 0.0, 0.7]),
    arrives=st.integers(0, 30),
    cancelled=st.none() | st.none() | st.integers(0, 20),
    late=st.none() | st.none() | st.integers(0, 20),
)


class Memory:
    """Saved prefixes without a disk."""

    def __init__(self, decoder: FakeDecoder, states: dict[tuple[int, ...], State]) -> None:
        self._decoder = decoder
        self._states = states

    def load(self, sequence: int, tokens: list[int]) -> bool:
        if tuple(tokens) not in self._states:
            return False
        return self._decoder.restore(sequence, self._states[tuple(tokens)])

    def save(self, sequence: int, tokens: list[int]) -> None:
        assert self._decoder.held[sequence] == tokens
        self._states[tuple(tokens)] = self._decoder.save(sequence)


@st.composite
def worlds(draw: st.DrawFn, asked: list[Plan]) -> World:
    """A cache in which every plan has room alone, and perhaps not much more."""
    prefixes, others = draw(st.integers(1, 3)), draw(st.integers(1, 5))
    unified = draw(st.booleans())
    least = max(plan.cells for plan in asked)
    cells = draw(st.integers(least, 3 * least)) if unified else least * (prefixes + others)
    states: dict[tuple[int, ...], State] = {}
    saved = (lambda decoder: Memory(decoder, states)) if draw(st.booleans()) else None
    return World(
        cells=cells,
        count=prefixes + others,
        prefixes=prefixes,
        rows=draw(st.integers(1, 40)),
        unified=unified,
        recurrent=draw(st.booleans()),
        saved=saved,
    )


def steps(world: World, asked: list[Plan], tasks: list[Task]) -> Iterator[list[Task]]:
    """Carry the plans out; what ended in each step. A step takes a nanosecond."""
    for now in range(10_000):
        world.clock.now = now
        world.admit(*(task for plan, task in zip(asked, tasks, strict=True) if plan.arrives == now))
        for plan, task in zip(asked, tasks, strict=True):
            if plan.cancelled is not None and plan.arrives + plan.cancelled == now:
                world.engine.cancel(task.name)
        if world.engine.active:
            yield world.step()
        elif all(plan.arrives <= now for plan in asked):
            return
    raise AssertionError("the tasks never end")


@settings(max_examples=300, deadline=None)
@given(asked=st.lists(plans, min_size=1, max_size=10), data=st.data())
def test_every_task_ends_once_and_as_it_would_alone(asked: list[Plan], data: st.DataObject) -> None:
    world = data.draw(worlds(asked))
    tasks = [plan.task(str(number)) for number, plan in enumerate(asked)]
    world.decoder.before_decode = lambda rows: check_order(tasks, rows, world.rows)
    for ended in steps(world, asked, tasks):
        for task in ended:
            plan = asked[tasks.index(task)]
            if task.ending == "late":
                assert plan.late is not None
                assert world.clock.now >= task.deadline_ns
            elif task.ending == "cancelled":
                assert plan.cancelled is not None
            else:
                assert (task.ending, task.answer) == alone(plan.task())
            assert task.ending in ("late", "cancelled") or world.clock.now < task.deadline_ns
    assert sorted(task.name for task in world.ended) == sorted(task.name for task in tasks)
    assert not any(sequence.at_work for sequence in world.sequences._others)


def check_order(tasks: list[Task], rows: list[Row], room: int) -> None:
    """Those who write come first, and all of them while there is room."""
    by_sequence = {task.sequence.number: task for task in tasks if task.sequence is not None and not task.ending}
    firsts: dict[int, int] = {}
    for row in rows:
        firsts.setdefault(row.sequence, row.position)
    writes = [
        number in by_sequence and position >= len(by_sequence[number].prompt) for number, position in firsts.items()
    ]
    assert writes == sorted(writes, reverse=True), "one who reads came before one who writes"
    places = [row.sequence for row in rows]
    assert places == [number for number in firsts for _ in range(places.count(number))], "rows of one lie apart"
    if len(rows) < room:
        assert set(by_sequence) <= set(firsts), "a task was left out, though there was room"
