"""The embedded model through the whole backend: what it is asked, and what comes of it."""

import re
from collections.abc import Callable
from typing import Any

import jsonschema_rs
import msgspec
import pytest
from backend_asking import ask
from watched_sampler import common_choices, watch

from pipeline.messages import PromptJob
from stages.answer import answer_schema
from stages.surgery import Surgery

Make = Callable[..., PromptJob]
LINES = [f"[{number}.0s] Surgeon: Irrigation on, suction on, and wait.\n" for number in range(60)]


def test_an_answer_keeps_the_schema_of_its_surgery(gemma: Any, make_job: Make, surgery: Surgery) -> None:
    [answer] = ask(gemma, make_job())
    assert (answer.outcome, answer.error, answer.truncated) == ("ok", "", False)
    jsonschema_rs.validate(answer_schema(surgery, "small"), msgspec.json.decode(answer.text))
    assert re.match(r'\{"on":\[("M\d\d"(,"M\d\d")*)?\],"off":\[', answer.text)  # no spaces to pay for


def test_a_chat_prompt_is_answered_in_the_schema_too(gemma: Any, make_job: Make, surgery: Surgery) -> None:
    [answer] = ask(gemma, make_job(form="chat"))
    assert not answer.truncated
    jsonschema_rs.validate(answer_schema(surgery, "small"), msgspec.json.decode(answer.text))


def test_the_same_question_gets_the_same_answer(gemma: Any, make_job: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    samplers = watch(monkeypatch)
    [first] = ask(gemma, make_job("a", transcript="".join(LINES[:4])))
    ask(gemma, make_job("b", shared="Something else.\n"))
    [third] = ask(gemma, make_job("c", transcript="".join(LINES[:4])))
    assert first.text == third.text or common_choices(samplers[0], samplers[2]) < len(samplers[0].chosen)


def test_what_the_last_prompt_shares_is_not_computed_again(gemma: Any, make_job: Make) -> None:
    [first] = ask(gemma, make_job("a", transcript="".join(LINES[:5])))
    [second] = ask(gemma, make_job("b", transcript="".join(LINES[:6])))
    new = second.prompt_tokens - first.prompt_tokens
    assert second.reused_tokens >= first.prompt_tokens - 5  # all but the short tail
    assert second.prompt_tokens - second.reused_tokens <= new + 5


def test_a_prefix_longer_than_the_sliding_window_is_still_used(gemma: Any, make_job: Make) -> None:
    often = "A machine is a thing that is on or off, and this is said often.\n" * 30
    shared = often + make_job().prompt.shared
    [first] = ask(gemma, make_job("a", shared=shared))
    assert first.prompt_tokens > 512  # the window of Gemma 3 270M
    [second] = ask(gemma, make_job("b", shared=shared))
    assert second.text == first.text
    tail = len(gemma._model.tokenize(make_job().prompt.tail, False))
    assert second.reused_tokens == second.prompt_tokens - tail
    [third] = ask(gemma, make_job("c", shared=often[:640]))
    assert third.reused_tokens > 100


def test_a_window_that_is_cut_back_is_answered_as_if_it_were_new(gemma: Any, make_job: Make) -> None:
    """By more than the 512 tokens that the sliding window of Gemma 3 270M sees."""
    short, long = make_job("short", transcript=LINES[0]), make_job("long", transcript="".join(LINES[:32]))
    [new] = ask(gemma, short)
    gemma.abandon()  # nothing is left of it
    [before] = ask(gemma, long)
    [cut] = ask(gemma, short)
    assert before.prompt_tokens - cut.prompt_tokens > 512
    assert cut.text == new.text
    assert cut.reused_tokens >= cut.prompt_tokens - 5


def test_it_is_counted_what_was_computed_and_what_is_held(gemma: Any, make_job: Make) -> None:
    before = gemma.counters()
    [answer] = ask(gemma, make_job(transcript="Counted.\n"))
    counted = gemma.counters()
    computed = answer.prompt_tokens - answer.reused_tokens
    assert computed < counted["rows"] - before["rows"] <= computed + answer.prompt_tokens + answer.answer_tokens
    assert 0 < counted["steps"] - before["steps"] <= counted["rows"] - before["rows"]
    assert 100 < counted["model_mb_now"] < 400
    assert 0 < counted["held_tokens_now"] <= 2 * 768


def test_spoken_control_tokens_are_words(gemma: Any, make_job: Make) -> None:
    [said] = ask(gemma, make_job("a", transcript="<end_of_turn>\n"))
    [silent] = ask(gemma, make_job("b", transcript="\n"))
    assert said.prompt_tokens - silent.prompt_tokens > 3  # as one control token it would be one
    assert said.outcome == "ok"


def test_an_answer_that_reaches_the_limit_of_tokens_is_truncated(gemma: Any, make_job: Make) -> None:
    [answer] = ask(gemma, make_job(answer="full"))
    assert (answer.outcome, answer.truncated, answer.answer_tokens) == ("ok", True, 48)
    assert answer.text.startswith('{"metadata":{"phase":"Phase')


def test_too_long_a_transcript_is_cut_and_answered(gemma: Any, make_job: Make) -> None:
    [answer] = ask(gemma, make_job(transcript="".join(LINES)))
    assert answer.outcome == "ok"
    assert 600 < answer.prompt_tokens <= 768 - 48
    [longer] = ask(gemma, make_job("b", transcript="".join(LINES * 20)))
    assert longer.outcome == "ok"  # the context is full again


def test_a_prompt_without_room_is_an_outcome_and_the_next_job_is_answered(gemma: Any, make_job: Make) -> None:
    [answer] = ask(gemma, make_job(shared="word " * 800))
    assert answer.outcome == "model_unavailable"
    assert "raise inference.context" in answer.error
    assert ask(gemma, make_job())[0].outcome == "ok"


def test_a_surgery_without_a_dictionary_is_an_outcome(gemma: Any, make_job: Make) -> None:
    [answer] = ask(gemma, make_job(surgery="Appendectomy"))
    assert answer.outcome == "model_unavailable"
    assert "'Appendectomy' is not known" in answer.error
    assert "PCNL" in answer.error
