"""Three architectures with random weights through the whole backend: whatever they would say, answers keep the form."""

import gc
import random
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import jsonschema_rs
import msgspec
import psutil
import pytest
from backend_asking import ask
from watched_sampler import common_choices, watch

from models.manifest import find_manifest
from pipeline.config import InferenceSection, resolve
from pipeline.messages import PromptJob
from stages.answer import AnswerForm, answer_schema
from stages.inference.backend import Answer
from stages.inference.llama import LlamaBackend
from stages.surgery import Surgery, load_surgeries

Make = Callable[..., PromptJob]
SURGERIES = load_surgeries(resolve("configs/machines"))
JOBS = 1000
ARCHITECTURES = ["tiny_gemma", "tiny_llama", "tiny_qwen"]
LINES = [f"[{number}.0s] Surgeon: Irrigation {number}, suction on, and wait.\n" for number in range(12)]


def opened(path: Path, **settings: Any) -> LlamaBackend:
    """A backend that keeps nothing on disk; greedy, unless told otherwise."""
    section = InferenceSection(
        **{
            "context": 2048,
            "max_tokens": 1000,
            "temperature": 0.0,
            "threads": 1,
            "prefix_cache": "",
            **settings,
        }
    )
    return LlamaBackend(path, find_manifest(str(path)), section, SURGERIES, limit_s=160.0)


@pytest.fixture(params=ARCHITECTURES)
def path(request: pytest.FixtureRequest) -> Path:
    found: Path = request.getfixturevalue(request.param)
    return found


@pytest.fixture
def backend(path: Path) -> Iterator[LlamaBackend]:
    with closing(opened(path)) as backend:
        yield backend


def check(answer: Answer, surgery: Surgery, form: AnswerForm) -> None:
    assert (answer.outcome, answer.error) == ("ok", "")
    if answer.truncated:
        assert answer.certainty is None
        return
    said = msgspec.json.decode(answer.text)
    jsonschema_rs.validate(answer_schema(surgery, form), said)
    assert answer.certainty is not None
    assert msgspec.json.decode(msgspec.json.encode(answer.certainty), type=type(answer.certainty)) == answer.certainty
    lists = (said["on"], said["off"]) if form == "small" else said["machines"].values()
    assert set(answer.certainty.machines) == {machine for ids in lists for machine in ids}
    assert answer.certainty.mean_logprob < 0.0
    assert set(answer.certainty.phases) == set(surgery.phase_ids)
    assert sum(answer.certainty.phases.values()) == pytest.approx(1.0, abs=0.01)


@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_every_answer_is_of_the_asked_form_and_surgery(path: Path, make_job: Make, temperature: float) -> None:
    jobs = {
        f"{surgery}/{form}/{number}": (surgery, form, make_job(
            f"{surgery}/{form}/{number}", "".join(LINES[: number + 1]), surgery=surgery, answer=form,
            shared=f"{surgery}\n",
        ))
        for surgery in SURGERIES
        for form in ("small", "full")
        for number in range(2)
    }  # fmt: skip
    with closing(opened(path, temperature=temperature, seed=3)) as backend:
        answers = ask(backend, *(job for _, _, job in jobs.values()))
    for (surgery, form, _), answer in zip(jobs.values(), answers, strict=True):
        check(answer, SURGERIES[surgery], form)
    assert sum(not answer.truncated for answer in answers) > len(answers) // 2


