from itertools import pairwise

import pytest

from benchmarks.workload import Question, choose, lines, questions
from pipeline.config import ROOT
from stages.surgery import load_surgeries

SURGERIES = list(load_surgeries(ROOT / "configs" / "machines").values())


def asked(mix: str = "mixed", form: str = "completion", each: int = 6) -> list[list[Question]]:
    return questions(choose(SURGERIES, mix), form, "small", 4, each)  # type: ignore[arg-type]


def test_the_same_arguments_give_the_same_questions() -> None:
    assert asked() == asked()


def test_sessions_take_turns_in_surgeries_or_are_all_of_one() -> None:
    assert [own[0].surgery for own in asked("mixed")] == ["PCNL", "Lobectomy", "Partial Hepatectomy", "PCNL"]
    assert {own[0].surgery for own in asked("same")} == {"PCNL"}


def test_two_sessions_of_a_surgery_share_its_beginning_and_say_different_things() -> None:
    first, *_, last = asked()
    assert first[0].job.prompt.shared == last[0].job.prompt.shared
    assert first[0].job.prompt.transcript != last[0].job.prompt.transcript


def test_each_question_shows_what_the_one_before_showed_and_a_line_or_two_more() -> None:
    for own in asked():
        for before, after in pairwise(own):
            shown, grown = before.job.prompt.transcript, after.job.prompt.transcript
            assert grown.startswith(shown)
            assert 1 <= grown[len(shown) :].count("\n") <= 2


def test_how_many_lines_come_before_each_question_can_be_said() -> None:
    [own] = questions(SURGERIES[:1], "completion", "small", 1, 3, (1,))
    assert [q.job.prompt.transcript.count("\n") for q in own] == [8, 9, 10]


def test_a_long_session_is_cut_back_as_the_prompt_stage_does() -> None:
    [own, *_] = asked(each=40)
    assert max(len(q.text) for q in own) < len(own[0].job.prompt.shared) + 3000


def test_job_ids_are_unique() -> None:
    ids = [q.job.job_id for own in asked() for q in own]
    assert len(set(ids)) == len(ids)


@pytest.mark.parametrize(
    ("form", "end"), [("completion", "\nJSON:"), ("chat", "\nJSON:<end_of_turn>\n<start_of_turn>model\n")]
)
def test_a_prompt_as_one_string_ends_where_the_answer_begins(form: str, end: str) -> None:
    question = asked(form=form)[0][0]
    assert question.text.endswith(end)
    assert question.text.startswith("<start_of_turn>user\n") == (form == "chat")


def test_lines_never_end() -> None:
    said = lines(SURGERIES[0], "any")
    assert len([next(said) for _ in range(500)]) == 500
