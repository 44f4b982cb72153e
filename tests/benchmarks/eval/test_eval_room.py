"""The stages without processes, with a model that says what a test wants."""

import json
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest
from eval_builders import SURGERIES, utterance

import stages.parse.stage
import stages.prompt.stage
from benchmarks.eval.answering import By, came_of, configured
from benchmarks.eval.evaluate import as_session, evaluate_utterances
from benchmarks.eval.judging import Came
from benchmarks.eval.results import Utterances
from benchmarks.eval.room import Course, Room, open_room
from benchmarks.eval.utterances import Utterance
from models.manifest import find_manifest
from pipeline.config import PromptSection
from pipeline.errors import OrstateError
from pipeline.messages import Input, Observation, PromptJob, SessionEnd, SessionStart, Transcript
from stages.inference.backend import Answer
from stages.inference.stage import InferenceStage
from stages.inference.stub import StubBackend

Say = Callable[[PromptJob], dict[str, Any]]


class Model(StubBackend):
    """Answers with what `say` makes of a question; remembers which questions it answered at one go."""

    def __init__(self, say: Say) -> None:
        super().__init__()
        self._say = say
        self._admitted: dict[str, PromptJob] = {}
        self.asked: deque[list[PromptJob]] = deque()

    def admit(self, job: PromptJob) -> None:
        self._admitted[job.job_id] = job
        super().admit(job)

    def step(self) -> list[Answer]:
        answers = super().step()
        self.asked.append([self._admitted[answer.job_id] for answer in answers])
        return [
            Answer(job_id=job.job_id, outcome="ok", started_ns=0, text=json.dumps(self._say(job)))
            for job in self.asked[-1]
        ]


def says(on: str = "", off: str = "", phase: str = "Phase1") -> dict[str, Any]:
    return {"on": on.split(), "off": off.split(), "phase": phase, "next": "Phase2", "why": "", "tips": []}


def room(by: By, model: Model, together: int = 4) -> Room:
    config = configured(by, None, ["inference.model=stub"])
    inference = InferenceStage(config.inference, find_manifest("stub"), lambda: model)
    return Room(stages.prompt.stage.create(config), stages.parse.stage.create(config), inference, together)


def run(sessions: Sequence[Sequence[Input]], by: By, say: Say) -> list[Course]:
    return list(room(by, Model(say)).run(sessions))


def came(row: Utterance, by: By, say: Say) -> Came:
    session = as_session(row, 5.0)
    [course] = run([session], by, say)
    return came_of(course, session[-2].seq, SURGERIES[row.surgery], by)


def evaluated(rows: Sequence[Utterance], by: By, room: Room) -> Utterances:
    return evaluate_utterances(rows, room, by, PromptSection(), SURGERIES, lambda: None)


def switched(came: Came) -> list[tuple[str, str]]:
    return [(toggle["machine_id"], toggle["action"]) for toggle in came.toggles]


def test_a_row_becomes_a_session_with_its_phase_and_its_earlier_lines(tmp_path: Path) -> None:
    row = utterance(tmp_path / "r.jsonl", text="suction off", prior=["suction on", "thanks"], phase="Phase4")
    session = as_session(row, 6.0)
    assert [type(message) for message in session] == [SessionStart, Observation, *[Transcript] * 3, SessionEnd]
    assert [message.seq for message in session] == [1, 2, 3, 4, 5, 6]
    assert [message.t for message in session] == [0.0, 0.0, 6.0, 12.0, 18.0, 18.0]


def test_what_the_earlier_lines_switched_does_not_count(tmp_path: Path) -> None:
    row = utterance(tmp_path / "r.jsonl", text="suction on", prior=["irrigation on", "suction on"], phase="Phase4")
    session = as_session(row, 6.0)
    [course] = open_room(configured("rule", None, []), False).run([session])
    published = came_of(course, session[-2].seq, SURGERIES["PCNL"], "rule")
    assert switched(published) == [("M06", "ON")]
    assert published.phase == "Phase4"


def test_as_published_counts_what_the_rules_say_and_what_of_the_model_is_applied(tmp_path: Path) -> None:
    row = utterance(tmp_path / "r.jsonl", text="suction on")
    published = came(row, "fused", lambda _: says(on="M05", off="M06", phase="Phase3") | {"confidence": 0.9})
    assert switched(published) == [("M06", "ON")]  # by default a machine that only the model would switch is shown
    assert published.phase == "Phase3"


def test_alone_the_model_is_asked_without_the_rules_and_counts_by_its_own_words(tmp_path: Path) -> None:
    row = utterance(tmp_path / "r.jsonl", text="suction on")
    model = Model(lambda _: says(on="M01 M05", phase="Phase2"))
    session = as_session(row, 5.0)
    [course] = room("llm", model).run([session])
    alone = came_of(course, session[-2].seq, SURGERIES["PCNL"], "llm")
    assert switched(alone) == [("M01", "ON"), ("M05", "ON")]  # M01 was on already: it said so all the same
    assert (alone.phase, alone.whole) == ("Phase2", False)
    assert model.asked[0][0].rules.machines["M06"] == "OFF"  # no rule told it the answer


