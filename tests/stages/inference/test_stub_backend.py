from collections.abc import Callable
from typing import Any, Literal

import jsonschema_rs
import msgspec
import pytest

from pipeline.messages import PromptJob
from stages.answer import answer_schema
from stages.inference.stub import StubBackend
from stages.surgery import Surgery


def texts(backend: StubBackend, *jobs: PromptJob) -> list[str]:
    for job in jobs:
        backend.admit(job)
    return [answer.text for answer in backend.step()]


@pytest.mark.parametrize("form", ["small", "full"])
@pytest.mark.parametrize("phase", ["Phase3", "Phase6"])
def test_the_stub_answers_in_the_asked_form(
    make_job: Callable[..., PromptJob], surgery: Surgery, form: Literal["small", "full"], phase: str
) -> None:
    job = make_job(answer=form, phase=phase, next_phase=surgery.phase_after(phase))
    [text] = texts(StubBackend(), job)
    jsonschema_rs.validate(answer_schema(surgery, form), msgspec.json.decode(text))


def test_the_stub_says_what_the_rules_know(make_job: Callable[..., PromptJob]) -> None:
    [small], [full] = (texts(StubBackend(), make_job(answer=form)) for form in ("small", "full"))
    assert msgspec.json.decode(small) == {
        "on": [],
        "off": [],
        "phase": "Phase3",
        "next": "Phase4",
        "why": "stub",
        "tips": ["Consider preparing for Phase4."],
    }
    state: dict[str, Any] = msgspec.json.decode(full)
    assert state["machines"] == {"0": ["M02", "M03", "M04", "M05", "M06"], "1": ["M01"]}


def test_the_stub_says_the_same_to_the_same_question(make_job: Callable[..., PromptJob]) -> None:
    first, second = texts(StubBackend(), make_job("a"), make_job("b"))
    assert first == second


def test_each_admitted_job_is_answered_once(make_job: Callable[..., PromptJob]) -> None:
    backend = StubBackend()
    backend.admit(make_job("a"))
    backend.admit(make_job("b"))
    assert (backend.active, backend.at_work) == (2, ("a", "b"))
    assert [answer.job_id for answer in backend.step()] == ["a", "b"]
    assert (backend.active, backend.step()) == (0, [])


def test_abandoned_jobs_are_not_answered(make_job: Callable[..., PromptJob]) -> None:
    backend = StubBackend()
    backend.admit(make_job())
    backend.abandon()
    assert backend.step() == []
    backend.close()
    backend.close()
