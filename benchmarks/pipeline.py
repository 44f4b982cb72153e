"""`bench pipeline`: the machinery with the stub model, beside bare hops and a memory copy in the same run."""

import tempfile
import time
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from statistics import median, quantiles
from typing import Any

import numpy as np
import psutil

from benchmarks.hops import BareHops
from benchmarks.report import report, write
from pipeline.client import Client, States
from pipeline.console import Bar
from pipeline.launch import Launch
from pipeline.messages import Observation, SessionStart, SurgeryState, Transcript

LATENCY_ROUNDS = 5  # ours and the yardstick in turn, so that a slow moment of the machine hits both
LATENCY_MESSAGES = 300
SETTLE_MESSAGES = 50  # at the beginning of each turn, not counted: the scheduler places the processes anew
PAUSE_S = 0.002  # before each message, of ours and of the yardstick: it meets processes at rest, as in a room
THROUGHPUT_MESSAGES = 30_000
THROUGHPUT_RUNS = 3
MEMORY_MESSAGES = 100_000
IN_FLIGHT = 500
FRAMES = 100
FRAME_SHAPE = (1080, 1920, 3)
SESSION = "bench"
QUIET_S = 20.0  # without a state for so long, the missing ones are lost
LINES = (
    "the vitals look fine",
    "turn on the suction please",
    "let's have a look at the lower calyx",
    "stop the irrigation and lights off",
)


class Talk:
    """A session of the running pipeline that is fed line by line."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._seqs = count(2)
        self._t = 0.0
        self.states: States = client.states(SESSION, timeout_s=QUIET_S)
        client.publish(SessionStart(session=SESSION, seq=1, t=0.0, surgery="PCNL"))
        next(self.states)

    def say(self, step_s: float) -> int:
        """Publish the next line, `step_s` of message time later; its seq."""
        seq, self._t = next(self._seqs), self._t + step_s
        text = LINES[seq % len(LINES)]
        self._client.publish(Transcript(session=SESSION, seq=seq, t=self._t, text=text, speaker="Surgeon"))
        return seq

    def show(self, frame: np.ndarray[Any, Any]) -> int:
        """Publish an observation with a frame; its seq."""
        seq, self._t = next(self._seqs), self._t + 0.01
        message = Observation(session=SESSION, seq=seq, t=self._t, kind="event", label="frame")
        self._client.publish(message, frame)
        return seq

    def until_model(self, seq: int) -> SurgeryState:
        """The state with the model's answer to that line."""
        return next(s for s in self.states if s.based_on == seq and s.state["source"] != "rule")

    def until(self, seq: int) -> SurgeryState:
        """The first state of that input."""
        return next(s for s in self.states if s.based_on == seq)


def latency(talk: Talk) -> dict[str, Any]:
    """From the publisher to the state with the model's answer, through three processes, beside bare hops."""
    ours: list[float] = []
    bare: list[float] = []
    with BareHops() as hops:
        for _ in range(LATENCY_ROUNDS):
            bare += _measured(hops.round_trip_s)
            ours += _measured(lambda: _answer_s(talk))
    return {
        "ours_ms_median": 1e3 * median(ours),
        "ours_ms_p99": 1e3 * quantiles(ours, n=100)[-1],
        "bare_ms_median": 1e3 * median(bare),
        "bare_ms_p99": 1e3 * quantiles(bare, n=100)[-1],
    }


def _measured(measure: Callable[[], float]) -> list[float]:
    seconds = []
    for _ in range(SETTLE_MESSAGES + LATENCY_MESSAGES):
        time.sleep(PAUSE_S)
        seconds.append(measure())
    return seconds[SETTLE_MESSAGES:]


def _answer_s(talk: Talk) -> float:
    begin = time.perf_counter()
    talk.until_model(talk.say(3.0))
    return time.perf_counter() - begin


def throughput(talk: Talk, messages: int) -> dict[str, Any]:
    """Transcripts to states, with a window of unanswered ones; a state that does not come is lost."""
    begin = time.perf_counter()
    answered: set[int] = set()
    sent: list[int] = []
    states: Iterator[SurgeryState] = iter(talk.states)
    while len(answered) < messages:
        while len(sent) < messages and len(sent) - len(answered) < IN_FLIGHT:
            sent.append(talk.say(0.01))
        state = next(states, None)
        if state is None:
            break
        if state.state["source"] == "rule":
            answered.add(state.based_on)
    seconds = time.perf_counter() - begin
    return {"messages": messages, "seconds": seconds, "lost": len(set(sent) - answered)}


def frames(talk: Talk) -> dict[str, Any]:
    """A full-HD frame from `publish` to the prompt process, which has it in place, beside a plain copy of it."""
    frame = np.random.default_rng(7).integers(0, 255, FRAME_SHAPE, dtype=np.uint8)
    target = np.empty_like(frame)
    ours, copies = [], []
    for number in range(FRAMES + 10):
        begin = time.monotonic_ns()
        np.copyto(target, frame)
        copied = time.monotonic_ns()
        state = talk.until(talk.show(frame))
        if number >= 10:
            copies.append(copied - begin)
            ours.append(state.received_ns - copied)
    return {"frame_ms_median": median(ours) / 1e6, "memcpy_ms_median": median(copies) / 1e6}


def memory_mb(pid: int) -> float:
    """Resident memory of the supervisor and all its processes, shared pages counted once (USS)."""
    supervisor = psutil.Process(pid)
    total = sum(int(p.memory_full_info().uss) for p in (supervisor, *supervisor.children(recursive=True)))
    return total / 1e6


def main(path: Path | None) -> None:
    """Run all of it, print the figures, write them to `path`."""
    runs: dict[str, Any] = {}
    with tempfile.TemporaryDirectory(prefix="or-bench-") as folder:
        launch = Launch(model="stub", settings=(f"run.journal={folder!r}",))
        try:
            ready = launch.wait_ready(60)
            launch.wait_model(60)
            with Client(ready.requests) as client, Bar("bench pipeline", 3 + THROUGHPUT_RUNS, still=True) as bar:
                talk = Talk(client)
                runs["latency"] = latency(talk)
                bar.advance()
                runs["frames"] = frames(talk)
                runs["throughput"] = []
                for _ in range(THROUGHPUT_RUNS):
                    bar.advance()
                    runs["throughput"].append(throughput(talk, THROUGHPUT_MESSAGES))
                bar.advance()
                before = memory_mb(launch.pid)
                last = throughput(talk, MEMORY_MESSAGES)
                runs["memory"] = {**last, "mb_before": before, "mb_after": memory_mb(launch.pid)}
                runs["gaps"] = talk.states.gaps
        finally:
            launch.stop()
    everything = [*runs["throughput"], runs["memory"]]
    ratios = {
        "latency_vs_bare": runs["latency"]["ours_ms_median"] / runs["latency"]["bare_ms_median"],
        "transcripts_per_s": median(r["messages"] / r["seconds"] for r in runs["throughput"]),
        "lost": float(sum(r["lost"] for r in everything)),
        "memory_growth_mb": runs["memory"]["mb_after"] - runs["memory"]["mb_before"],
        "frame_vs_memcpy": runs["frames"]["memcpy_ms_median"] / runs["frames"]["frame_ms_median"],
    }
    write(report("pipeline", runs, ratios), path)