def test_together_and_one_by_one_the_answers_are_the_same(
    path: Path, make_job: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    samplers = watch(monkeypatch)
    jobs = [make_job(str(n), "".join(LINES[: 2 * n + 1])) for n in range(4)]
    with closing(opened(path)) as backend:
        ask(backend, *jobs)
    for job in jobs:
        with closing(opened(path)) as backend:
            ask(backend, job)
    shared = [common_choices(samplers[n], samplers[4 + n]) for n in range(4)]
    assert sum(shared) > 50


def test_what_grew_and_what_was_cut_back_is_answered_as_if_it_were_new(
    path: Path, make_job: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Further than the sliding window of Gemma's kind, which is 64 tokens here."""
    samplers = watch(monkeypatch)
    windows = ["".join(lines) for lines in (LINES[:4], LINES[:6], LINES[:12], LINES[2:12], LINES[:3])]
    with closing(opened(path)) as backend:
        went_on = [ask(backend, make_job("went on", lines))[0] for lines in windows]
    new: list[Answer] = []
    for lines in windows:
        with closing(opened(path)) as backend:
            new += ask(backend, make_job("new", lines))
    shared = [common_choices(samplers[n], samplers[5 + n]) for n in range(5)]
    assert sum(shared) > 100
    assert all(one.reused_tokens >= other.reused_tokens for one, other in zip(went_on, new, strict=True))
    assert went_on[1].reused_tokens > went_on[0].prompt_tokens - 5  # all but the tail


@pytest.mark.parametrize("temperature", [0.0, 0.7])
def test_the_same_work_gives_the_same_answers_each_time(path: Path, make_job: Make, temperature: float) -> None:
    said = []
    for _ in range(2):
        with closing(opened(path, temperature=temperature)) as backend:
            answers = ask(backend, *(make_job(str(n), "".join(LINES[: 2 * n + 1])) for n in range(4)))
        said.append([(answer.text, answer.certainty) for answer in answers])
    assert said[0] == said[1]


@pytest.mark.parametrize("settings", [{"batch": 1}, {"rows": 16}, {"guess": 0}, {"shelf_mb": 0}])
def test_no_setting_of_the_engine_changes_the_form(path: Path, make_job: Make, settings: dict[str, Any]) -> None:
    with closing(opened(path, **settings)) as backend:
        answers = ask(backend, *(make_job(str(n), LINES[n]) for n in range(3)))
    for answer in answers:
        check(answer, SURGERIES["PCNL"], "small")


def test_foreign_characters_do_not_move_the_certainty_of_what_comes_after_them(path: Path, make_job: Make) -> None:
    """The tiny models write them often, and as single bytes."""
    with closing(opened(path, temperature=1.0)) as backend:
        answers = ask(backend, *(make_job(str(n), LINES[n], answer="full") for n in range(4)))
    foreign = [answer for answer in answers if not answer.text.isascii()]
    assert foreign
    for answer in foreign:
        check(answer, SURGERIES["PCNL"], "full")


def test_a_prefix_is_computed_before_anybody_asks_and_found_by_the_next_process(
    path: Path, make_job: Make, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    answers, rows = [], []
    for start in ("cold", "warm", "damaged"):
        if start == "damaged":
            for saved in (tmp_path / "prefixes").glob("*.prefix"):
                saved.write_bytes(saved.read_bytes()[:-1])
        with closing(opened(path, prefix_cache=str(tmp_path / "prefixes"))) as backend:
            backend.warm(make_job().prompt)
            counters = backend.counters()
            rows.append(counters["rows"])
            found = (counters["prefixes_loaded"], counters["prefixes_saved"])
            assert found == ((1, 0) if start == "warm" else (0, 1))
            answers += ask(backend, make_job(start))
    assert rows[0] == rows[2] > rows[1] == 0
    assert {answer.reused_tokens for answer in answers} == {rows[0]}
    assert answers[0].text == answers[1].text == answers[2].text
    assert capfd.readouterr().err.count("is damaged") == 1
    assert sorted(left.suffix for left in (tmp_path / "prefixes").iterdir()) == [".prefix", ".sha256"]


def mixed(make_job: Make, number: int, choose: random.Random) -> PromptJob:
    return make_job(
        str(number),
        "".join(LINES[choose.randrange(3) : choose.randrange(3, 6)]),
        surgery=choose.choice([*SURGERIES, "Appendectomy"]) if number % 10 == 0 else "PCNL",
        shared="word " * 2000 if number % 97 == 0 else f"Surgery {choose.randrange(6)}.\n",
        form=choose.choice(["chat", "completion"]),
    )


def test_a_thousand_mixed_jobs_neither_fail_nor_grow(tiny_llama: Path, make_job: Make) -> None:
    choose = random.Random(5)
    process = psutil.Process()
    sizes: list[int] = []
    outcomes: dict[str, int] = {}
    number = 0
    with closing(opened(tiny_llama, context=512, max_tokens=32, temperature=0.5)) as backend:
        while number < JOBS or backend.active:
            while number < JOBS and backend.active < 4:
                backend.admit(mixed(make_job, number, choose))
                number += 1
            if choose.random() < 0.01 and backend.at_work:
                backend.cancel(choose.choice(backend.at_work))
            for answer in backend.step():
                outcomes[answer.outcome] = outcomes.get(answer.outcome, 0) + 1
                assert answer.outcome != "model_unavailable" or "is not known" in answer.error or "room" in answer.error
            if number % 100 == 0 and len(sizes) < number // 100:
                gc.collect()
                sizes.append(process.memory_info().rss)
        held = backend.counters()["held_tokens_now"]
    assert sum(outcomes.values()) == JOBS
    assert outcomes["ok"] > 800
    assert outcomes["expired"] > 5
    assert held <= 1024
    assert sizes[-1] - sizes[2] < 10e6
