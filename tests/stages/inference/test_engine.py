"""What the engine computes for its tasks, and in which order they go."""

import pytest
from engine_builders import HEADS, TAIL, World, alone, line, make_task, prompt
from fake_decoder import state_of

from pipeline.errors import OrstateError
from stages.inference.native import NativeError
from stages.inference.shelf import Saved
from stages.inference.tasks import Task


def computed_tokens(task: Task) -> int:
    """Those of prompt and answer that were computed in the task's own sequence."""
    return task.computed - task.reused


def test_an_answer_is_what_the_model_says_to_the_whole_prompt() -> None:
    [task] = World().run(make_task(lines=[0, 1]))
    assert (task.ending, task.answer) == alone(make_task(lines=[0, 1]))


def test_what_the_grammar_forces_is_not_asked_of_the_model() -> None:
    world = World()
    [task] = world.run(make_task(length=16, start=(3, 4)))
    places = [place for place, _ in task.choices]
    assert [task.answer[place] for place in places] == [choice.token for _, choice in task.choices]
    assert len(places) < len(task.answer) - 2  # the start, and some more
    writing = [rows for rows in world.decoder.decodes if any(row.wanted for row in rows)]
    assert len(writing) == len(places)  # a step for each choice


def test_an_answer_that_reaches_its_limit_is_cut_off_there() -> None:
    [task] = World().run(make_task(length=16, limit=7))
    assert (task.ending, len(task.answer)) == ("truncated", 7)
    assert task.answer == alone(make_task(length=16))[1][:7]


def test_an_answer_that_is_over_at_its_limit_is_whole() -> None:
    [task] = World().run(make_task(length=7, limit=7))
    assert (task.ending, len(task.answer)) == ("whole", 7)


def test_of_a_prompt_that_grew_only_what_is_new_is_computed() -> None:
    world = World()
    world.run(make_task("a", lines=[0, 1]))
    task = make_task("b", lines=[0, 1, 2])
    rows = world.rows_of(lambda: world.run(task))
    assert task.reused == len(HEADS[0]) + len(line(0, 0) + line(0, 1))
    written = max(place for place, _ in task.choices)  # what comes after the last choice is not computed
    assert rows == len(line(0, 2) + TAIL) + written == computed_tokens(task)


def test_of_a_prompt_that_comes_again_only_what_did_not_last_is_computed() -> None:
    world = World()
    [first] = world.run(make_task("a"))
    [second] = world.run(make_task("b"))
    assert second.reused == second.lasting == len(prompt()) - len(TAIL)
    assert second.answer == first.answer


def test_a_window_that_is_cut_back_uses_again_only_what_it_has_in_common_still() -> None:
    world = World()
    world.run(make_task("a", lines=range(6)))
    task = make_task("b", lines=range(2, 8))
    rows = world.rows_of(lambda: world.run(task))
    assert task.reused == len(HEADS[0])
    assert rows == computed_tokens(task)
    assert (task.ending, task.answer) == alone(make_task(lines=range(2, 8)))


def test_a_prefix_is_computed_once_for_all_who_begin_with_it() -> None:
    world = World()
    tasks = world.run(*(make_task(str(n), session=n) for n in range(4)))
    assert world.rows_below(len(HEADS[0])) == len(HEADS[0])
    assert world.decoder.computed == sum(computed_tokens(task) for task in tasks)
    assert [task.reused for task in tasks] == [0, *[len(HEADS[0])] * 3]
    assert [task.answer for task in tasks] == [alone(make_task(session=n))[1] for n in range(4)]


def test_a_session_that_comes_later_does_not_compute_the_prefix_again_though_all_sequences_went_on() -> None:
    world = World(count=1)
    for session in range(6):
        [task] = world.run(make_task(session=session))
        assert task.reused == (len(HEADS[0]) if session else 0)
    assert world.rows_below(len(HEADS[0])) == len(HEADS[0])


def test_what_a_session_asks_after_its_sequence_was_taken_is_gone_on_from_what_was_shelved() -> None:
    world = World(count=1)
    world.run(make_task("a", session=1, lines=range(3)))
    world.run(make_task("b", session=2))
    task = make_task("c", session=1, lines=range(4))
    rows = world.rows_of(lambda: world.run(task))
    assert task.reused == len(HEADS[0]) + 3 * len(line(0, 0))
    assert rows == computed_tokens(task)
    assert (task.ending, task.answer) == alone(make_task(session=1, lines=range(4)))
    assert (world.sequences.shelved, world.sequences.restored) == (2, 2)


def test_prefixes_of_two_surgeries_are_kept_side_by_side() -> None:
    world = World()
    world.run(make_task("a", surgery=0), make_task("b", surgery=2, session=1))
    [first, second] = world.run(make_task("c", surgery=0, session=2), make_task("d", surgery=2, session=3))
    assert (first.reused, second.reused) == (len(HEADS[0]), len(HEADS[2]))


