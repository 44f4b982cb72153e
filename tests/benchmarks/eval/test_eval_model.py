"""A few utterances through the real embedded model."""

from pathlib import Path

import pytest
from eval_builders import SURGERIES, utterance

from benchmarks.eval.answering import configured
from benchmarks.eval.evaluate import evaluate_utterances
from benchmarks.eval.results import Utterances
from benchmarks.eval.room import open_room
from benchmarks.eval.utterances import Utterance

SETTINGS = ("inference.model=gemma-3-270m", "inference.prefix_cache=")


@pytest.fixture
def rows(tmp_path: Path) -> list[Utterance]:
    said = (
        "Turn on the suction.",
        "Nice weather today.",
        "Stop the irrigation.",
        "Is the ventilator on?",
        "Lights off.",
    )
    return [
        utterance(tmp_path / "r.jsonl", text=text, prior=["Good morning."] * (number == 1))
        for number, text in enumerate(said)
    ]


def evaluated(rows: list[Utterance], by: str) -> Utterances:
    config = configured(by, None, SETTINGS)  # type: ignore[arg-type]
    room = open_room(config, True)
    try:
        return evaluate_utterances(rows, room, by, config.prompt, SURGERIES, lambda: None)  # type: ignore[arg-type]
    finally:
        room.close()


def test_the_real_model_says_the_same_twice_when_its_questions_are_asked_together(rows: list[Utterance]) -> None:
    alone = evaluated(rows, "llm")
    assert alone.cases == 5
    assert not any(note in failure.came for failure in alone.failures for note in ("failed", "not asked", "timeout"))
    assert evaluated(rows, "llm") == alone


def test_with_the_real_model_the_toggles_of_the_rules_are_still_published(rows: list[Utterance]) -> None:
    fused = evaluated(rows, "fused")
    assert [(f.text, [t["machine_id"] for t in f.toggles]) for f in fused.failures] == [
        ("Turn on the suction.", ["M06"]),
        ("Stop the irrigation.", ["M05"]),
        ("Lights off.", ["M09"]),
    ]
