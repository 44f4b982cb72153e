"""What a launcher hears."""

import msgspec
import pytest

from pipeline.events import (
    EVENTS,
    DeadLettered,
    Event,
    JournalChanged,
    JournalsRemoved,
    Model,
    Ready,
    StageDied,
    StageReady,
    Stopped,
)
from pipeline.messages import Description

DESCRIPTION = Description(ingress=("ipc:///r/ingress",), states="ipc:///r/states", frames=("ring",), version="0.1.0")
TOLD: list[tuple[Event, str, str]] = [
    (
        Ready(pid=7, directory="/r", requests="ipc:///r/requests", journal="", description=DESCRIPTION),
        "ready",
        "ready: requests at ipc:///r/requests, states at ipc:///r/states",
    ),
    (Model(state="ready", name="gemma", label="l"), "model", "model gemma: ready"),
    (
        Model(state="unavailable", name="", label="", error="no file"),
        "model",
        "model: unavailable: no file",
    ),
    (
        StageDied(stage="inference", pid=9, how="killed by SIGKILL", at_work=("a", "b"), log=("one", "two")),
        "stage_died",
        "inference process 9 died at work on a, b: killed by SIGKILL\n    one\n    two",
    ),
    (
        StageDied(stage="parse", pid=9, how="exit code 1", at_work=(), log=()),
        "stage_died",
        "parse process 9 died: exit code 1",
    ),
    (StageReady(stage="parse", pid=9, restarts=0), "stage_ready", "parse process 9 ready"),
    (StageReady(stage="parse", pid=9, restarts=2), "stage_ready", "parse process 9 ready after restart 2"),
    (
        DeadLettered(reason="bad_message", error="no JSON", source="ingress"),
        "dead_letter",
        "dead letter (bad_message) at ingress: no JSON",
    ),
    (
        JournalChanged(stage="prompt", error="/j/1: cannot be written: No space left on device", lost=0),
        "journal",
        "journal of the prompt process: /j/1: cannot be written: No space left on device; nothing is lost, the "
        "pipeline goes on and tries again",
    ),
    (
        JournalChanged(stage="parse", error="", lost=7),
        "journal",
        "journal of the parse process: is written again, 7 records are lost",
    ),
    (
        JournalsRemoved(folders=("/j/1", "/j/2")),
        "journals_removed",
        "removed by run.keep_days and run.keep_mb: /j/1, /j/2",
    ),
    (Stopped(failure="", journal=""), "stopped", "stopped, all work done"),
    (Stopped(failure="late", journal="/j"), "stopped", "stopped: late; journal in /j"),
]


@pytest.mark.parametrize(("event", "tag", "sentence"), TOLD)
def test_each_event_is_one_line_of_json_and_comes_back_as_it_was(event: Event, tag: str, sentence: str) -> None:
    line = msgspec.json.encode(event)
    assert b"\n" not in line
    assert msgspec.json.decode(line)["event"] == tag
    assert EVENTS.decode(line) == event


@pytest.mark.parametrize(("event", "tag", "sentence"), TOLD)
def test_each_event_has_a_sentence_for_a_person(event: Event, tag: str, sentence: str) -> None:
    assert event.sentence() == sentence


def test_every_kind_of_event_is_tried_here() -> None:
    assert {type(event) for event, _, _ in TOLD} == set(Event.__subclasses__())
