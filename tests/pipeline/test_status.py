"""The one status message: what the supervisor makes of the stages' reports."""

import os
import re
import time
from collections.abc import Iterator
from multiprocessing.process import BaseProcess
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest
from rich.console import Console

from pipeline import status as status_module
from pipeline.config import ROOT, Config
from pipeline.control import STAGES, StageName
from pipeline.messages import DROPS, ModelChanged, ModelWork, Status
from pipeline.stage_process import StageProcess
from pipeline.status import Overview
from pipeline.status_table import status_table
from pipeline.wiring import Place

PLACE = Place(config=Config(), directory="/r", control="ipc:///r/c", segments={}, frames=(), journal="", incarnation=0)
READY = ModelChanged(state="ready", name="m", label="l")


class Clock:
    """Both clocks, which stand until they are moved."""

    now = 5000.0

    def monotonic(self) -> float:
        return self.now

    def time(self) -> float:
        return 1.8e9 + self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Iterator[Clock]:
    made = Clock()
    monkeypatch.setattr(status_module, "time", SimpleNamespace(monotonic=made.monotonic, time=made.time))
    return made  # type: ignore[return-value]


def ready_stages() -> dict[StageName, StageProcess]:
    """Three stages, each of which is this process."""
    stages = {name: StageProcess(name, PLACE, Config().supervision) for name in STAGES}
    for stage in stages.values():
        stage._process = cast(BaseProcess, SimpleNamespace(pid=os.getpid(), exitcode=None))
        stage.state = "ready"
        stage.welcome()
    return stages


def test_fields_are_filled_from_counters_by_their_names_and_zeros_are_left_out() -> None:
    stages = ready_stages()
    stages["prompt"].report(
        {"arrived": 9.0, "dropped.gap": 4.0, "dropped.damaged": 0.0, "dead_letter.bad_message": 2.0,
         "answer.rejected": 1.0, "sessions_open": 3.0, "questions_open": 2.0, "requests_open": 1.0,
         "queue.jobs.depth": 5.0, "other": 7.0}
    )  # fmt: skip
    stages["inference"].report(
        {"queue.completions.depth": 2.0, "batch_1": 4.0, "batch_2": 0.0, "batch_10": 1.0, "reused_tokens": 700.0,
         "inference_ms": 1500.0}
    )  # fmt: skip
    stages["parse"].report({"outcome.ok": 6.0, "outcome.timeout": 1.0, "answer.ok": 2.0, "dropped.gap": 1.0})
    overview = Overview("")
    overview.dropped["event"] = 3
    status = overview.status(stages, READY)
    assert (status.inputs, status.sessions_open, status.questions_open, status.requests_open) == (9, 3, 2, 1)
    assert (status.outcomes, status.answers) == ({"ok": 6, "timeout": 1}, {"ok": 2, "rejected": 1})
    assert [stage.queue_depth for stage in status.stages.values()] == [0, 5, 2]
    assert status.stages["prompt"].dropped == {"gap": 4}
    assert status.work == ModelWork(batches={1: 4, 2: 0, 10: 1}, reused_tokens=700, busy_s=1.5)
    assert status.all_dropped == {"event": 3, "gap": 5}
    assert status.all_dead_letters == status.stages["prompt"].dead_letters == {"bad_message": 2}
    assert status.stages["prompt"].counters["other"] == 7.0
    assert min(status.memory_bytes, status.stages["parse"].memory_bytes) > 1e6


def test_it_is_degraded_since_the_first_moment_of_it_and_says_why(clock: Clock) -> None:
    stages, overview = ready_stages(), Overview("")
    stages["prompt"].state = "starting"
    clock.now += 3.0
    status = overview.status(stages, ModelChanged(state="loading"))
    assert status.degraded == "the prompt process is starting; the model is loading"
    assert (status.degraded_since, status.started_at, status.uptime_s) == (1.8e9 + 5000.0, 1.8e9 + 5000.0, 3.0)
    stages["prompt"].state = "ready"
    whole = overview.status(stages, READY)
    assert (whole.degraded, whole.degraded_since) == ("", None)
    clock.now += 10.0
    down = ModelChanged(state="down", error="it died")
    assert overview.status(stages, down).degraded_since == 1.8e9 + 5013.0
    clock.now += 10.0
    later = overview.status(stages, down)
    assert (later.degraded, later.degraded_since) == ("the model is down: it died", 1.8e9 + 5013.0)


def test_the_age_of_the_last_result_goes_on_when_parse_is_started_again(clock: Clock) -> None:
    stages, overview = ready_stages(), Overview("")
    assert overview.status(stages, READY).last_state_age_s is None
    stages["parse"].report({"last_state_now": 4998.0, "last_answer_now": 4990.0})
    told = overview.status(stages, READY)
    assert (told.last_state_age_s, told.last_answer_age_s) == (2.0, 10.0)
    stages["parse"].may_restart()
    stages["parse"].welcome()
    stages["parse"].report({"last_state_now": 0.0, "last_answer_now": 0.0})
    clock.now += 1.0
    again = overview.status(stages, READY)
    assert (again.last_state_age_s, again.last_answer_age_s) == (3.0, 11.0)


def test_the_size_of_the_journal_is_that_of_its_files(tmp_path: Path) -> None:
    (tmp_path / "inputs-1.mcap").write_bytes(b"x" * 100)
    (tmp_path / "outputs-1.mcap").write_bytes(b"x" * 11)
    assert Overview(str(tmp_path)).status(ready_stages(), READY).journal_bytes == 111
    assert Overview(str(tmp_path / "gone")).status(ready_stages(), READY).journal_bytes == 0


def test_every_cause_that_is_counted_by_name_is_told_in_words() -> None:
    sources = [path.read_text() for folder in ("pipeline", "stages") for path in (ROOT / folder).rglob("*.py")]
    counted = set(re.findall(r'"dropped\.(\w+)"', "".join(sources)))
    assert len(counted) > 8
    assert counted <= set(DROPS)


def shown(status: Status) -> str:
    console = Console(width=200)
    with console.capture() as text:
        console.print(status_table(status))
    return text.get()


def test_a_person_sees_why_it_is_degraded_and_what_was_dropped_in_words() -> None:
    stages = ready_stages()
    stages["prompt"].report({"dropped.gap": 12.0, "dead_letter.unknown_session": 3.0})
    stages["parse"].report({"outcome.ok": 4.0, "last_state_now": time.monotonic() - 90.0})
    text = shown(Overview("/j[1]").status(stages, ModelChanged(state="down", error="killed by [SIGKILL]")))
    assert "DEGRADED, since" in text
    assert "the model is down: killed by [SIGKILL]" in text
    assert "gap 12: inputs that a publisher counted and that never came" in text
    assert "unknown_session 3" in text
    assert "ok 4; the newest 0:01:3" in text
    assert "/j[1], 0.0 MB" in text
