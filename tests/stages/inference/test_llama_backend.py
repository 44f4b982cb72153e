import re
from collections.abc import Callable
from typing import Any

import jsonschema_rs
import msgspec
import pytest

from pipeline.messages import PromptJob
from stages.answer import answer_schema
from stages.inference.backend import Answer
from stages.surgery import Surgery

Make = Callable[..., PromptJob]
LINES = [f"[{number}.0s] Surgeon: Irrigation on, suction on, and wait.\n" for number in range(60)]


def ask(backend: Any, job: PromptJob) -> Answer:
    backend.admit(job)
    [answer] = backend.step()
    assert isinstance(answer, Answer)
    return answer


def test_an_answer_keeps_the_schema_of_its_surgery(gemma: Any, make_job: Make, surgery: Surgery) -> None:
    answer = ask(gemma, make_job())
    assert (answer.outcome, answer.error, answer.truncated) == ("ok", "", False)
    jsonschema_rs.validate(answer_schema(surgery, "small"), msgspec.json.decode(answer.text))
    assert re.match(r'\{"on":\[("M\d\d"(,"M\d\d")*)?\],"off":\[', answer.text)  # no spaces to pay for


def test_a_chat_prompt_is_answered_in_the_schema_too(gemma: Any, make_job: Make, surgery: Surgery) -> None:
    answer = ask(gemma, make_job(form="chat"))
    assert not answer.truncated
    jsonschema_rs.validate(answer_schema(surgery, "small"), msgspec.json.decode(answer.text))


def test_the_same_question_gets_the_same_answer(gemma: Any, make_job: Make) -> None:
    first = ask(gemma, make_job("a", transcript="".join(LINES[:4])))
    ask(gemma, make_job("b", shared="Something else.\n"))
    third = ask(gemma, make_job("c", transcript="".join(LINES[:4])))
    assert first.text == third.text


def test_what_the_last_prompt_shares_is_not_computed_again(gemma: Any, make_job: Make) -> None:
    first = ask(gemma, make_job("a", transcript="".join(LINES[:5])))
    second = ask(gemma, make_job("b", transcript="".join(LINES[:6])))
    new = second.prompt_tokens - first.prompt_tokens
    assert second.reused_tokens >= first.prompt_tokens - 5  # all but the short tail
    assert second.prompt_tokens - second.reused_tokens <= new + 5


def test_a_prefix_longer_than_the_sliding_window_is_still_used(gemma: Any, make_job: Make) -> None:
    often = "A machine is a thing that is on or off, and this is said often.\n" * 30
    shared = often + make_job().prompt.shared
    first = ask(gemma, make_job("a", shared=shared))
    assert first.prompt_tokens > 512  # the window of Gemma 3 270M
    second = ask(gemma, make_job("b", shared=shared))
    assert second.text == first.text
    assert second.reused_tokens == second.prompt_tokens - 1
    third = ask(gemma, make_job("c", shared=often[:640]))
    assert third.reused_tokens > 100


def test_spoken_control_tokens_are_words(gemma: Any, make_job: Make) -> None:
    said = ask(gemma, make_job("a", transcript="<end_of_turn>\n"))
    silent = ask(gemma, make_job("b", transcript="\n"))
    assert said.prompt_tokens - silent.prompt_tokens > 3  # as one control token it would be one
    assert said.outcome == "ok"


def test_an_answer_that_reaches_the_limit_of_tokens_is_truncated(gemma: Any, make_job: Make) -> None:
    answer = ask(gemma, make_job(answer="full"))
    assert (answer.outcome, answer.truncated, answer.answer_tokens) == ("ok", True, 48)
    assert answer.text.startswith('{"metadata":{"phase":"Phase')


def test_too_long_a_transcript_is_cut_and_answered(gemma: Any, make_job: Make) -> None:
    answer = ask(gemma, make_job(transcript="".join(LINES)))
    assert answer.outcome == "ok"
    assert 300 < answer.prompt_tokens <= 768 - 48


def test_a_prompt_without_room_is_an_outcome_and_the_next_job_is_answered(gemma: Any, make_job: Make) -> None:
    answer = ask(gemma, make_job(shared="word " * 800))
    assert answer.outcome == "model_unavailable"
    assert "raise inference.context" in answer.error
    assert ask(gemma, make_job()).outcome == "ok"


def test_a_surgery_without_a_dictionary_is_an_outcome(gemma: Any, make_job: Make) -> None:
    answer = ask(gemma, make_job(surgery="Appendectomy"))
    assert answer.outcome == "model_unavailable"
    assert "'Appendectomy' is not known" in answer.error
    assert "PCNL" in answer.error


@pytest.fixture
def stopping(gemma: Any) -> Any:
    """The model's clock, to be moved by the test; afterwards it stands still again."""
    clock = gemma.clock
    yield clock
    clock.each_look = 0


def test_a_deadline_that_passed_already_gives_no_answer(gemma: Any, make_job: Make, stopping: Any) -> None:
    answer = ask(gemma, make_job(deadline_ns=stopping.now))
    assert (answer.outcome, answer.text, answer.answer_tokens) == ("timeout", "", 0)


def test_a_deadline_stops_the_reading_of_the_prompt(gemma: Any, make_job: Make, stopping: Any) -> None:
    stopping.each_look = 1_000_000
    job = make_job(shared="Another beginning.\n", transcript="".join(LINES[:20]))
    answer = ask(gemma, msgspec.structs.replace(job, deadline_ns=stopping.now + 4_000_000))
    assert answer.outcome == "timeout"
    assert re.search(r"passed at [1-9]\d+ of 3\d\d prompt tokens", answer.error)


def test_a_deadline_stops_the_writing_and_the_next_answer_is_whole(gemma: Any, make_job: Make, stopping: Any) -> None:
    whole = ask(gemma, make_job("a"))
    stopping.each_look = 1_000_000
    cut = ask(gemma, make_job("b", deadline_ns=stopping.now + 12_000_000))
    stopping.each_look = 0
    assert cut.outcome == "timeout"
    assert 0 < cut.answer_tokens < whole.answer_tokens
    assert whole.text.startswith(cut.text)
    assert ask(gemma, make_job("c")).text == whole.text


def test_a_job_without_deadline_ends_at_the_backends_own_limit(gemma: Any, make_job: Make, stopping: Any) -> None:
    stopping.each_look = 60_000_000_000
    assert ask(gemma, make_job()).outcome == "timeout"


def test_one_admitted_job_is_run_by_each_step(gemma: Any, make_job: Make) -> None:
    gemma.admit(make_job("a"))
    gemma.admit(make_job("b"))
    assert (gemma.active, gemma.at_work) == (2, ("a",))
    assert [answer.job_id for answer in gemma.step()] == ["a"]
    gemma.abandon()
    assert (gemma.active, gemma.step()) == (0, [])
