"""kill -9 and SIGSTOP of each process at a random moment of a replay: what comes out is that of an undisturbed run."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from functools import cache, partial
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory

import psutil

from benchmarks.chaos.case import Outcome, gaps, lost_requests, published, write_case, wrong_states
from benchmarks.chaos.remains import family, remains
from benchmarks.chaos.trial import Scenario, Trial
from pipeline import events
from pipeline.config import ROOT
from pipeline.control import STAGES, StageName
from pipeline.launch import Launch
from pipeline.log import Log
from pipeline.messages import SurgeryState
from pipeline.replay import Replay, Summary, replay
from pipeline.verify import verify

HANG_S = 5.0  # more than a busy machine keeps a process waiting
NO_LIMITS = ("inference.prefix_cache=", "supervision.restarts_per_minute=100")


def settings_in(folder: Path) -> tuple[str, ...]:
    return (f"run.journal={str(folder / 'journal')!r}", *NO_LIMITS)


@cache
def undisturbed() -> Outcome:
    """What comes out if nothing happens."""
    with TemporaryDirectory(prefix="or-") as name:
        folder, outcome = Path(name), Outcome()
        log = write_case(folder / "case.mcap")
        summary = replay_case(log, folder, outcome)
        assert not summary.failure, summary.failure
    return outcome


def replay_case(
    log: Log,
    folder: Path,
    outcome: Outcome,
    resume: Path | None = None,
) -> Summary:
    return replay(
        log,
        speed=None,
        model="stub",
        settings=settings_in(folder),
        on_state=outcome.take,
        on_response=outcome.answers.append,
        resume=resume,
    )


def _states() -> int:
    return sum(len(states) for states in undisturbed().states.values())


def _when(random: Random) -> int:
    """After how many states the fault comes."""
    return random.randrange(1, _states())


class _Watch:
    """Acts once, when so many states have come."""

    def __init__(self, outcome: Outcome, after: int, act: Callable[[], None]) -> None:
        self._outcome = outcome
        self._left = after
        self._act = act

    def state(self, state: SurgeryState) -> None:
        self._outcome.take(state)
        self._left -= 1
        if self._left == 0:
            self._act()


def kill_stage(stage: StageName, folder: Path, random: Random) -> Trial:
    """A stage process is killed: it is started again, and nothing but a report tells of it."""
    return strike(stage, signal.SIGKILL, "killed by SIGKILL", (), folder, random)


def stop_stage(stage: StageName, folder: Path, random: Random) -> Trial:
    """A stage process hangs: it is found by its budget, killed, and started again."""
    budgets = (f"supervision.busy_s={HANG_S}", f"supervision.inference_busy_s={HANG_S}")
    return strike(stage, signal.SIGSTOP, "hung (no sign of life for", budgets, folder, random)


def strike(stage: StageName, number: int, told: str, settings: tuple[str, ...], folder: Path, random: Random) -> Trial:
    """Send a stage process a signal at a random moment of a replay. `told`: how the report of its death begins."""
    log, outcome, after = write_case(folder / "case.mcap"), Outcome(), _when(random)
    launch = Launch(model="stub", settings=(*settings_in(folder), *settings, "run.lockstep=true"))
    struck: list[int] = []

    def act() -> None:
        struck.append(pid_of(launch, stage))
        os.kill(struck[0], number)

    processes = family(launch.pid)
    try:
        watch = _Watch(outcome, after, act)
        summary = Replay(log, launch, None, watch.state, outcome.answers.append, lambda _: None).run()
        processes += family(launch.pid)
    finally:
        launch.stop()
    ready = launch.ready
    problems = [summary.failure] if summary.failure else []
    deaths = [event for event in launch.events if isinstance(event, events.StageDied)]
    if [event.pid for event in deaths] != struck or not all(event.how.startswith(told) for event in deaths):
        problems.append(f"told of {[(event.pid, event.how) for event in deaths]} where {struck} was struck")
    directory = Path(ready.directory) if ready else None
    fault = f"{signal.Signals(number).name} to {stage} after {after} states"
    left = remains(processes, directory, launch.pid)
    return judged(fault, log, outcome, Path(summary.journal), problems, left, outage=stage == "inference")


def kill_supervisor(folder: Path, random: Random) -> Trial:
    """The supervisor: the stages leave at once, the launcher says why, and `--resume` goes on."""
    log, outcome, after = write_case(folder / "case.mcap"), Outcome(), _when(random)
    launch = Launch(model="stub", settings=(*settings_in(folder), "run.lockstep=true"))
    processes: list[psutil.Process] = []

    def act() -> None:
        processes.extend(family(launch.pid))
        os.kill(launch.pid, signal.SIGKILL)

    try:
        watch = _Watch(outcome, after, act)
        summary = Replay(log, launch, None, watch.state, outcome.answers.append, lambda _: None).run()
    finally:
        launch.stop()
    problems = []
    if "killed by SIGKILL" not in summary.failure:
        problems.append(f"the report does not name the cause: {summary.failure!r}")
    ready = launch.ready
    assert ready is not None
    left = remains(processes, Path(ready.directory), launch.pid)
    return _resumed(f"kill -9 of the supervisor after {after} states", folder, log, outcome, problems, left)


def kill_launcher(folder: Path, random: Random) -> Trial:
    """The replay command: the pipeline finishes what it has and ends by itself; `--resume` goes on."""
    log, after = write_case(folder / "case.mcap"), _when(random)
    command = [sys.executable, str(ROOT / "run_pipeline.py"), "replay", str(log.path), "--model", "stub"]
    for setting in settings_in(folder):
        command += ["--set", setting]
    process = subprocess.Popen([*command, "--states", "-"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    assert process.stdout is not None
    for _, _line in zip(range(after), process.stdout, strict=False):
        pass
    processes = family(process.pid)
    process.kill()
    process.wait()
    process.stdout.close()
    supervisors = [p.pid for p in processes if "--with-launcher" in _cmdline(p)]
    left = [part for pid in supervisors for part in remains(processes[1:], None, pid)]
    return _resumed(f"kill -9 of the launcher after {after} states", folder, log, Outcome(), [], left)


def _resumed(fault: str, folder: Path, log: Log, outcome: Outcome, problems: list[str], left: list[str]) -> Trial:
    journal = next((folder / "journal").iterdir())
    summary = replay_case(log, folder, outcome, journal)
    if summary.failure:
        problems.append(f"the resumed run: {summary.failure}")
    return judged(fault, log, Outcome(published(journal).states, outcome.answers), journal, problems, left)


def pid_of(launch: Launch, stage: StageName) -> int:
    """The process of that stage that became ready last."""
    return [event.pid for event in launch.events if isinstance(event, events.StageReady) and event.stage == stage][-1]


def _cmdline(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except psutil.NoSuchProcess:
        return []


def judged(
    fault: str, log: Log, outcome: Outcome, journal: Path, problems: list[str], left: list[str], outage: bool = False
) -> Trial:
    """The trial of a case, compared with an undisturbed run. `outage`: the model was away for a time."""
    wrong = [*wrong_states(undisturbed(), outcome, outage), *gaps(outcome, journal)]
    lost = lost_requests(log, undisturbed(), outcome, journal, outage)
    broken = [f"{found.file}: {fault}" for found in verify(journal) for fault in found.faults]
    return Trial(
        fault=fault,
        problems=(*problems, *broken, *wrong, *lost, *left),
        requests_lost=len(lost),
        states_wrong=len(wrong),
        leaks=len(left),
    )


KILLS: dict[str, Scenario] = {
    **{f"kill-{stage}": partial(kill_stage, stage) for stage in STAGES},
    **{f"stop-{stage}": partial(stop_stage, stage) for stage in STAGES},
    "kill-supervisor": kill_supervisor,
    "kill-launcher": kill_launcher,
}
