from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from models.manifest import find_manifest
from pipeline.config import Config, InferenceSection, PromptSection
from pipeline.errors import ConfigError, OrstateError
from pipeline.messages import Cancel, Certainty, Completion, ModelChanged, PromptJob, SessionEnd
from stages.inference.backend import Answer
from stages.inference.stage import InferenceStage, create
from stages.inference.stub import StubBackend
from stages.surgery import Surgery

Make = Callable[..., PromptJob]


class Scripted:
    """A backend that answers one job a step and fails as told."""

    def __init__(self, clock: Any) -> None:
        self.clock = clock
        self.jobs: list[PromptJob] = []
        self.cycles: list[list[str]] = []  # the ids that were active at each step
        self.fails: Exception | None = None
        self.broken = ""
        self.step_ms = 0.0
        self.closed = 0
        self.cancelled: list[str] = []

    @property
    def active(self) -> int:
        return len(self.jobs)

    @property
    def at_work(self) -> tuple[str, ...]:
        return tuple(job.job_id for job in self.jobs[:1])

    def admit(self, job: PromptJob) -> None:
        self.jobs.append(job)

    def step(self) -> list[Answer]:
        self.cycles.append([job.job_id for job in self.jobs])
        started = self.clock.now
        self.clock.pass_ms(self.step_ms)
        if self.fails is not None:
            raise self.fails
        job = self.jobs.pop(0)
        return [
            Answer(
                job_id=job.job_id,
                outcome="ok",
                started_ns=started,
                text="{}",
                prompt_tokens=10,
                reused_tokens=4,
                answer_tokens=2,
            )
        ]

    def cancel(self, job_id: str) -> None:
        self.cancelled.append(job_id)

    def abandon(self) -> None:
        self.jobs.clear()

    def fault(self) -> str:
        return self.broken

    def counters(self) -> dict[str, float]:
        return {"steps": float(len(self.cycles))}

    def close(self) -> None:
        self.closed += 1


@pytest.fixture
def backend(clock: Any) -> Scripted:
    return Scripted(clock)


@pytest.fixture
def stage(backend: Scripted, clock: Any) -> InferenceStage:
    stage = InferenceStage(InferenceSection(), find_manifest("medgemma-4b-it-q3_k_m"), lambda: backend, clock)
    stage.load()
    return stage


def run(stage: InferenceStage) -> list[Completion]:
    """All completions until the stage is idle."""
    completions: list[Completion] = []
    while stage.wait_s() == 0.0:
        completions += [message for message in stage.step() if isinstance(message, Completion)]
    return completions


def test_a_job_becomes_a_completion_with_what_the_job_brought(
    stage: InferenceStage, backend: Scripted, make_job: Make, clock: Any
) -> None:
    job = make_job(kind="request", stamps={"asked": 5})
    assert list(stage.handle(job)) == []
    backend.step_ms = 20
    [completion] = run(stage)
    start = clock.now - 20_000_000
    assert completion == Completion(
        job_id="j1",
        kind="request",
        rules=job.rules,
        outcome="ok",
        text="{}",
        model="medgemma-4b-it-q3_k_m",
        label="medgemma",
        prompt_tokens=10,
        answer_tokens=2,
        stamps={"asked": 5, "admitted": start, "started": start, "finished": clock.now},
    )
    assert stage.idle


def test_jobs_that_arrive_within_the_window_share_a_cycle(
    stage: InferenceStage, backend: Scripted, make_job: Make
) -> None:
    for name in "abcde":
        stage.handle(make_job(name))
    assert [completion.job_id for completion in run(stage)] == list("abcde")
    assert backend.cycles[:2] == [list("abcd"), list("bcde")]  # whoever is finished makes room
    counters = stage.counters()
    assert (counters["cycles"], counters["batch_4"], counters["batch_1"]) == (2, 1, 1)


def test_a_job_alone_shares_no_cycle(stage: InferenceStage, backend: Scripted, make_job: Make) -> None:
    for name in "abc":
        stage.handle(make_job(name, alone=name == "b"))
    run(stage)
    assert backend.cycles == [["a"], ["b"], ["c"]]


def test_a_stage_with_nothing_to_do_waits_without_end(stage: InferenceStage, make_job: Make) -> None:
    assert (stage.wait_s(), stage.idle, list(stage.step())) == (None, True, [])


