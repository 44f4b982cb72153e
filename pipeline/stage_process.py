"""A stage's process from outside, as the supervisor holds it."""

import multiprocessing
import signal
import time
from collections import deque
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Literal

import msgspec

from pipeline import process
from pipeline.board import Board
from pipeline.config import Supervision
from pipeline.control import StageName
from pipeline.stage import LOADING
from pipeline.wiring import Place

LOG_LINES = 8
NOW = ("depth", "_open", "_now")  # so end the names of counters that say what is, not what was since the start
WANT_OF_MEMORY = ", probably for want of memory: the kernel has ended a process for that since it was started"
_spawn = multiprocessing.get_context("spawn")


class StageProcess:
    """One stage: started, watched and started again."""

    def __init__(self, name: StageName, place: Place, supervision: Supervision) -> None:
        self.name = name
        self.state: Literal["starting", "ready", "down", "drained", "stopped"] = "stopped"
        self.welcomed = False
        self.restarts = 0
        self.counters: dict[str, float] = {}
        self._before: dict[str, float] = {}  # what the processes before this one counted
        self._place = place
        self._supervision = supervision
        self._process: BaseProcess | None = None
        self._started_s = 0.0
        self._recent: deque[float] = deque()
        self._hung = ""
        self.subscriptions = 0  # that the process has, or the one before it had when it died
        self._oom_kills = 0
        self.due_s: float | None = None  # monotonic: it is started again then, after too many deaths

    @property
    def pid(self) -> int:
        """The process id, or 0."""
        return (self._process.pid or 0) if self._process is not None else 0

    @property
    def sentinel(self) -> int:
        """A descriptor that becomes readable when the process ends."""
        assert self._process is not None
        return self._process.sentinel

    def start(self) -> None:
        """Spawn the process."""
        place = msgspec.structs.replace(self._place, incarnation=self._place.incarnation + self.restarts)
        self._process = _spawn.Process(
            target=process.main, args=(self.name, msgspec.json.encode(place)), name=f"orstate-{self.name}"
        )
        self.state, self.welcomed, self._started_s, self._hung = "starting", False, time.monotonic(), ""
        self.due_s = None
        self._oom_kills = _oom_kills()
        self._process.start()

    def welcome(self) -> None:
        """The process that was started has come: what is reported from now on is its own."""
        self.welcomed = True
        self._before = self.counters

    def report(self, counters: dict[str, float]) -> None:
        """New counters of the process; what its predecessors counted is added.

        What they counted and it has not met yet stays as it was: a count never goes back. Before the process is
        welcomed a report is the last one of the process before it, which was still under way when that died.
        """
        self.subscriptions = int(counters.get("subscriptions_now", 0))
        counted = counters if self.welcomed else _counted(counters)
        self.counters = {
            **self._before,
            **{name: value + self._before.get(name, 0.0) for name, value in counted.items()},
        }

    @property
    def misconfigured(self) -> bool:
        """It ended because its configuration is wrong: starting it again would not help."""
        return self._process is not None and self._process.exitcode == process.BAD_CONFIGURATION

    def may_restart(self) -> bool:
        """Note a restart now; False if it is one too many within a minute, or if it would not help."""
        now = time.monotonic()
        self._recent.append(now)
        while now - self._recent[0] > 60.0:
            self._recent.popleft()
        self.restarts += 1
        self.welcomed = False
        self.counters = _counted(self.counters)
        return not self.misconfigured and len(self._recent) <= self._supervision.restarts_per_minute

    def rest(self) -> float:
        """Stay down until one more restart is allowed: seconds from now. Call it after `may_restart` said no."""
        self.due_s = self._recent[0] + 60.0
        return max(0.0, self.due_s - time.monotonic())

    def kill_if_hung(self, board: Board) -> None:
        """SIGKILL if a budget is overrun; that also ends a stopped process."""
        if not self._hung and (why := self._overdue(board)) and self._process is not None:
            self._hung = f"hung ({why}), "
            self._process.kill()

    def ended(self) -> str:
        """How the process ended, in words; its sentinel has fired."""
        assert self._process is not None
        # join before exitcode: right after the sentinel fires the exit code is still None
        self._process.join()
        self.state = "down"
        code = self._process.exitcode or 0
        if code >= 0:
            return f"{self._hung}exit code {code}"
        memory = code == -signal.SIGKILL and not self._hung and _oom_kills() > self._oom_kills
        return f"{self._hung}killed by {signal.Signals(-code).name}" + (WANT_OF_MEMORY if memory else "")

    def stop(self, timeout_s: float) -> None:
        """Wait for the end, kill if it does not come, give the process object back."""
        if self._process is not None:
            self._process.join(timeout_s)
            if self._process.exitcode is None:
                self._process.kill()
                self._process.join()
            self._process.close()
            self._process = None
        self.state = "stopped"

    def _overdue(self, board: Board) -> str:
        now = time.monotonic()
        since_ns, work = board.read(self.name)
        if self.state == "starting":
            loading = self.welcomed and self.name == "inference"
            budget = self._supervision.load_s if loading else self._supervision.start_s
            if since_ns / 1e9 > self._started_s:  # it reads a journal
                return f"no sign of life for {budget:g} s at its start" if now - since_ns / 1e9 > budget else ""
            return f"not ready {budget:g} s after its start" if now - self._started_s > budget else ""
        at_model = self.name == "inference" and work
        budget = self._supervision.inference_busy_s if at_model else self._supervision.busy_s
        budget = self._supervision.load_s if work == (LOADING,) else budget
        if self.state not in ("ready", "drained") or not since_ns or now - since_ns / 1e9 <= budget:
            return ""
        return f"no sign of life for {budget:g} s" + (f", at work on {', '.join(work)}" if work else "")


def _counted(counters: dict[str, float]) -> dict[str, float]:
    """Without what only says how it is now."""
    return {name: value for name, value in counters.items() if not name.endswith(NOW)}


def _oom_kills() -> int:
    """How many processes of this machine the kernel has ended for want of memory."""
    try:
        counts = dict(line.split() for line in Path("/proc/vmstat").read_text().splitlines())
        return int(counts.get("oom_kill", 0))
    except (OSError, ValueError):
        return 0


def last_lines(log: Path) -> list[str]:
    """The end of a stage's log."""
    if not log.exists():
        return []
    return log.read_text(errors="replace").splitlines()[-LOG_LINES:]
