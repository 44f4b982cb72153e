"""What supervisor and stages say to each other, and the fingerprint of all types."""

import subprocess
import sys
from typing import Annotated

import msgspec
import pytest

from pipeline import control, messages
from pipeline.codec import encode
from pipeline.config import ROOT
from pipeline.messages import DeadLetter, Message, ModelChanged, StageStatus, Status

STATUS = Status(
    model="m",
    label="l",
    model_state="ready",
    model_error="",
    stages={"prompt": StageStatus(state="ready", pid=1, restarts=0, counters={"arrived": 1.0})},
)
FROM_STAGE: list[Message] = [
    control.Hello(pid=1, schema="x"),
    control.Ready(),
    ModelChanged(state="unavailable", error="no file"),
    control.Report(counters={"arrived": 2.0}),
    control.Notice(letter=DeadLetter(reason="bad_message", error="e", source="ingress")),
    control.Drained(),
]
TO_STAGE: list[Message] = [
    control.Welcome(model=ModelChanged(state="loading"), subscriptions=2),
    control.Peer(stage="inference", state="down", at_work=("a", "b")),
    ModelChanged(state="ready"),
    control.Publish(status=STATUS),
    control.Drain(),
    control.Stop(),
]


@pytest.mark.parametrize("message", FROM_STAGE, ids=lambda m: type(m).__name__)
def test_what_a_stage_says_comes_back_as_it_was(message: Message) -> None:
    assert control.FROM_STAGE.decode(encode(message)) == message


@pytest.mark.parametrize("message", TO_STAGE, ids=lambda m: type(m).__name__)
def test_what_the_supervisor_says_comes_back_as_it_was(message: Message) -> None:
    assert control.TO_STAGE.decode(encode(message)) == message


def test_a_stage_cannot_tell_the_supervisor_to_stop() -> None:
    with pytest.raises(msgspec.ValidationError):
        control.FROM_STAGE.decode(encode(control.Stop()))


@pytest.mark.parametrize(
    ("seed", "first"), [("0", "pipeline.messages"), ("1", "pipeline.config"), ("1", "stages.surgery")]
)
def test_the_schema_hash_is_the_same_in_every_process_whatever_it_imported_first(seed: str, first: str) -> None:
    code = f"import {first}; from pipeline.control import schema_hash; print(schema_hash())"
    run = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        cwd=ROOT,
        env={"PYTHONHASHSEED": seed},
    )
    assert run.stdout.strip() == control.schema_hash()


def _hash_with(monkeypatch: pytest.MonkeyPatch, where: object, kind: type) -> str:
    with monkeypatch.context() as patch:
        patch.setattr(where, kind.__name__, kind, raising=False)
        return control.schema_hash()


@pytest.mark.parametrize("where", [messages, control], ids=["messages", "control"])
def test_the_schema_hash_changes_with_a_field_a_bound_a_default_and_a_type(
    monkeypatch: pytest.MonkeyPatch, where: object
) -> None:
    def probe(of: object, **default: object) -> type:
        field = ("value", of, default["value"]) if default else ("value", of)
        return msgspec.defstruct("Probe", [field], bases=(Message,), frozen=True, kw_only=True)

    hashes = [
        control.schema_hash(),
        _hash_with(monkeypatch, where, probe(int)),
        _hash_with(monkeypatch, where, probe(str)),
        _hash_with(monkeypatch, where, probe(int, value=3)),
        _hash_with(monkeypatch, where, probe(Annotated[int, msgspec.Meta(le=9)])),
        _hash_with(monkeypatch, where, probe(Annotated[int, msgspec.Meta(le=10)])),
    ]
    assert len(set(hashes)) == len(hashes)
    assert control.schema_hash() == hashes[0]
