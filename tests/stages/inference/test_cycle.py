from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.messages import PromptJob
from stages.inference.cycle import Cycle

Make = Callable[..., PromptJob]


def ids(jobs: list[PromptJob]) -> str:
    return "".join(job.job_id for job in jobs)


def add(cycle: Cycle, make_job: Make, names: str, **changes: Any) -> None:
    for name in names:
        cycle.add(make_job(name, **changes))


@pytest.fixture
def cycle(clock: Any) -> Cycle:
    return Cycle(batch=4, window_ms=500, strict=False, clock=clock)


@pytest.fixture
def strict(clock: Any) -> Cycle:
    return Cycle(batch=4, window_ms=500, strict=True, clock=clock)


def test_a_lone_job_starts_at_once(cycle: Cycle, make_job: Make) -> None:
    assert (cycle.admit(0), cycle.wait_s(0)) == ([], None)
    add(cycle, make_job, "a")
    assert cycle.wait_s(0) == 0.0
    assert ids(cycle.admit(0)) == "a"


def test_a_later_job_joins_the_running_cycle_within_the_window(cycle: Cycle, make_job: Make, clock: Any) -> None:
    add(cycle, make_job, "a")
    cycle.admit(0)
    clock.pass_ms(499)
    add(cycle, make_job, "b")
    assert ids(cycle.admit(1)) == "b"
    assert (cycle.cycles, cycle.jobs, cycle.sizes) == (1, 2, [0, 0, 1, 0, 0])


def test_a_job_after_the_window_joins_those_at_work_and_begins_the_next_cycle(
    cycle: Cycle, make_job: Make, clock: Any
) -> None:
    add(cycle, make_job, "a")
    cycle.admit(0)
    clock.pass_ms(500)
    add(cycle, make_job, "b")
    assert ids(cycle.admit(1)) == "b"
    assert cycle.sizes == [0, 2, 0, 0, 0]


def test_no_more_than_a_batch_is_at_work_and_whoever_is_finished_makes_room(cycle: Cycle, make_job: Make) -> None:
    add(cycle, make_job, "abcdef")
    assert ids(cycle.admit(0)) == "abcd"
    assert (cycle.admit(4), cycle.wait_s(4)) == ([], None)
    assert ids(cycle.admit(3)) == "e"
    assert ids(cycle.admit(3)) == "f"
    assert cycle.sizes == [0, 0, 1, 0, 1]  # the first cycle was full: the next one has the two


def test_a_cycle_that_ended_is_not_joined(cycle: Cycle, make_job: Make) -> None:
    add(cycle, make_job, "a")
    cycle.admit(0)
    add(cycle, make_job, "b")
    cycle.admit(0)
    assert cycle.cycles == 2


def test_a_job_that_is_taken_back_while_it_waits_is_not_admitted(cycle: Cycle, make_job: Make) -> None:
    add(cycle, make_job, "abc")
    taken = cycle.withdraw("b")
    assert taken is not None
    assert taken.job_id == "b"
    assert cycle.withdraw("b") is None
    assert ids(cycle.admit(0)) == "ac"
    assert (cycle.jobs, cycle.withdraw("a")) == (2, None)


def test_a_job_alone_shares_its_cycle_with_nobody(cycle: Cycle, make_job: Make) -> None:
    add(cycle, make_job, "a")
    add(cycle, make_job, "B", alone=True)
    add(cycle, make_job, "c")
    assert ids(cycle.admit(0)) == "a"
    assert cycle.admit(1) == []
    assert ids(cycle.admit(0)) == "B"
    assert cycle.admit(1) == []
    assert ids(cycle.admit(0)) == "c"


def test_a_strict_cycle_waits_for_a_full_batch(strict: Cycle, make_job: Make) -> None:
    add(strict, make_job, "abc")
    assert strict.admit(0) == []
    add(strict, make_job, "d")
    assert ids(strict.admit(0)) == "abcd"


def test_a_strict_cycle_starts_at_the_end_of_the_window(strict: Cycle, make_job: Make, clock: Any) -> None:
    add(strict, make_job, "a")
    clock.pass_ms(200)
    add(strict, make_job, "b")
    assert strict.wait_s(0) == pytest.approx(0.3)
    clock.pass_ms(300)
    assert strict.wait_s(0) == 0.0
    assert ids(strict.admit(0)) == "ab"


def test_nobody_joins_a_strict_cycle(strict: Cycle, make_job: Make, clock: Any) -> None:
    add(strict, make_job, "abcd")
    strict.admit(0)
    add(strict, make_job, "e")
    assert strict.admit(1) == []


def test_a_job_alone_does_not_wait_for_a_strict_window(strict: Cycle, make_job: Make) -> None:
    add(strict, make_job, "a")
    add(strict, make_job, "B", alone=True)
    assert ids(strict.admit(0)) == "a"
    assert ids(strict.admit(0)) == "B"


def test_a_job_expires_when_its_deadline_passes_while_it_waits(strict: Cycle, make_job: Make, clock: Any) -> None:
    add(strict, make_job, "a", deadline_ns=clock.now + 100_000_000)
    add(strict, make_job, "b")
    assert strict.expire() == []
    assert strict.wait_s(0) == pytest.approx(0.1)
    clock.pass_ms(100)
    assert ids(strict.expire()) == "a"
    assert len(strict) == 1


@given(
    arrivals=st.lists(st.tuples(st.integers(0, 400), st.booleans()), max_size=30),
    batch=st.integers(1, 5),
    is_strict=st.booleans(),
    ends=st.lists(st.integers(0, 4), min_size=30, max_size=30),
)
def test_every_job_is_admitted_once_in_order_and_no_cycle_is_too_large(
    make_job: Make, arrivals: list[tuple[int, bool]], batch: int, is_strict: bool, ends: list[int]
) -> None:
    now = 0
    cycle = Cycle(batch, 500, is_strict, lambda: now)
    admitted: list[PromptJob] = []
    active: list[PromptJob] = []
    for number, ((pause_ms, alone), ended) in enumerate(zip(arrivals, ends, strict=False)):
        now += pause_ms * 1_000_000
        cycle.add(make_job(str(number), alone=alone))
        assert bool(cycle.due(len(active))) == (cycle.wait_s(len(active)) == 0.0)
        jobs = cycle.admit(len(active))
        admitted += jobs
        active += jobs
        assert len(active) <= batch
        assert len(active) == 1 or not any(job.alone for job in active)
        del active[:ended]
    while len(cycle):
        now += 500_000_000
        admitted += cycle.admit(0)
    assert [job.job_id for job in admitted] == [str(number) for number in range(len(arrivals))]
    assert sum(size * count for size, count in enumerate(cycle.sizes)) == cycle.jobs == len(arrivals)
    assert sum(cycle.sizes) == cycle.cycles
