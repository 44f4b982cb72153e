"""Whatever arrives, leaves or is pushed out, and when: each task ends once, with the answer that it has alone."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count

import pytest
from engine_builders import HEADS, World, alone, make_task
from fake_decoder import state_of
from hypothesis import given, settings
from hypothesis import strategies as st

from stages.inference.engine import Engine
from stages.inference.native import Row
from stages.inference.shelf import Saved
from stages.inference.tasks import Task


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

    def __init__(self) -> None:
        self._saved: dict[tuple[int, ...], Saved] = {}

    def load(self, tokens: list[int]) -> Saved | None:
        return self._saved.get(tuple(tokens))

    def save(self, saved: Saved) -> None:
        assert saved.state.tolist() == state_of(saved.tokens).tolist()
        self._saved[tuple(saved.tokens)] = saved


@st.composite
def worlds(draw: st.DrawFn, asked: list[Plan]) -> World:
    """Sequences in which every plan has room, and nothing more."""
    back = draw(st.sampled_from([None, 0, 4, 40]))
    world = World(
        cells=max(plan.cells for plan in asked),
        count=draw(st.integers(1, 5)),
        rows=draw(st.integers(1, 40)),
        guess=draw(st.sampled_from([guess for guess in (0, 3, 32) if back is None or guess <= back])),
        back=back,
        shelf_bytes=draw(st.sampled_from([0, 200, 2000])),
        files=Memory() if draw(st.booleans()) else None,
    )
    if draw(st.booleans()):
        restored = count()
        world.decoder.fits = lambda state: next(restored) % 3 != 1
    return world


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
    world.decoder.before_decode = lambda rows: check_step(world, rows)
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
    assert world.sequences.free == world.count


def check_step(world: World, rows: list[Row]) -> None:
    """Nobody reads before all who write have theirs; guesses stay within what is asked for and allowed."""
    brought = Counter(row.sequence for row in rows)
    starts = {row.sequence: row.position for row in reversed(rows)}
    assert [row.sequence for row in rows] == sorted(brought.elements()), "rows of one lie apart"
    reads = False
    left_out = []
    for task in world.engine._working:
        assert task.sequence is not None
        number = task.sequence.number
        start = starts.get(number, len(task.sequence.tokens))
        pending = len(task.prompt) + len(task.answer) - start
        guessed = brought[number] - pending
        if start < len(task.prompt):
            reads |= brought[number] > 0
            assert guessed <= 0, "one who reads guesses"
        elif guessed < 0:
            left_out.append(task)
        else:
            assert not guessed or world.guess, "rows for nothing in a cache that cannot be cut back"
            assert not guessed or len(task.answer) + guessed < task.limit, "a guess beyond the limit"
    assert not (reads and left_out), "one who reads came before one who writes"
    assert len(rows) == world.rows or not left_out, "one who writes was left out, though there was room"


@pytest.mark.parametrize("together", [1, 2, 4])
def test_guesses_save_steps_and_change_no_answer(together: int) -> None:
    spared = []
    for guess in (0, 3, 32):
        world = World(count=together, guess=guess)
        for asked in range(8):
            tasks = world.run(
                *(make_task(str(n), session=n, lines=range(asked % 3), length=16) for n in range(together))
            )
            for session, task in enumerate(tasks):
                assert (task.ending, task.answer) == alone(
                    make_task(session=session, lines=range(asked % 3), length=16)
                )
        timing = world.engine.timing
        assert (timing.guessed > timing.right > 0) == (guess > 0)
        spared.append(timing.steps)
    assert spared[0] > spared[1] >= spared[2]


def test_rows_for_nothing_spare_rounds_and_change_no_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    """llama.cpp computes sequences in one go as far as they bring equally many rows; the rest takes another round."""

    def rounds() -> int:
        world = World(guess=3)
        for asked in range(6):
            plans = [{"session": n, "lines": range(asked % 3), "length": 12, "start": (3,) * (n + 1)} for n in range(4)]
            for task, plan in zip(world.run(*(make_task(**plan) for plan in plans)), plans, strict=True):
                assert (task.ending, task.answer) == alone(make_task(**plan))
        return sum(len(set(Counter(row.sequence for row in rows).values())) for rows in world.decoder.decodes)

    padded = rounds()
    monkeypatch.setattr(Engine, "_pad", lambda *_: None)
    assert padded < rounds()