def test_a_strict_stage_waits_for_its_window(backend: Scripted, make_job: Make, clock: Any) -> None:
    stage = InferenceStage(InferenceSection(strict=True), find_manifest("stub"), lambda: backend, clock)
    stage.load()
    stage.handle(make_job())
    assert (list(stage.step()), stage.wait_s()) == ([], 0.5)
    clock.pass_ms(500)
    assert [completion.outcome for completion in run(stage)] == ["ok"]


def test_no_more_than_two_batches_wait(stage: InferenceStage, make_job: Make) -> None:
    for number in range(8):
        assert stage.accepting
        stage.handle(make_job(str(number)))
    assert not stage.accepting
    stage.step()
    assert stage.accepting


def test_a_job_whose_deadline_passed_while_it_waited_is_not_run(
    stage: InferenceStage, backend: Scripted, make_job: Make, clock: Any
) -> None:
    stage.handle(make_job("late", deadline_ns=clock.now + 1_000_000))
    clock.pass_ms(2)
    [completion] = stage.step()
    assert isinstance(completion, Completion)
    assert (completion.outcome, backend.cycles) == ("timeout", [])
    assert "waited" in completion.error
    assert stage.counters()["timeouts"] == 1


def test_at_work_names_the_job_of_the_next_step(stage: InferenceStage, backend: Scripted, make_job: Make) -> None:
    for name in "ab":
        stage.handle(make_job(name))
    assert list(stage.at_work) == ["a", "b"]  # the next step admits them, which is work of native code already
    stage.step()
    assert list(stage.at_work) == ["a"]
    stage.step()
    assert list(stage.at_work) == ["b"]
    stage.step()
    assert list(stage.at_work) == []


def test_an_exception_of_the_model_is_an_outcome_and_the_stage_goes_on(
    stage: InferenceStage, backend: Scripted, make_job: Make
) -> None:
    backend.fails = RuntimeError("llama_decode returned -3")
    for name in "ab":
        stage.handle(make_job(name))
    failed = run(stage)
    assert [(c.job_id, c.outcome) for c in failed] == [("a", "model_unavailable"), ("b", "model_unavailable")]
    assert "RuntimeError: llama_decode returned -3" in failed[0].error
    backend.fails = None
    stage.handle(make_job("c"))
    assert [(c.job_id, c.outcome) for c in run(stage)] == [("c", "ok")]
    assert stage.counters()["failures"] == 2


