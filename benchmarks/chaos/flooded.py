"""What the floods have in common: a pipeline with the stub model, a publisher that is too fast, a quiet session.

The quiet session shows whether anybody starves: all its states must come, and be right.
"""

import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, Self

import zmq

from benchmarks.chaos import publisher
from pipeline.client import Client, States
from pipeline.codec import encode
from pipeline.launch import Launch
from pipeline.messages import SessionEnd, SessionStart, Status, SurgeryState, Transcript

WAIT_S: Final = 60.0
STATUS_S: Final = 0.2
REST_S: Final = 3 * STATUS_S  # a report is sent after one interval at most, and told after another
PAUSE_S: Final = 0.05  # between two lines of the quiet session
LINE_S: Final = 10.0  # of message time
SUCTION: Final = "M06"


@contextmanager
def pipeline(folder: Path, *settings: str) -> Iterator[tuple[Launch, Client]]:
    """A pipeline whose model is ready, and a client of it."""
    kept = (f"run.journal={str(folder / 'journal')!r}", "inference.prefix_cache=", f"supervision.status_s={STATUS_S}")
    launch = Launch(model="stub", settings=(*kept, *settings))
    try:
        launch.wait_model(WAIT_S)
        with Client(launch.wait_ready(WAIT_S).requests, WAIT_S) as client:
            yield launch, client
    finally:
        launch.stop()


def exit_code(launch: Launch) -> list[str]:
    """In words, that a pipeline that was stopped did not end as it should."""
    return [f"exit code {code}"] if (code := launch.stop()) else []


def until(client: Client, found: Callable[[Status], bool]) -> Status:
    """The first status of which that is true, or the newest one after a while: what is lacking is then told by it."""
    deadline = time.monotonic() + WAIT_S
    while not found(status := client.status()) and time.monotonic() < deadline:
        time.sleep(0.1)
    return status


def at_rest(client: Client) -> Status:
    """The status once nothing more has come in for some reports, and nothing is at work."""
    inputs, since = -1, 0.0

    def rests(status: Status) -> bool:
        nonlocal inputs, since
        if status.inputs != inputs or any(stage.queue_depth for stage in status.stages.values()):
            inputs, since = status.inputs, status.uptime_s
        return status.uptime_s - since >= REST_S

    return until(client, rests)


class Flood:
    """A publisher in a process of its own; see `benchmarks.chaos.publisher`."""

    def __init__(self, client: Client, kind: str, rate: float, seconds: float, session: str = "flood") -> None:
        words = [client.description.ingress[0], session, str(rate), str(seconds), kind]
        self._process = subprocess.Popen(
            [sys.executable, str(Path(publisher.__file__)), *words], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )

    def wait(self) -> int:
        """How many messages it has sent, once it is over."""
        assert self._process.stdout is not None
        return int(self._process.stdout.readline())

    def one_more(self) -> int:
        """Send one more message; how many it has sent then."""
        assert self._process.stdin is not None
        self._process.stdin.write(b"\n")
        self._process.stdin.flush()
        return self.wait()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.communicate()


class Quiet:
    """A session with a publisher of its own that says something now and then, while the `with` block lasts."""

    def __init__(self, client: Client, session: str = "quiet") -> None:
        self.session = session
        self.states: list[SurgeryState] = []
        self.said = 1
        self._slowest_s = 0.0
        self._sent_at: dict[int, float] = {}
        self._over = threading.Event()
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self._socket = self._context.socket(zmq.XPUB)
        self._socket.connect(client.description.ingress[0])
        self._socket.recv()
        self._subscribed: States = client.states(session, timeout_s=WAIT_S)
        self._socket.send(encode(SessionStart(session=session, seq=1, t=0.0, surgery="PCNL")))
        self._reader = threading.Thread(target=self._read, name="quiet-states")
        self._speaker = threading.Thread(target=self._speak, name="quiet-lines")

    @property
    def inputs(self) -> int:
        """Messages that were sent."""
        return self.said + 1  # and the end

    def __enter__(self) -> Self:
        self._reader.start()
        self._speaker.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._speaker.join()
        self._reader.join()
        self._context.destroy(linger=0)

    def problems(self) -> list[str]:
        """In words, what did not come, and what was not right. Call it after the `with` block."""
        of_rules = [state for state in self.states if state.state["source"] == "rule"]
        first = {state.based_on: state for state in reversed(of_rules)}
        missing = [seq for seq in range(1, self.said + 1) if seq not in first]
        wrong = [seq for seq, state in first.items() if seq <= self.said and _is_on(state) != is_on_after(seq)]
        found = (
            [f"{self.session}: no state of {len(missing)} of {self.said} lines, as of {missing[0]}"] if missing else []
        )
        found += [f"{self.session}: {len(wrong)} states are wrong, as that of line {min(wrong)}"] if wrong else []
        return found + ([f"{self.session}: {gaps} states were missed"] if (gaps := self._subscribed.gaps) else [])

    def __str__(self) -> str:
        return f"{self.session}: {self.said} lines, the slowest state after {1e3 * self._slowest_s:.0f} ms"

    def _speak(self) -> None:
        while not self._over.wait(PAUSE_S):
            self.said += 1
            text = "turn on the suction" if is_on_after(self.said) else "turn off the suction"
            line = Transcript(session=self.session, seq=self.said, t=LINE_S * self.said, speaker="Surgeon", text=text)
            self._sent_at[self.said] = time.monotonic()
            self._socket.send(encode(line))
        self._socket.send(encode(SessionEnd(session=self.session, seq=self.said + 1, t=LINE_S * self.said + 1)))

    def _read(self) -> None:
        for state in self._subscribed:
            self.states.append(state)
            if (sent := self._sent_at.get(state.based_on)) is not None and state.state["source"] == "rule":
                self._slowest_s = max(self._slowest_s, time.monotonic() - sent)
            if self._over.is_set() and state.based_on == self.said + 1:
                break


def is_on_after(seq: int) -> bool:
    """Whether the suction is on after that message of a quiet session."""
    return seq % 2 == 0


def _is_on(state: SurgeryState) -> bool:
    return SUCTION in state.state["machines"]["1"]
