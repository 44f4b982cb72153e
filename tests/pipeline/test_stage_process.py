"""How the supervisor judges a stage's process: restarts, hangs, and how it ended."""

import os
from collections.abc import Iterator
from multiprocessing.process import BaseProcess
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

from pipeline import stage_process
from pipeline.board import Board
from pipeline.config import Config, Supervision
from pipeline.control import StageName
from pipeline.segment import segment_name
from pipeline.stage import LOADING
from pipeline.stage_process import LOG_LINES, StageProcess, last_lines
from pipeline.wiring import Place

LIMITS = Supervision(restarts_per_minute=2, start_s=60, load_s=300, busy_s=10, inference_busy_s=180)
PLACE = Place(config=Config(), directory="/r", control="ipc:///r/c", segments={}, frames=(), journal="", incarnation=0)


class Clock:
    """Monotonic time that stands until it is moved."""

    now = 1000.0

    def monotonic(self) -> float:
        return self.now


class Ended:
    """A process that has ended, or ends when it is killed."""

    def __init__(self, exitcode: int | None) -> None:
        self.exitcode: int | None = None
        self.pid = 4711
        self.killed = 0
        self._then = exitcode

    def kill(self) -> None:
        self.killed += 1
        self._then = -9

    def join(self, timeout: float | None = None) -> None:
        self.exitcode = self._then

    def close(self) -> None:
        assert self.exitcode is not None


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(stage_process, "time", SimpleNamespace(monotonic=made.monotonic))
    return made


@pytest.fixture
def board() -> Iterator[Board]:
    made = Board.create(segment_name(os.getpid(), "stage-process-test"))
    yield made
    made.segment.close()
    made.segment.unlink()


def stage(name: StageName, process: Ended, state: str = "ready") -> StageProcess:
    """A stage with a process that was not really spawned."""
    made = StageProcess(name, PLACE, LIMITS)
    made._process = cast(BaseProcess, process)
    made._started_s = 1000.0
    made.state = state  # type: ignore[assignment]
    return made


def test_one_death_more_than_allowed_within_a_minute_is_too_many(clock: Clock) -> None:
    parse = StageProcess("parse", PLACE, LIMITS)
    assert [parse.may_restart() for _ in range(3)] == [True, True, False]
    assert parse.restarts == 3


def test_deaths_of_more_than_a_minute_ago_are_forgotten(clock: Clock) -> None:
    parse = StageProcess("parse", PLACE, LIMITS)
    allowed = []
    for seconds in (0.0, 30.0, 30.5, 0.5):
        clock.now += seconds
        allowed.append(parse.may_restart())
    assert allowed == [True, True, True, False]  # at 0, 30, 60.5 and 61 s


def test_after_one_death_too_many_it_rests_until_the_first_is_a_minute_ago(clock: Clock) -> None:
    inference = StageProcess("inference", PLACE, LIMITS)
    for seconds in (0.0, 10.0, 10.0):
        clock.now += seconds
        allowed = inference.may_restart()
    assert not allowed
    assert inference.rest() == 40.0
    assert inference.due_s == clock.now + 40.0
    clock.now += 40.5
    assert not inference.may_restart()  # it died at once: deaths at 10, 20 and 60.5 s
    assert inference.rest() == 9.5


def test_counters_go_on_over_a_restart_and_what_a_dead_process_held_is_not_counted(clock: Clock) -> None:
    prompt = StageProcess("prompt", PLACE, LIMITS)
    held = {
        "queue.jobs.depth": 3.0,
        "sessions_open": 2.0,
        "requests_open": 4.0,
        "questions_open": 1.0,
        "waiting_now": 5.0,
        "peak_mb_now": 300.0,
    }
    prompt.welcome()
    prompt.report({"questions": 5.0, **held})
    prompt.may_restart()
    assert prompt.counters == {"questions": 5.0}
    prompt.welcome()
    prompt.report({"questions": 1.0, **held})
    assert prompt.counters == {"questions": 6.0, **held}


def test_a_count_that_the_process_started_again_does_not_know_yet_stays(clock: Clock) -> None:
    stage = StageProcess("prompt", PLACE, LIMITS)
    stage.welcome()
    stage.report({"dead_letter.bad_message": 3.0, "sessions_open": 2.0})
    for restarts in (1, 2):
        stage.may_restart()
        stage.welcome()
        stage.report({"arrived": 1.0})
        assert stage.counters == {"dead_letter.bad_message": 3.0, "arrived": restarts}


def test_a_report_that_comes_after_its_process_has_died_is_neither_lost_nor_counted_twice(clock: Clock) -> None:
    stage = StageProcess("prompt", PLACE, LIMITS)
    stage.welcome()
    stage.report({"arrived": 5.0, "subscriptions_now": 2.0})
    told = [5.0]
    for last, first in ((7.0, 1.0), (3.0, 2.0)):
        stage.may_restart()
        stage.report({"arrived": last, "waiting_now": 4.0, "subscriptions_now": 3.0})  # it was under way
        assert "waiting_now" not in stage.counters
        assert stage.subscriptions == 3
        told.append(stage.counters["arrived"])
        stage.welcome()
        stage.report({"arrived": first})
        told.append(stage.counters["arrived"])
    assert told == [5.0, 7.0, 8.0, 10.0, 12.0]