def test_more_tasks_than_sequences_wait_their_turn() -> None:
    world = World(count=2)
    tasks = [make_task(str(n), session=n) for n in range(7)]
    world.admit(*tasks)
    world.step()
    world.step()
    assert sum(task.sequence is not None for task in tasks) == 2
    world.finish()
    assert {task.name for task in world.ended[:2]} == {"0", "1"}
    assert {task.name for task in world.ended} == {str(n) for n in range(7)}
    assert all(task.answer == alone(make_task(session=n))[1] for n, task in enumerate(tasks))


def test_a_long_prompt_holds_up_nobody_who_writes() -> None:
    world = World(rows=4)
    writer, reader = make_task("w", start=(), length=12), make_task("r", session=1, lines=range(8))
    world.admit(writer)
    while not writer.answer:
        world.step()
    world.admit(reader)
    steps, chosen = 0, len(writer.choices)
    while not writer.ending:
        world.step()
        steps += 1
    assert len(writer.choices) == chosen + steps
    assert reader.sequence is not None
    assert reader.sequence.tokens == reader.prompt[: len(reader.sequence.tokens)]
    assert len(reader.sequence.tokens) > len(HEADS[0])  # and it was read meanwhile


def test_a_task_that_arrives_joins_those_at_work() -> None:
    world = World()
    world.admit(make_task("a", length=16, limit=16))
    world.step()
    world.step()
    world.admit(make_task("b", length=4, session=1))
    assert world.engine.names == ("a", "b")
    assert [task.name for task in world.finish()] == ["b", "a"]
    assert (world.engine.active, world.engine.names) == (0, ())


@pytest.mark.parametrize("rows", [1, 3, 7, 64])
def test_answers_do_not_depend_on_how_much_is_computed_at_a_time(rows: int) -> None:
    tasks = World(rows=rows).run(*(make_task(str(n), session=n, lines=range(n)) for n in range(4)))
    assert [task.answer for task in tasks] == [alone(make_task(session=n, lines=range(n)))[1] for n in range(4)]


def test_a_prefix_can_be_computed_before_anybody_asks() -> None:
    world = World(rows=4)
    world.engine.warm(HEADS[0])
    assert world.decoder.held[0] == HEADS[0]
    assert world.rows_of(lambda: world.engine.warm(HEADS[0])) == 0
    [task] = world.run(make_task())
    assert task.reused == len(HEADS[0])
    assert task.answer == alone(make_task())[1]


def test_after_an_error_while_a_prefix_is_computed_before_nothing_of_it_is_left() -> None:
    world = World()
    world.decoder.fault = NativeError("no")
    with pytest.raises(NativeError, match="no"):
        world.engine.warm(HEADS[0])
    world.engine.abandon()
    assert world.decoder.cells_taken == 0
    assert world.run(make_task())[0].answer == alone(make_task())[1]


class Files:
    """Prefixes that an earlier process computed: only the first head; what is asked of it and given to it."""

    def __init__(self) -> None:
        self.asked: list[list[int]] = []
        self.given: list[list[int]] = []

    def load(self, tokens: list[int]) -> Saved | None:
        self.asked.append(tokens)
        return Saved(tokens, state_of(tokens)) if tokens == HEADS[0] else None

    def save(self, saved: Saved) -> None:
        assert saved.state.tolist() == state_of(saved.tokens).tolist()
        self.given.append(saved.tokens)


def test_a_saved_prefix_is_loaded_and_another_is_saved_once_it_is_computed() -> None:
    files = Files()
    world = World(files=files)
    loaded, computed = world.run(make_task("a"), make_task("b", surgery=2, session=1))
    world.run(make_task("c", session=2), make_task("d", surgery=2, session=3))
    assert (files.asked, files.given) == ([HEADS[0], HEADS[2]], [HEADS[2]])
    assert (loaded.reused, computed.reused) == (len(HEADS[0]), 0)
    assert loaded.answer == alone(make_task())[1]
    assert world.rows_below(len(HEADS[0])) == len(HEADS[0])  # those of the other head


def test_a_saved_prefix_that_does_not_fit_is_computed_anew_and_saved_again() -> None:
    files = Files()
    world = World(files=files)
    world.decoder.fits = lambda state: False
    [task] = world.run(make_task())
    assert (task.ending, task.answer) == alone(make_task())
    assert (task.reused, files.given) == (0, [HEADS[0]])


def test_it_is_counted_what_was_computed_and_how_long_it_took() -> None:
    world = World()

    def take_5_ns(rows: object) -> None:
        world.clock.now += 5

    world.decoder.before_decode = take_5_ns
    world.run(make_task("a"), make_task("b", session=1))
    timing, decodes = world.engine.timing, world.decoder.decodes
    assert (timing.steps, timing.rows) == (len(decodes), world.decoder.computed)
    assert timing.decode_ns == timing.step_ns == 5 * len(decodes)


def test_a_step_with_nothing_to_do_is_no_error() -> None:
    assert World().step() == []


def test_a_grammar_that_refuses_is_an_error_of_the_step() -> None:
    world = World()
    task = make_task()
    world.admit(task)

    def refuse(token: int) -> None:
        raise OrstateError(f"token {token}: no")

    task.guide.take = refuse  # type: ignore[method-assign]
    with pytest.raises(OrstateError, match="no"):
        world.finish()
    assert world.engine.abandon() == [task]
    assert world.run(make_task("b"))[0].answer == alone(make_task())[1]
