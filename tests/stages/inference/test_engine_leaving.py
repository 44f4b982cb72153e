"""Tasks that leave before their answer is whole, and what is left behind after thousands of tasks."""

import gc
import random

import pytest
from engine_builders import HEADS, World, alone, make_task

from stages.inference.engine import REMEMBERED
from stages.inference.native import NativeError
from stages.inference.sequences import Sequence
from stages.inference.tasks import Task


def test_a_cancelled_task_leaves_at_the_next_step_and_the_others_do_not_notice() -> None:
    world = World()
    tasks = [make_task(name, session=n, length=16) for n, name in enumerate("abc")]
    world.admit(*tasks)
    for _ in range(3):
        world.step()
    assert all(task.answer for task in tasks)
    world.engine.cancel("b")
    assert [(task.name, task.ending) for task in world.step()] == [("b", "cancelled")]
    world.finish()
    assert tasks[0].answer == alone(make_task(session=0, length=16))[1]
    assert tasks[2].answer == alone(make_task(session=2, length=16))[1]
    rows = [row for decode in world.decoder.decodes[3:] for row in decode]
    assert tasks[1].sequence is not None
    assert tasks[1].sequence.number not in {row.sequence for row in rows}


def test_a_task_is_late_at_the_first_step_at_or_after_its_deadline() -> None:
    world = World()
    late, other = make_task("late", deadline_ns=100), make_task("other", session=1)
    world.admit(late, other)
    world.clock.now = 99
    assert [world.step() for _ in range(3)] == [[], [], []]
    world.clock.now = 100
    assert world.step() == [late]
    assert (late.ending, 0 < len(late.answer) < 8) == ("late", True)
    assert late.answer == alone(make_task())[1][: len(late.answer)]
    assert world.finish() == [other]
    assert other.answer == alone(make_task(session=1))[1]


def test_who_leaves_while_it_waits_has_no_answer() -> None:
    world = World(count=1)
    tasks = [make_task("a"), make_task("b", deadline_ns=5), make_task("c")]
    world.admit(*tasks)
    world.step()
    world.step()
    world.engine.cancel("c")
    world.clock.now = 5
    assert world.step() == tasks[1:]
    assert [(task.ending, task.choices, task.sequence) for task in tasks[1:]] == [
        ("late", [], None),
        ("cancelled", [], None),
    ]


def test_the_place_of_who_left_is_free_in_the_same_step() -> None:
    world = World(count=1)
    first, second = make_task("a"), make_task("b", session=1)
    world.admit(first, second)
    world.step()
    world.step()
    world.engine.cancel("a")
    assert world.step() == [first]
    assert second.sequence is first.sequence


def test_what_was_computed_for_who_left_is_used_again() -> None:
    world = World(rows=4)
    task = make_task("a", lines=range(4))
    world.admit(task)
    for _ in range(4):
        world.step()
    assert task.sequence is not None
    done = len(task.sequence.tokens)
    assert 8 < done < len(task.prompt)
    world.engine.cancel("a")
    world.step()
    assert world.run(make_task("b", lines=range(4)))[0].reused == done


def test_the_next_one_goes_on_with_a_prefix_whose_task_left() -> None:
    world = World(rows=2)
    world.admit(make_task("a"), make_task("b", session=1))
    world.step()
    world.engine.cancel("a")
    assert [task.name for task in world.step()] == ["a"]
    [task] = world.finish()
    assert task.answer == alone(make_task(session=1))[1]
    assert world.shelf.has_prefix(HEADS[0])
    assert world.run(make_task("c", session=2))[0].reused == len(HEADS[0])


def test_who_is_not_there_cannot_be_cancelled() -> None:
    world = World()
    world.admit(make_task("a"))
    world.engine.cancel("b")
    assert [task.ending for task in world.finish()] == ["whole"]


@pytest.mark.parametrize("guess", [0, 32])
@pytest.mark.parametrize("steps", [0, 1, 3])
def test_after_an_error_of_the_decoder_all_is_forgotten_and_the_next_task_works(steps: int, guess: int) -> None:
    world = World(guess=guess)
    tasks = [make_task(name, session=n) for n, name in enumerate("abcde")]
    world.admit(*tasks)
    for _ in range(steps):
        world.step()
    world.decoder.fault = NativeError("computing 9 rows failed with status -3")
    with pytest.raises(NativeError, match="status -3"):
        world.engine.step()
    assert set(world.engine.abandon()) == set(tasks)
    assert (world.engine.active, world.sequences.held, world.decoder.cells_taken) == (0, 0, 0)
    world.check()
    again = [make_task(name, session=n) for n, name in enumerate("abcde")]
    world.run(*again)
    assert [task.answer for task in again] == [alone(make_task(session=n))[1] for n in range(5)]


def alive(kind: type) -> int:
    gc.collect()
    return sum(isinstance(thing, kind) for thing in gc.get_objects())


@pytest.mark.parametrize("guess", [0, 8])
def test_thousands_of_mixed_tasks_leave_nothing_behind(guess: int) -> None:
    choose = random.Random(1)
    world = World(cells=64, count=3, rows=24, guess=guess, shelf_bytes=1000)
    before, others = alive(Task), alive(Sequence) - world.sequences.free  # other tests' engines may still be open
    endings = dict.fromkeys(("whole", "truncated", "late", "cancelled"), 0)
    number = 0
    while number < 3000 or world.engine.active:
        world.clock.now += 1
        while number < 3000 and world.engine.active < 4:
            number += 1
            task = make_task(
                str(number),
                surgery=choose.randrange(4),
                session=choose.randrange(600),
                lines=range(choose.randrange(3), 3 + choose.randrange(3)),
                length=choose.choice([6, 12]),
                limit=choose.choice([8, 20]),
                deadline_ns=world.clock.now + choose.choice([3, 100, 100]),
            )
            world.admit(task)
        if choose.random() < 0.05:
            world.engine.cancel(choose.choice(world.engine.names))
        for task in world.step():
            endings[task.ending] += 1
        del world.decoder.decodes[:], world.ended[:]
        assert world.shelf.bytes <= 1000 + sum(len(head) * 4 for head in HEADS)
    assert sum(endings.values()) == 3000
    assert min(endings.values()) > 50
    assert alive(Task) - before <= 1  # the name `task` here
    assert alive(Sequence) - others == world.sequences.free == 3
    assert len(world.engine._answers) <= REMEMBERED