@pytest.mark.parametrize(
    ("name", "state", "welcomed", "budget"),
    [
        ("prompt", "starting", False, 60.0),
        ("prompt", "starting", True, 60.0),
        ("inference", "starting", False, 60.0),
        ("inference", "starting", True, 300.0),
    ],
)
def test_a_stage_that_does_not_become_ready_is_killed_after_its_budget(
    clock: Clock, board: Board, name: StageName, state: str, welcomed: bool, budget: float
) -> None:
    process = Ended(None)
    starting = stage(name, process, state)
    starting.welcomed = welcomed
    clock.now = 1000.0 + budget
    starting.kill_if_hung(board)
    assert process.killed == 0
    clock.now += 0.001
    starting.kill_if_hung(board)
    starting.kill_if_hung(board)
    assert process.killed == 1
    assert starting.ended() == f"hung (not ready {budget:g} s after its start), killed by SIGKILL"


@pytest.mark.parametrize(
    ("name", "work", "budget", "words"),
    [
        ("prompt", (), 10.0, "no sign of life for 10 s"),
        ("prompt", ("Transcript",), 10.0, "no sign of life for 10 s, at work on Transcript"),
        ("inference", (), 10.0, "no sign of life for 10 s"),
        ("inference", ("j1", "j2"), 180.0, "no sign of life for 180 s, at work on j1, j2"),
    ],
)
@pytest.mark.parametrize("state", ["ready", "drained"])
def test_a_stage_that_hangs_is_killed_after_the_budget_of_its_work(
    clock: Clock, board: Board, name: StageName, work: tuple[str, ...], budget: float, words: str, state: str
) -> None:
    process = Ended(None)
    hung = stage(name, process, state)
    board.mark(name, 2_000 * 10**9, work)
    clock.now = 2000.0 + budget
    hung.kill_if_hung(board)
    assert process.killed == 0
    clock.now += 0.001
    hung.kill_if_hung(board)
    assert process.killed == 1
    assert hung.ended() == f"hung ({words}), killed by SIGKILL"


def test_a_stage_that_is_not_to_be_timed_or_is_down_is_left_alone(clock: Clock, board: Board) -> None:
    untimed, down = Ended(None), Ended(None)
    stage("prompt", untimed).kill_if_hung(board)
    board.mark("parse", 1)
    clock.now = 1e9
    stage("parse", down, "down").kill_if_hung(board)
    stage("prompt", untimed).kill_if_hung(board)
    assert (untimed.killed, down.killed) == (0, 0)


@pytest.mark.parametrize(("code", "words"), [(0, "exit code 0"), (70, "exit code 70"), (-11, "killed by SIGSEGV")])
def test_how_a_process_ended_is_said_after_waiting_for_its_exit_code(code: int, words: str) -> None:
    ended = stage("parse", Ended(code))
    assert ended.ended() == words
    assert ended.state == "down"


@pytest.mark.parametrize(
    ("code", "killed_since", "hung", "words"),
    [
        (-9, 0, "", "killed by SIGKILL"),
        (-9, 1, "", "killed by SIGKILL, probably for want of memory"),
        (-9, 1, "hung (no sign of life for 10 s), ", "hung (no sign of life for 10 s), killed by SIGKILL"),
        (-6, 1, "", "killed by SIGABRT"),
    ],
)
def test_a_kill_while_the_kernel_ran_out_of_memory_says_so(
    monkeypatch: pytest.MonkeyPatch, code: int, killed_since: int, hung: str, words: str
) -> None:
    ended = stage("inference", Ended(code))
    ended._oom_kills, ended._hung = 7, hung
    monkeypatch.setattr(stage_process, "_oom_kills", lambda: 7 + killed_since)
    assert ended.ended().startswith(words)
    assert ("memory" in ended.ended()) == ("memory" in words)


def test_a_model_that_is_loaded_again_has_the_time_of_loading(clock: Clock, board: Board) -> None:
    process = Ended(None)
    again = stage("inference", process)
    board.mark("inference", 2_000 * 10**9, (LOADING,))
    clock.now = 2000.0 + LIMITS.load_s
    again.kill_if_hung(board)
    assert process.killed == 0
    clock.now += 0.001
    again.kill_if_hung(board)
    assert process.killed == 1


def test_a_stage_that_does_not_leave_is_killed_and_a_second_stop_is_no_error() -> None:
    process = Ended(None)
    stubborn = stage("parse", process, "drained")
    stubborn.stop(0.0)
    stubborn.stop(0.0)
    assert (process.killed, stubborn.state, stubborn.pid) == (1, "stopped", 0)


def test_a_stage_that_leaves_is_not_killed() -> None:
    process = Ended(0)
    stage("parse", process, "drained").stop(1.0)
    assert process.killed == 0


def test_the_last_lines_of_a_log_are_told_whatever_bytes_are_in_it(tmp_path: Path) -> None:
    log = tmp_path / "parse.log"
    assert last_lines(log) == []
    log.write_bytes(b"\n".join(b"line %d" % n for n in range(50)) + b" \xff")
    assert last_lines(log) == [f"line {n}" for n in range(50 - LOG_LINES, 49)] + ["line 49 \ufffd"]


def test_a_process_that_reads_a_long_journal_at_its_start_is_not_hung_while_it_reads(
    clock: Clock, board: Board
) -> None:
    process = Ended(None)
    starting = stage("prompt", process, "starting")
    clock.now = 1000.0 + 10 * LIMITS.start_s
    board.mark("prompt", round((clock.now - 1.0) * 1e9))
    starting.kill_if_hung(board)
    assert process.killed == 0
    clock.now += LIMITS.start_s
    starting.kill_if_hung(board)
    assert starting.ended() == "hung (no sign of life for 60 s at its start), killed by SIGKILL"
