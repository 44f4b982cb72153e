"""Sends a recorded log through a pipeline of its own and collects the states. Runs in the command's process.

At speed "max" the pipeline runs in lockstep: every question to the model waits for its answer before the next
input is read, so the same log and model give the same states.
"""

import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from statistics import median, quantiles
from typing import TypeVar

import msgspec

from pipeline import events
from pipeline.client import Client, States, keys_of
from pipeline.codec import INPUT_TYPES
from pipeline.errors import OrstateError
from pipeline.launch import Launch
from pipeline.log import Log
from pipeline.messages import Input, LLMRequest, LLMResponse, Message, Status, SurgeryState
from pipeline.restore import Journal

Result = TypeVar("Result")

MODEL_WAIT_S = 600.0
MOST_BYTES = 1 << 30  # of an input: the pipeline has judged it
POLL_S = 1.0  # between two looks whether the pipeline has ended


class Summary(msgspec.Struct, kw_only=True):
    """What a replay came to. Latencies are milliseconds from an input's arrival to its state."""

    inputs: int = 0
    accounted: int = 0
    states: int = 0
    model_answers: int = 0
    degraded: int = 0
    responses: int = 0
    dead_letters: dict[str, int] = {}
    outcomes: dict[str, int] = {}
    restarts: int = 0
    rule_latency_ms: tuple[float, float] = (0.0, 0.0)  # median, 95th percentile
    model_latency_ms: tuple[float, float] = (0.0, 0.0)
    seconds: float = 0.0
    model: str = ""
    journal: str = ""
    faults: list[str] = []
    failure: str = ""


class Replay:
    """One replay. `on_state` and `on_response` are called for each output, `on_sent` for each input sent."""

    def __init__(
        self,
        log: Log,
        launch: Launch,
        speed: float | None,
        on_state: Callable[[SurgeryState], None],
        on_response: Callable[[LLMResponse], None],
        on_sent: Callable[[int], None],
        taken: Iterable[Message] = (),
        keys: Path | None = None,
    ) -> None:
        """`keys`: the folder of ours, for a pipeline with keys. `taken`: inputs that a pipeline before this one has
        taken: they are not sent again.
        """
        self._log = log
        self._launch = launch
        self._speed = speed  # None: as fast as it goes
        self._on_state = on_state
        self._on_response = on_response
        self._on_sent = on_sent
        self._taken = Counter(taken)
        self._keys = keys
        self._outcomes: Counter[str] = Counter()
        self._latency: dict[str, list[float]] = {"rule": [], "model": []}
        self._summary = Summary(inputs=len(log.messages), faults=log.faults)

    def run(self) -> Summary:
        """Send everything and wait for the end. Raises OrstateError if the pipeline cannot be reached."""
        begin = time.monotonic()
        with Client(self._launch.wait_ready(MODEL_WAIT_S).requests, keys=self._keys, absence_s=POLL_S) as client:
            self._summary.model = self._launch.wait_model(MODEL_WAIT_S).name
            states = client.states()
            reader = threading.Thread(target=self._read, args=(states,), name="replay-states")
            reader.start()
            try:
                self._send(client)
            except OrstateError:
                if not self._launch.over:  # else its end is what is to be told
                    raise
            finally:
                self._summary.accounted -= client.unconfirmed
                code = self._launch.stop()
                states.stop()  # a final status need not come: its process may have been killed
                reader.join()
        self._finish(states.status, code, time.monotonic() - begin)
        return self._summary

    def _send(self, client: Client) -> None:
        begin = time.monotonic()
        first_t = next((m.t for m in self._log.messages if isinstance(m, Input)), 0.0)
        for number, message in enumerate(self._log.messages, 1):
            if isinstance(message, LLMRequest):
                self._on_response(self._patiently(partial(client.submit, message)))
                self._summary.responses += 1
            elif self._taken[message]:
                self._taken[message] -= 1
            else:
                if self._speed is not None:
                    time.sleep(max(0.0, begin + (message.t - first_t) / self._speed - time.monotonic()))
                self._patiently(partial(client.publish, message))
            self._summary.accounted += 1
            self._on_sent(number)
        self._patiently(client.flush)

    def _patiently(self, act: Callable[[], Result]) -> Result:
        """Do it, again if the pipeline was away: the supervisor brings it back, or ends."""
        while True:
            try:
                return act()
            except OrstateError:
                if self._launch.over:
                    raise

    def _read(self, states: States) -> None:
        for state in states:
            self._summary.states += 1
            self._summary.degraded += state.degraded
            self._outcomes[state.outcome] += 1
            by_model = state.state["source"] != "rule"
            self._summary.model_answers += by_model
            if total := state.timings.get("total"):
                self._latency["model" if by_model else "rule"].append(total)
            self._on_state(state)

    def _finish(self, status: Status | None, code: int, seconds: float) -> None:
        summary = self._summary
        summary.seconds = seconds
        summary.outcomes = dict(sorted(self._outcomes.items()))
        summary.rule_latency_ms = _percentiles(self._latency["rule"])
        summary.model_latency_ms = _percentiles(self._latency["model"])
        if status is not None:
            summary.journal = status.journal
            summary.restarts = sum(stage.restarts for stage in status.stages.values())
            summary.dead_letters = status.all_dead_letters
        stopped = next((e for e in reversed(self._launch.events) if isinstance(e, events.Stopped)), None)
        if code or stopped is None:
            summary.failure = stopped.failure if stopped else f"the pipeline {_ended(code)}"
        elif summary.accounted < summary.inputs:
            summary.failure = f"{summary.inputs - summary.accounted} of {summary.inputs} inputs are not accounted for"


def replay(
    log: Log,
    *,
    speed: float | None,
    config: Path | None = None,
    model: str | None = None,
    settings: tuple[str, ...] = (),
    on_state: Callable[[SurgeryState], None] = lambda _: None,
    on_response: Callable[[LLMResponse], None] = lambda _: None,
    on_sent: Callable[[int], None] = lambda _: None,
    on_event: Callable[[events.AnyEvent], None] = lambda _: None,
    resume: Path | None = None,
) -> Summary:
    """Replay a log through a pipeline launched for it. Raises OrstateError if that cannot be started.

    `resume`: the journal folder of a replay of that log that was cut off; what it has is not taken again.
    """
    lockstep = ("run.lockstep=true",) if speed is None else ()
    keys = keys_of(config, settings)
    taken = [message for _, message in Journal(resume, MOST_BYTES).read(*INPUT_TYPES)] if resume else []
    launch = Launch(config, model, (*settings, *lockstep), on_event=on_event, resume=resume)
    try:
        return Replay(log, launch, speed, on_state, on_response, on_sent, taken, keys).run()
    finally:
        launch.stop()


def _ended(code: int) -> str:
    return f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"


def _percentiles(values: list[float]) -> tuple[float, float]:
    if len(values) < 2:
        return (values[0], values[0]) if values else (0.0, 0.0)
    return round(median(values), 3), round(quantiles(values, n=20)[-1], 3)
