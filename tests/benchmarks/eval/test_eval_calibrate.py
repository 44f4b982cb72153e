"""Who is right where the rules and a model disagree, counted with a model that says what a test wants."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from eval_builders import SURGERIES, write_rows, write_session

import benchmarks.eval.main
import models.trust
import stages.parse.stage
import stages.prompt.stage
from benchmarks.eval.answering import configured
from benchmarks.eval.calibrate import Disagreement, concluded, measure, read_sets
from benchmarks.eval.main import calibrate
from benchmarks.eval.room import Room
from models.manifest import find_manifest
from models.trust import NO_TRUST, Trust, load_trust
from pipeline.errors import ConfigError
from pipeline.messages import Certainty, PromptJob
from stages.inference.backend import Answer
from stages.inference.stage import InferenceStage
from stages.inference.stub import StubBackend

Say = Callable[[str], dict[str, Any]]


class SureModel(StubBackend):
    """Answers with what `say` makes of what was said; as sure as told, by `sure`."""

    def __init__(self, say: Say, sure: float) -> None:
        super().__init__()
        self._say = say
        self._sure = sure
        self._asked: dict[str, PromptJob] = {}

    def admit(self, job: PromptJob) -> None:
        self._asked[job.job_id] = job
        super().admit(job)

    def step(self) -> list[Answer]:
        return [self._answer(answer.job_id) for answer in super().step()]

    def _answer(self, job_id: str) -> Answer:
        said = {"on": [], "off": [], "phase": "Phase1", "next": "Phase2", "why": "", "tips": []}
        said |= self._say(self._asked[job_id].prompt.transcript)
        certainty = Certainty(
            mean_logprob=-0.1,
            phase=self._sure,
            next_phase=0.5,
            machines=dict.fromkeys([*said["on"], *said["off"]], self._sure),
        )
        return Answer(job_id=job_id, outcome="ok", started_ns=0, text=json.dumps(said), certainty=certainty)


def room(say: Say, sure: float) -> Room:
    config = configured("fused", None, ["inference.model=stub"])
    inference = InferenceStage(config.inference, find_manifest("stub"), lambda: SureModel(say, sure))
    return Room(stages.prompt.stage.create(config), stages.parse.stage.create(config, trust=NO_TRUST), inference)


def disagreements(path: Path, say: Say, sure: float = 0.97) -> list[Disagreement]:
    config = configured("fused", None, ["inference.model=stub"])
    return measure(read_sets(path, SURGERIES), config, room(say, sure), SURGERIES, lambda: None)


def calibrated(path: Path, say: Say, sure: float = 0.97) -> Trust:
    return concluded(disagreements(path, say, sure), read_sets(path, SURGERIES), "")


def counted(trust: Trust) -> dict[str, tuple[int, int]]:
    """By kind: how often the model was right, of how many; those that never were left out."""
    return {kind: (sum(t.right), sum(t.of)) for kind, t in trust.tallies().items() if sum(t.of)}


def rows(tmp_path: Path, *fields: dict[str, Any], half: str = "tune") -> Path:
    return write_rows(tmp_path / "rows.jsonl", *({"surgery": "PCNL", "half": half, **row} for row in fields))


def says(**fields: Any) -> Say:
    return lambda _: fields


def test_a_model_is_right_where_it_hears_what_the_rules_do_not_and_wrong_where_nothing_was_meant(
    tmp_path: Path,
) -> None:
    path = rows(
        tmp_path,
        {"text": "it is murky in here", "expect_on": ["M05"]},
        {"text": "it is late", "match": "absent"},
        {"text": "who knows", "match": "contains", "expect_on": ["M06"]},  # leaves open what else
    )
    trust = calibrated(path, says(on=["M05"]), sure=0.97)
    assert counted(trust) == {"on": (1, 2)}
    assert (trust.on.right, trust.on.of) == ((0, 0, 0, 1, 0), (0, 0, 0, 2, 0))
    assert trust.sets == ("3 utterances", "0 sessions")
    assert calibrated(path, says(on=["M05"]), sure=0.6).on.of == (0, 2, 0, 0, 0)


@pytest.mark.parametrize(
    ("text", "answer", "expected", "counts"),
    [
        ("dark it must be", {"off": ["M09"]}, {"expect_off": ["M09"]}, {"off": (1, 1)}),
        ("is the suction on?", {"on": ["M06"]}, {"match": "absent"}, {"named": (0, 1)}),
        ("suction on", {"off": ["M06"]}, {"expect_on": ["M06"]}, {"contradicted": (0, 1)}),
        ("suction on", {"off": ["M06"]}, {"expect_off": ["M06"]}, {"contradicted": (1, 1)}),
        ("when I say so, suction on", {"on": ["M06"]}, {"match": "absent"}, {"contradicted": (0, 1)}),
        ("suction on", {}, {"expect_on": ["M06"]}, {"unsaid": (0, 1)}),
        ("suction on", {}, {"match": "absent"}, {"unsaid": (1, 1)}),
        ("suction on", {"on": ["M06"]}, {"expect_on": ["M06"]}, {}),
        ("dark it must not be", {"on": ["M09"]}, {"expect_on": ["M09"]}, {"on": (1, 1)}),  # it is on already
        ("dark it is", {"on": ["M09"]}, {"match": "exact"}, {"on": (0, 1)}),
        ("hello", {"phase": "Phase2"}, {"expect_phase": "Phase2"}, {"phase": (1, 1)}),
        ("hello", {"phase": "Phase3"}, {"expect_phase": "Phase2"}, {"phase": (0, 1)}),
        ("hello", {"phase": "Phase3"}, {"match": "absent"}, {}),
    ],
)
def test_each_disagreement_is_of_its_kind(
    tmp_path: Path, text: str, answer: dict[str, Any], expected: dict[str, Any], counts: dict[str, tuple[int, int]]
) -> None:
    assert counted(calibrated(rows(tmp_path, {"text": text, **expected}), says(**answer))) == counts


def test_a_disagreement_tells_where_what_was_said_and_who_was_right(tmp_path: Path) -> None:
    path = rows(
        tmp_path, {"id": "murky", "text": "suction on, it is murky", "expect_on": ["M05"], "expect_phase": "Phase2"}
    )
    assert disagreements(path, says(on=["M05"], phase="Phase3")) == [
        Disagreement(
            place="murky", said="suction on, it is murky", kind=kind, about=about, probability=sure, right=right
        )  # type: ignore[arg-type]
        for kind, about, sure, right in (
            ("beside", "M05 ON", 0.97, True),
            ("unsaid", "M06 ON", 0.0, True),
            ("phase", "Phase3", 0.97, False),
        )
    ]


def test_in_a_session_the_truth_of_the_moment_counts(tmp_path: Path) -> None:
    lines = [
        {"type": "SessionStart", "session": "a", "seq": 1, "t": 0.0, "surgery": "PCNL"},
        *(
            {"type": "Transcript", "session": "a", "seq": seq, "t": t, "text": text}
            for seq, t, text in ((2, 10.0, "good morning"), (3, 20.0, "it is murky in here"), (4, 30.0, "go on"))
        ),
        {"type": "SessionEnd", "session": "a", "seq": 5, "t": 40.0},
    ]
    truth = {
        "surgery": "PCNL",
        "half": "tune",
        "initial_on": ["M01", "M09"],
        "machines": [{"t": 20.0, "id": "M05", "state": "ON"}],
        "phases": [{"phase": "Phase1", "start_s": 0.0}, {"phase": "Phase2", "start_s": 25.0}],
    }
    folder = tmp_path / "sessions"
    folder.mkdir()
    write_session(folder, "one", lines, truth)
    write_session(folder, "other", lines, truth | {"half": "report"})
    trust = calibrated(tmp_path, says(on=["M05", "M09"], phase="Phase2"))
    assert counted(trust) == {"on": (2, 3), "phase": (1, 3)}  # nothing of it is taken: the next question finds it off
    assert trust.sets == ("0 utterances", "1 sessions")
    found = disagreements(tmp_path, says(on=["M05", "M09"], phase="Phase2"))
    places = [("one 10.0 s", "good morning"), ("one 20.0 s", "it is murky in here"), ("one 30.0 s", "go on")]
    assert list(dict.fromkeys((one.place, one.said) for one in found)) == places


def test_nothing_but_the_half_to_tune_with_is_ever_used(tmp_path: Path) -> None:
    write_rows(tmp_path / "chatter.jsonl", {"surgery": "PCNL", "text": "hello"})
    rows(tmp_path, {"text": "it is murky", "expect_on": ["M05"]}, half="report")
    with pytest.raises(ConfigError, match="nothing of half 'tune' in it"):
        read_sets(tmp_path, SURGERIES)
    with pytest.raises(ConfigError, match="no row of half 'tune'"):
        read_sets(tmp_path / "rows.jsonl", SURGERIES)


def test_the_command_writes_the_trust_and_with_json_tells_each_disagreement(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    monkeypatch.setattr(models.trust, "FOLDER", tmp_path / "trust")
    monkeypatch.setattr(benchmarks.eval.main, "open_room", lambda *_, **__: room(says(on=["M05"]), 0.97))
    path = rows(tmp_path, {"id": "a", "text": "it is murky", "expect_on": ["M05"]})
    calibrate(path, None, ["inference.model=stub"], tmp_path / "found.json", quiet=False)
    trust = load_trust("stub", folder=tmp_path / "trust")
    assert trust is not None
    found = json.loads((tmp_path / "found.json").read_text())
    assert (found["model"], counted(trust)) == ("stub", {"on": (1, 1)})
    assert [(one["place"], one["about"], one["right"]) for one in found["disagreements"]] == [("a", "M05 ON", True)]
    capfdbinary.readouterr()
    calibrate(path, None, ["inference.model=stub"], None, quiet=True)
    assert json.loads(capfdbinary.readouterr().out)["disagreements"] == found["disagreements"]
