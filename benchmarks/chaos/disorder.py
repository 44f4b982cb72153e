"""Messages that come twice, late or not at all, clocks that jump, and a model that hangs while people talk."""

import os
import signal
from pathlib import Path
from random import Random

import psutil

from benchmarks.chaos.case import Outcome, said, write_case, wrong_states
from benchmarks.chaos.kills import judged, pid_of, replay_case, settings_in, undisturbed
from benchmarks.chaos.remains import family, remains
from benchmarks.chaos.trial import Scenario, Trial
from pipeline.client import Client
from pipeline.launch import Launch
from pipeline.messages import Input, SessionEnd, SessionStart, Status, Transcript

WAIT_S = 60.0
_CLOCK = """
import random, time
_time, _time_ns, _random = time.time, time.time_ns, random.Random(%d)
time.time = lambda: _time() + _random.uniform(-86400, 86400)
time.time_ns = lambda: _time_ns() + _random.randrange(-86400 * 10**9, 86400 * 10**9)
"""


def repeated(folder: Path, random: Random) -> Trial:
    """Messages that come twice, at once or later: nothing changes, and each is counted."""
    messages = _inputs(folder)
    again = [message for message in messages if random.random() < 0.3]
    sent = list(messages)
    for message in again:
        place = sent.index(message) + 1
        sent.insert(min(len(sent), place + random.randrange(6)), message)
    outcome, status, left = _send(folder, sent)
    wrong = wrong_states(undisturbed(), outcome)
    counted = sum(status.all_dead_letters.get(reason, 0) for reason in ("repeated_message", "unknown_session"))
    problems = [] if counted == len(again) else [f"{counted:g} refused where {len(again)} came twice"]
    return _trial(f"{len(again)} messages came twice", problems, wrong, left)


def lacking(folder: Path, random: Random) -> Trial:
    """Messages that never come: each is counted as a gap, and each that came has its state."""
    messages = _inputs(folder)
    kept = [m for m in messages if isinstance(m, SessionStart | SessionEnd) or random.random() > 0.2]
    outcome, status, left = _send(folder, kept)
    due = {(message.session, message.seq) for message in kept}
    wrong = [f"no state of {key}" for key in due - outcome.states.keys()]
    wrong += [f"a state of {key}, which was not sent" for key in outcome.states.keys() - due]
    lost = len(messages) - len(kept)
    counted = status.all_dropped.get("gap", 0)
    problems = [] if counted == lost else [f"{counted:g} gaps counted where {lost} messages were lacking"]
    return _trial(f"{lost} messages never came", problems, wrong, left)


def overtaken(folder: Path, random: Random) -> Trial:
    """Messages that others of the same moment overtake: taken late and once, no gap, the same at the end."""
    sent = list(_inputs(folder))
    swapped = 0
    for place in range(len(sent) - 1):
        one, other = sent[place : place + 2]
        if one.session == other.session and one.t == other.t and random.random() < 0.7:
            sent[place : place + 2] = [other, one]
            swapped += 1
    outcome, status, left = _send(folder, sent)
    wrong = [f"no state of {key}" for key in undisturbed().states.keys() - outcome.states.keys()]
    for session in ("a", "b"):
        last = max(key for key in undisturbed().states if key[0] == session)
        if said(outcome.states[last][-1])[:2] != (due := said(undisturbed().states[last][-1])[:2]):
            wrong.append(f"session {session} ends with {said(outcome.states[last][-1])[:2]} where {due} was due")
    counted = status.all_dropped.get("gap", 0)
    problems = [f"{counted:g} gaps counted where nothing was lacking"] if counted else []
    return _trial(f"{swapped} messages were overtaken", problems, wrong, left)


def clock_jumps(folder: Path, random: Random) -> Trial:
    """The machine's clock jumps by up to a day at every look, in every process: the states are the same."""
    (folder / "sitecustomize.py").write_text(_CLOCK % random.randrange(2**31))
    before = os.environ.get("PYTHONPATH")
    os.environ["PYTHONPATH"] = f"{folder}{os.pathsep}{before}" if before else str(folder)
    try:
        log, outcome = write_case(folder / "case.mcap"), Outcome()
        summary = replay_case(log, folder, outcome)
    finally:
        if before is None:
            del os.environ["PYTHONPATH"]
        else:
            os.environ["PYTHONPATH"] = before
    problems = [summary.failure] if summary.failure else []
    return judged("the clock jumped at every look", log, outcome, Path(summary.journal), problems, [])


def talk_while_stopped(folder: Path, random: Random) -> Trial:
    """Inference hangs for as long as people talk: the rules' states come all the same, each of them."""
    lines = random.randrange(20, 60)
    launch = Launch(model="stub", settings=(*settings_in(folder), "supervision.inference_busy_s=600"))
    processes: list[psutil.Process] = []
    problems: list[str] = []
    try:
        with Client(launch.wait_ready(WAIT_S).requests) as client:
            launch.wait_model(WAIT_S)
            processes = family(launch.pid)
            states = client.states("a", timeout_s=WAIT_S)
            inference = pid_of(launch, "inference")
            os.kill(inference, signal.SIGSTOP)
            client.publish(SessionStart(session="a", seq=1, t=0.0, surgery="PCNL"))
            for n in range(lines):
                action = ("on", "off")[n % 2]
                client.publish(Transcript(session="a", seq=n + 2, t=5.0 * n, text=f"turn {action} the suction"))
            missing = set(range(1, lines + 2))
            for state in states:
                missing.discard(state.based_on)
                if not missing:
                    break
            if psutil.Process(inference).status() != psutil.STATUS_STOPPED:
                problems.append("inference was not stopped all the time")
            os.kill(inference, signal.SIGCONT)
    finally:
        code = launch.stop()
    if code:
        problems.append(f"the pipeline ended with exit code {code}")
    wrong = [f"no state of input {seq}" for seq in sorted(missing)]
    return _trial(f"inference stopped during {lines} lines", problems, wrong, remains(processes, None, launch.pid))


def _inputs(folder: Path) -> list[Input]:
    return [message for message in write_case(folder / "case.mcap").messages if isinstance(message, Input)]


def _send(folder: Path, messages: list[Input]) -> tuple[Outcome, Status, list[str]]:
    """What comes out, the last status, and what was left."""
    outcome = Outcome()
    launch = Launch(model="stub", settings=(*settings_in(folder), "run.lockstep=true"))
    try:
        with Client(launch.wait_ready(WAIT_S).requests) as client:
            launch.wait_model(WAIT_S)
            processes = family(launch.pid)
            states = client.states(timeout_s=WAIT_S)
            for message in messages:
                client.publish(message)
            client.flush()
            launch.stop()
            for state in states:
                outcome.take(state)
            status = states.status
            assert status is not None
    finally:
        launch.stop()
    return outcome, status, remains(processes, None, launch.pid)


def _trial(fault: str, problems: list[str], wrong: list[str], left: list[str]) -> Trial:
    return Trial(fault=fault, problems=(*problems, *wrong, *left), states_wrong=len(wrong), leaks=len(left))


DISORDER: dict[str, Scenario] = {
    "repeated": repeated,
    "lacking": lacking,
    "overtaken": overtaken,
    "clock-jumps": clock_jumps,
    "talk-while-stopped": talk_while_stopped,
}