def test_alone_the_models_toggles_are_what_its_next_question_tells_it(tmp_path: Path) -> None:
    row = utterance(tmp_path / "r.jsonl", text="and now?", prior=["suction on"])
    model = Model(lambda job: says(on="M06") if "now" not in job.prompt.transcript else says())
    session = as_session(row, 5.0)
    [course] = room("llm", model).run([session])
    assert [job.rules.machines["M06"] for [job] in model.asked] == ["OFF", "ON"]
    assert "M06" in course.states[-1].state["machines"]["1"]


def test_an_answer_that_is_none_switches_nothing_and_says_why(tmp_path: Path) -> None:
    alone = came(utterance(tmp_path / "r.jsonl", text="suction on"), "llm", lambda _: {"phase": "Phase9"})
    assert (alone.toggles, alone.phase) == ((), "")
    assert alone.note.startswith("schema_failed: phase 'Phase9' is none of PCNL")


def test_questions_of_several_sessions_are_asked_together_and_results_keep_the_order_of_the_rows(
    tmp_path: Path,
) -> None:
    texts = ("one", "two", "three", "four", "five")
    rows = [utterance(tmp_path / "r.jsonl", text=text, prior=["before"] * (text == "one")) for text in texts]
    model = Model(lambda job: says(on="M05" if "five" in job.prompt.transcript else ""))
    courses = list(room("fused", model).run([as_session(row, 5.0) for row in rows]))
    assert max(map(len, model.asked)) == 4
    assert sum(map(len, model.asked)) == 6
    heard = [[answer.rules.seq for answer in course.answers] for course in courses]
    assert heard == [[2, 3], [2], [2], [2], [2]]


def test_a_question_is_answered_before_the_sessions_next_line_is_heard(tmp_path: Path) -> None:
    row = utterance(tmp_path / "r.jsonl", text="c", prior=["a", "b"])
    [course] = run([as_session(row, 5.0)], "fused", lambda _: says())
    sources = [(state.based_on, state.state["source"]) for state in course.states]
    assert sources == [
        (1, "rule"),
        *((seq, source) for seq in (2, 3, 4) for source in ("rule", "rule+stub")),
        (5, "rule"),
    ]


def test_an_input_that_cannot_be_taken_is_told_and_the_session_goes_on(tmp_path: Path) -> None:
    start, line, end = as_session(utterance(tmp_path / "r.jsonl", text="suction on"), 5.0)
    seen = Observation(session="row", seq=2, t=1.0, kind="machine", label="M42", value="ON")
    [course] = run([[start, seen, _numbered(line, 3), _numbered(end, 4)]], "fused", lambda _: says())
    assert [text for text in course.refused if "PCNL has no machine 'M42'" in text] == course.refused != []
    assert "M06" in course.states[-1].state["machines"]["1"]


def test_a_model_that_cannot_be_loaded_is_an_error() -> None:
    config = configured("fused", None, ["inference.model='/nowhere/none.gguf'"])
    with pytest.raises(OrstateError, match=r"/nowhere/none\.gguf"):
        open_room(config, True)


def test_failures_tell_the_words_and_chatter_that_switches_is_counted(tmp_path: Path) -> None:
    rows = [
        utterance(tmp_path / "r.jsonl", id="good", text="suction on", expect_on=["M06"], category="commands"),
        utterance(tmp_path / "r.jsonl", id="bad", text="suction on", expect_off=["M06"], category="commands"),
        utterance(tmp_path / "r.jsonl", id="talk", text="suction on and irrigation on"),
    ]
    result = evaluated(rows, "rule", open_room(configured("rule", None, []), False))
    assert (result.cases, result.passed, result.accuracy) == (3, 1, pytest.approx(1 / 3))
    assert result.by_category["commands"].accuracy == 0.5
    assert result.by_category["chatter"].passed == 0
    assert (result.silent_cases, result.false_toggles) == (1, 2)
    assert [failure.id for failure in result.failures] == ["bad", "talk"]
    assert "suction" in result.failures[0].toggles[0]["trigger"]


def test_the_same_rows_give_the_same_result_twice(tmp_path: Path) -> None:
    rows = [utterance(tmp_path / "r.jsonl", text=f"suction {way}", expect_on=["M06"]) for way in ("on", "off", "?")]
    first, second = (evaluated(rows, "fused", room("fused", Model(lambda job: says(phase="Phase2")))) for _ in range(2))
    assert first == second


def _numbered(message: Input, seq: int) -> Input:
    return msgspec.structs.replace(message, seq=seq)
