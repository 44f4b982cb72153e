"""Several questions at work on the embedded model: who comes, who leaves, and what the others notice of it."""

import re
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import msgspec
import pytest
from backend_asking import ask, finish
from watched_sampler import common_choices, watch

from models.fetch import ensure
from models.manifest import find_manifest
from pipeline.config import InferenceSection
from pipeline.messages import PromptJob
from stages.inference.llama import LlamaBackend
from stages.surgery import Surgery

Make = Callable[..., PromptJob]
GEMMA: dict[str, Any] = {"context": 768, "max_tokens": 48, "temperature": 0.0}
SPOKEN = [
    "[2.0s] Surgeon: Suction on.\n",
    "[9.0s] Nurse: Irrigation off please.\n[11.0s] Surgeon: Yes.\n",
    "[30.0s] Surgeon: We are done here, next part.\n",
    "[61.0s] Anesthetist: Start the ventilator.\n",
]


@pytest.fixture
def jobs(make_job: Make) -> list[PromptJob]:
    return [make_job(str(n), said) for n, said in enumerate(SPOKEN)]


def test_four_at_once_are_answered_as_one_by_one(
    gemma: Any, jobs: list[PromptJob], monkeypatch: pytest.MonkeyPatch
) -> None:
    samplers = watch(monkeypatch)
    together = ask(gemma, *jobs)
    gemma.abandon()  # nothing is left of what was computed
    one_by_one = [ask(gemma, job)[0] for job in jobs]
    for n, (first, second) in enumerate(zip(together, one_by_one, strict=True)):
        choices = common_choices(samplers[n], samplers[4 + n])
        assert first.text == second.text or choices < len(samplers[n].chosen)
    assert sum(first.text == second.text for first, second in zip(together, one_by_one, strict=True)) >= 3


def test_the_same_four_at_once_are_answered_the_same_again(gemma: Any, jobs: list[PromptJob]) -> None:
    answers = []
    for _ in range(3):
        gemma.abandon()
        answers.append(ask(gemma, *jobs))
    for once, again in zip(answers[1], answers[2], strict=True):  # the first found other guesses, perhaps no prefix
        assert once.text == again.text
        # A row's place in the batch differs, and with it, on some processors (AMX), the rounding
        assert once.certainty.mean_logprob == pytest.approx(again.certainty.mean_logprob, abs=0.01)
        assert once.certainty.machines == pytest.approx(again.certainty.machines, abs=0.05)


def test_one_that_arrives_joins_those_at_work(gemma: Any, jobs: list[PromptJob], make_job: Make) -> None:
    gemma.admit(make_job("long", SPOKEN[1], answer="full"))
    for _ in range(6):
        assert gemma.step() == []
    gemma.admit(jobs[0])
    assert (gemma.active, gemma.at_work) == (2, ("long", "0"))
    answers = finish(gemma)
    assert answers["long"].truncated
    assert msgspec.json.decode(answers["0"].text)


def test_one_that_is_cancelled_leaves_and_the_others_are_answered(
    gemma: Any, jobs: list[PromptJob], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gemma._engine, "_longest_guess", 0)  # so that it still writes after some steps
    whole = ask(gemma, *jobs[:2])
    for job in jobs[:2]:
        gemma.admit(job)
    for _ in range(4):
        gemma.step()
    gemma.cancel("1")
    [gone] = gemma.step()
    assert (gone.job_id, gone.outcome, gone.certainty) == ("1", "expired", None)
    assert gone.error == "the question was taken back while the model worked on it"
    assert whole[1].text.startswith(gone.text)
    assert finish(gemma)["0"].outcome == "ok"


def test_abandoned_jobs_are_answered_no_more_and_the_next_one_is(gemma: Any, jobs: list[PromptJob]) -> None:
    for job in jobs:
        gemma.admit(job)
    gemma.step()
    gemma.abandon()
    assert (gemma.active, gemma.at_work, gemma.step()) == (0, (), [])
    assert gemma.counters()["held_tokens_now"] == 0
    assert ask(gemma, jobs[0])[0].outcome == "ok"


def test_a_deadline_that_passed_already_gives_no_answer(gemma: Any, make_job: Make) -> None:
    [answer] = ask(gemma, make_job(deadline_ns=gemma.clock.now))
    assert (answer.outcome, answer.text, answer.answer_tokens) == ("timeout", "", 0)


def test_a_deadline_stops_the_reading_of_the_prompt(gemma: Any, make_job: Make) -> None:
    job = make_job(shared="Another beginning.\n", transcript="".join(SPOKEN * 4))
    gemma.admit(msgspec.structs.replace(job, deadline_ns=gemma.clock.now + 1_000_000))
    for _ in range(2):  # the prefix, and the first rows of the rest
        assert gemma.step() == []
    gemma.clock.pass_ms(1)
    [answer] = gemma.step()
    assert answer.outcome == "timeout"
    assert re.search(r"passed at [1-9]\d+ of 3\d\d prompt tokens", answer.error)


def test_a_deadline_stops_the_writing_and_the_next_answer_is_whole(
    gemma: Any, make_job: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gemma._engine, "_longest_guess", 0)  # so that it still writes after some steps
    [whole] = ask(gemma, make_job("a"))
    gemma.admit(make_job("b", deadline_ns=gemma.clock.now + 1_000_000))
    for _ in range(5):
        assert gemma.step() == []
    gemma.clock.pass_ms(1)
    [cut] = gemma.step()
    assert cut.outcome == "timeout"
    assert f"passed at answer token {cut.answer_tokens}" in cut.error
    assert 0 < cut.answer_tokens < whole.answer_tokens
    assert whole.text.startswith(cut.text)
    assert ask(gemma, make_job("c"))[0].text == whole.text


def test_a_job_without_deadline_ends_at_the_backends_own_limit(gemma: Any, make_job: Make) -> None:
    gemma.admit(make_job())
    gemma.step()
    gemma.clock.pass_ms(163_000)  # 0.9 of supervision.inference_busy_s is 162 s
    assert [answer.outcome for answer in gemma.step()] == ["timeout"]


def test_a_warm_start_answers_as_a_cold_one_and_computes_less(
    jobs: list[PromptJob], surgery: Surgery, tmp_path: Path
) -> None:
    manifest = find_manifest("gemma-3-270m")
    section = InferenceSection(**GEMMA, prefix_cache=str(tmp_path / "prefixes"))
    texts, rows = [], []
    for counts in ((0, 1), (1, 0)):
        with closing(LlamaBackend(ensure(manifest), manifest, section, {"PCNL": surgery}, limit_s=160.0)) as backend:
            [answer] = ask(backend, jobs[0])
            counters = backend.counters()
        texts.append(answer.text)
        rows.append(counters["rows"])
        assert (counters["prefixes_loaded"], counters["prefixes_saved"]) == counts
    assert texts[0] == texts[1]
    assert rows[0] > rows[1] + 50
