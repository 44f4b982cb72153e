"""Metrics made of a status and of states, without a pipeline."""

from typing import Any

import pytest

from pipeline import room
from pipeline.errors import ConfigError
from pipeline.messages import ModelWork, StageStatus, Status, SurgeryState
from pipeline.metrics import Metrics
from pipeline.metrics_server import Server, address, healthy, ready


def status(**fields: Any) -> Status:
    stage = StageStatus(state="ready", pid=1, restarts=2, queue_depth=3, counters={})
    known = {"model": "m", "label": "l", "model_state": "ready", "model_error": "", **fields}
    return Status(**{"stages": {"prompt": stage, "parse": stage}, **known})


def test_what_the_model_did_is_told_as_a_histogram_and_as_counts() -> None:
    metrics = Metrics()
    work = ModelWork(batches={1: 5, 2: 0, 4: 2}, prompt_tokens=900, reused_tokens=700, answer_tokens=51)
    metrics.status(status(work=work, dropped={"event": 4}))
    told = metrics.registry.get_sample_value
    assert [told("orstate_batch_size_bucket", {"le": le}) for le in ("1", "2", "4", "+Inf")] == [5, 5, 7, 7]
    assert (told("orstate_batch_size_sum"), told("orstate_batch_size_count")) == (13, 7)
    assert (told("orstate_prompt_tokens_total"), told("orstate_reused_tokens_total")) == (900, 700)
    assert told("orstate_dropped_total", {"process": "supervisor", "cause": "event"}) == 4
    assert told("orstate_queue_depth", {"process": "parse"}) == 3


def test_latency_is_in_seconds_by_part_and_by_who_answered() -> None:
    metrics = Metrics()
    for source, timings in (("rule", {"total": 1.5}), ("rule+m", {"total": 800.0, "inference": 700.0})):
        metrics.state(
            SurgeryState(
                session="or1",
                seq=1,
                t=0.0,
                based_on=1,
                outcome="ok",
                degraded=False,
                state={"source": source},
                timings=timings,
            )
        )
    told = metrics.registry.get_sample_value
    assert told("orstate_latency_seconds_sum", {"part": "total", "by": "rule"}) == pytest.approx(0.0015)
    assert told("orstate_latency_seconds_sum", {"part": "inference", "by": "model"}) == pytest.approx(0.7)


def test_a_pipeline_that_ended_or_fell_silent_is_not_up(monkeypatch: pytest.MonkeyPatch) -> None:
    metrics = Metrics()
    told = metrics.registry.get_sample_value
    assert told("orstate_up") == 0
    metrics.status(status())
    assert (told("orstate_up"), told("orstate_degraded")) == (1, 0)
    monkeypatch.setattr(room, "LATE_S", -1.0)
    assert (told("orstate_up"), told("orstate_degraded")) == (0, None)
    monkeypatch.undo()
    assert told("orstate_up") == 1
    metrics.status(status(final=True))
    assert told("orstate_up") == 0


def test_it_is_ready_with_prompt_and_parse_whatever_the_model_does() -> None:
    stage = StageStatus(state="starting", pid=1, restarts=0, counters={})
    loading = status(model_state="loading", degraded="the model is loading")
    assert ready(loading)[0]
    assert ready(loading)[1]["degraded"] == "the model is loading"
    assert not ready(status(stages={"prompt": loading.stages["prompt"], "parse": stage}))[0]
    assert not ready(status(stages={}))[0]
    assert (ready(None)[0], healthy(None)[0], healthy(loading)[0]) == (False, False, True)


@pytest.mark.parametrize("wrong", ["", "9464", "localhost", "x:", ":9464", "x:70000", "x:-1", "x:²"])
def test_what_is_no_address_is_refused(wrong: str) -> None:
    with pytest.raises(ConfigError, match="no address to listen at"):
        address(wrong)


def test_an_address_that_is_taken_is_told() -> None:
    with Server("127.0.0.1:0", Metrics()) as server:
        taken = server.url.removeprefix("http://")
        with pytest.raises(ConfigError, match=f"{taken}: cannot be listened at: Address already in use"):
            Server(taken, Metrics())