def test_an_exception_of_the_model_costs_only_the_job_at_which_it_comes_again(
    stage: InferenceStage, backend: Scripted, make_job: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer_one = backend.step

    def step() -> list[Answer]:
        if any(job.job_id == "b" for job in backend.jobs):
            raise MemoryError("of b")
        return answer_one()

    monkeypatch.setattr(backend, "step", step)
    for name in "abcd":
        stage.handle(make_job(name))
    assert [(c.job_id, c.outcome) for c in run(stage)] == [
        ("a", "ok"),
        ("b", "model_unavailable"),
        ("c", "ok"),
        ("d", "ok"),
    ]


def test_a_job_that_is_taken_back_while_it_waits_is_answered_at_once_and_not_run(
    stage: InferenceStage, backend: Scripted, make_job: Make
) -> None:
    for name in "ab":
        stage.handle(make_job(name))
    [completion] = stage.handle(Cancel(job_id="b"))
    assert isinstance(completion, Completion)
    assert (completion.job_id, completion.outcome) == ("b", "expired")
    assert completion.error == "the question was taken back before its turn came"
    assert [answered.job_id for answered in run(stage)] == ["a"]
    assert (backend.cancelled, stage.idle) == ([], True)


def test_a_job_that_is_taken_back_while_it_runs_is_answered_once_by_the_model(
    stage: InferenceStage, backend: Scripted, make_job: Make
) -> None:
    stage.handle(make_job("a"))
    stage.step()
    assert list(stage.handle(Cancel(job_id="a"))) == []
    assert backend.cancelled == ["a"]
    assert [completion.job_id for completion in run(stage)] == ["a"]
    assert list(stage.handle(Cancel(job_id="a"))) == []  # once more it is nobody's any more
    assert backend.cancelled == ["a"]


def test_taking_back_what_is_not_there_is_nothing(stage: InferenceStage, backend: Scripted) -> None:
    assert list(stage.handle(Cancel(job_id="x"))) == []
    unloaded = InferenceStage(InferenceSection(), find_manifest("stub"), lambda: backend)
    assert list(unloaded.handle(Cancel(job_id="x"))) == []
    assert backend.cancelled == []


def test_what_a_model_cut_off_and_how_sure_it_was_is_told(
    stage: InferenceStage, backend: Scripted, make_job: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    sure = Certainty(mean_logprob=-0.1, phase=0.9, next_phase=0.8, machines={"M05": 0.7})
    for answer in (
        Answer(job_id="a", outcome="ok", started_ns=0, text="{}", certainty=sure),
        Answer(job_id="a", outcome="ok", started_ns=0, text="{", truncated=True),
        Answer(job_id="a", outcome="expired", started_ns=0, error="taken back"),
    ):
        monkeypatch.setattr(backend, "step", lambda answer=answer: backend.jobs.clear() or [answer])
        stage.handle(make_job("a"))
        [completion] = run(stage)
        for field in ("outcome", "text", "truncated", "certainty", "error"):
            assert getattr(completion, field) == getattr(answer, field)


def test_counters_add_up_tokens_and_time(stage: InferenceStage, backend: Scripted, make_job: Make) -> None:
    backend.step_ms = 30
    for name in "ab":
        stage.handle(make_job(name))
    assert stage.counters()["waiting_now"] == 2
    run(stage)
    counters = stage.counters()
    assert (counters["jobs"], counters["prompt_tokens"], counters["reused_tokens"]) == (2, 20, 8)
    assert (counters["answer_tokens"], counters["inference_ms"], counters["waiting_now"]) == (4, 60.0, 0)
    assert counters["steps"] == 2  # the backend's own


@pytest.mark.parametrize(
    ("error", "says"),
    [
        (OrstateError("weights/x.gguf: get them"), "weights/x.gguf: get them"),
        (MemoryError("no room"), "MemoryError: no room"),
    ],
)
def test_without_a_model_every_job_is_answered_at_once_with_the_reason(
    make_job: Make, error: Exception, says: str
) -> None:
    def fail() -> StubBackend:
        raise error

    stage = InferenceStage(InferenceSection(), find_manifest("stub"), fail)
    assert stage.load() == ModelChanged(state="unavailable", name="stub", label="stub", error=says)
    [completion] = stage.handle(make_job())
    assert isinstance(completion, Completion)
    assert (completion.outcome, completion.error) == ("model_unavailable", says)
    assert (stage.model_state, stage.model_error) == ("unavailable", says)


def test_a_model_that_cannot_be_loaded_is_tried_again_until_it_can(
    backend: Scripted, make_job: Make, clock: Any
) -> None:
    faults: list[Exception] = [OrstateError("no file"), OrstateError("no file"), MemoryError("full")]

    def load() -> Scripted:
        if faults:
            raise faults.pop(0)
        return backend

    stage = InferenceStage(InferenceSection(retry_s=2.0), find_manifest("stub"), load, clock)
    assert (stage.load().error, stage.wait_s(), list(stage.step())) == ("no file", 2.0, [])
    told = []
    for _ in range(3):
        clock.pass_ms(2000)
        assert (stage.wait_s(), list(stage.at_work)) == (0.0, ["loading"])
        told.append(list(stage.step()))
    ready = ModelChanged(state="ready", name="stub", label="stub")
    assert told == [[], [msgspec.structs.replace(ready, state="unavailable", error="MemoryError: full")], [ready]]
    stage.handle(make_job())
    assert [completion.outcome for completion in run(stage)] == ["ok"]


def test_a_model_that_can_be_relied_on_no_more_answers_what_waits_and_is_loaded_again(
    stage: InferenceStage, backend: Scripted, make_job: Make
) -> None:
    stage.handle(make_job("at work"))
    stage.step()
    backend.broken = "x.gguf: was changed"
    for name in "abcd":
        stage.handle(make_job(name))
    *completions, changed = stage.step()
    assert [(c.job_id, c.outcome, c.error) for c in completions if isinstance(c, Completion)] == [
        (name, "model_unavailable", "x.gguf: was changed") for name in ("at work", *"abcd")
    ]
    assert isinstance(changed, ModelChanged)
    assert (changed.state, changed.error, backend.closed) == ("unavailable", "x.gguf: was changed", 1)
    assert (stage.idle, stage.wait_s()) == (True, 0.0)
    [again] = stage.step()
    assert isinstance(again, ModelChanged)
    assert again.state == "ready"


def test_an_answer_of_a_model_that_broke_meanwhile_is_not_given(
    stage: InferenceStage, backend: Scripted, make_job: Make
) -> None:
    for name in "ab":
        stage.handle(make_job(name))
    stage.step()
    backend.broken = "x.gguf: was changed"
    *completions, changed = stage.step()
    assert [(c.job_id, c.outcome, c.text) for c in completions if isinstance(c, Completion)] == [
        ("a", "model_unavailable", ""),
        ("b", "model_unavailable", ""),
    ]
    assert isinstance(changed, ModelChanged)
    assert changed.state == "unavailable"


def test_a_job_that_the_model_cannot_be_asked_is_answered_and_the_others_run(
    stage: InferenceStage, backend: Scripted, make_job: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    def admit(job: PromptJob) -> None:
        if job.job_id == "b":
            raise MemoryError("its grammar")
        backend.jobs.append(job)

    monkeypatch.setattr(backend, "admit", admit)
    for name in "abc":
        stage.handle(make_job(name))
    answers = run(stage)
    assert sorted((c.job_id, c.outcome) for c in answers) == [("a", "ok"), ("b", "model_unavailable"), ("c", "ok")]
    assert "MemoryError: its grammar" in answers[0].error
    assert stage.idle


def test_a_job_before_the_model_is_loaded_is_answered_too(backend: Scripted, make_job: Make) -> None:
    stage = InferenceStage(InferenceSection(), find_manifest("stub"), lambda: backend)
    [completion] = stage.handle(make_job())
    assert isinstance(completion, Completion)
    assert (completion.outcome, stage.model_state) == ("model_unavailable", "loading")


def test_the_stage_takes_questions_only(stage: InferenceStage) -> None:
    with pytest.raises(TypeError, match="not SessionEnd"):
        stage.handle(SessionEnd(session="s", seq=1, t=0.0))


def test_closing_twice_closes_the_model_once(stage: InferenceStage, backend: Scripted) -> None:
    stage.close()
    stage.close()
    assert backend.closed == 1


@pytest.fixture
def config(tmp_path: Path, surgery: Surgery) -> Callable[[str], Config]:
    """A configuration for a model, with one surgery."""
    (tmp_path / "pcnl.json").write_bytes(msgspec.json.encode(surgery))

    def make(model: str) -> Config:
        return Config(inference=InferenceSection(model=model), prompt=PromptSection(machines=str(tmp_path)))

    return make


def test_a_created_stub_stage_answers(config: Callable[[str], Config], make_job: Make) -> None:
    stage = create(config("stub"))
    assert stage.load() == ModelChanged(state="ready", name="stub", label="stub")
    stage.handle(make_job())
    [completion] = run(stage)
    assert (completion.outcome, completion.model, completion.label) == ("ok", "stub", "stub")


def test_missing_weights_leave_a_stage_that_says_how_to_get_them(
    config: Callable[[str], Config], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ORSTATE_MODELS", str(tmp_path / "none"))
    stage = create(config("medgemma-4b-it-q3_k_m"))
    changed = stage.load()
    assert changed.state == "unavailable"
    assert "models fetch medgemma-4b-it-q3_k_m" in changed.error
    assert str(tmp_path / "none") in changed.error


def test_a_file_that_is_no_model_leaves_a_stage_that_names_it(config: Callable[[str], Config], tmp_path: Path) -> None:
    (tmp_path / "junk.gguf").write_bytes(b"GGUF" + bytes(1000))
    changed = create(config(str(tmp_path / "junk.gguf"))).load()
    assert changed.state == "unavailable"
    assert f"{tmp_path}/junk.gguf" in changed.error


def test_an_unknown_model_is_an_error_of_the_configuration(config: Callable[[str], Config]) -> None:
    with pytest.raises(ConfigError, match="'gpt' is not known"):
        create(config("gpt"))
