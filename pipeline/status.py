"""Makes the one status message of what the stages report. Used by the supervisor.

Counters have names by a rule, which is known here and nowhere else outside the stages: `dropped.<cause>`,
`dead_letter.<reason>`, `outcome.<outcome>` of states, `answer.<outcome>` of requests; inference counts under the
names of `ModelWork`'s fields, and `batch_<jobs>`. What is, and is not counted since the start, ends as
`pipeline.stage_process.NOW` says.
"""

import os
import time
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path

import psutil

from pipeline.control import StageName
from pipeline.messages import ModelChanged, ModelWork, StageStatus, Status
from pipeline.stage_process import StageProcess
from pipeline.wiring import QUEUES


class Overview:
    """What is known of an instance as a whole. Times are of the clocks that are given, in seconds."""

    def __init__(self, journal: str) -> None:
        self._journal = journal
        self._started = time.monotonic()
        self._started_at = time.time()
        self._degraded_since: float | None = self._started_at
        self._newest: dict[str, float] = {}  # monotonic, over restarts of the stage that tells it
        self.dropped: Counter[str] = Counter()

    def status(self, stages: Mapping[StageName, StageProcess], model: ModelChanged, *, final: bool = False) -> Status:
        """The status now."""
        counters = {name: stage.counters for name, stage in stages.items()}
        everything = [*counters.values()]
        prompt = counters["prompt"]
        why = degraded(stages, model)
        if not why or self._degraded_since is None:
            self._degraded_since = time.time() if why else None
        return Status(
            model=model.name,
            label=model.label,
            model_state=model.state,
            model_error=model.error,
            stages={name: _stage(stage, everything) for name, stage in stages.items()},
            degraded=why,
            degraded_since=self._degraded_since,
            inputs=int(prompt.get("arrived", 0)),
            outcomes=_named("outcome.", everything),
            answers=_named("answer.", everything),
            last_state_age_s=self._age("last_state_now", counters["parse"]),
            last_answer_age_s=self._age("last_answer_now", counters["parse"]),
            work=_work(counters["inference"]),
            sessions_open=int(prompt.get("sessions_open", 0)),
            questions_open=int(prompt.get("questions_open", 0)),
            requests_open=int(prompt.get("requests_open", 0)),
            dropped=dict(+self.dropped),
            memory_bytes=_memory(os.getpid()),
            started_at=self._started_at,
            uptime_s=time.monotonic() - self._started,
            journal=self._journal,
            journal_bytes=_size(self._journal),
            final=final,
        )

    def _age(self, name: str, counters: Mapping[str, float]) -> float | None:
        """Since the newest of them; a process that was started again has none of its own yet."""
        self._newest[name] = newest = max(self._newest.get(name, 0.0), counters.get(name, 0.0))
        return max(0.0, time.monotonic() - newest) if newest else None


def degraded(stages: Mapping[StageName, StageProcess], model: ModelChanged) -> str:
    """Why states lack the model's part, or do not come; "" if they are whole."""
    waited_for = [f"the {n} process is {stages[n].state}" for n in ("prompt", "parse") if not _is_up(stages[n])]
    if model.state != "ready":
        waited_for.append(f"the model is {model.state}" + (f": {model.error}" if model.error else ""))
    return "; ".join(waited_for)


def sentence(status: Status, *, started: bool, stopping: bool) -> str:
    """How it does, in a line for the service manager. `started`: messages have been taken."""
    if stopping:
        return "stopping: what was accepted is being finished"
    if status.degraded:
        return f"{'degraded' if started else 'starting'}: {status.degraded}"
    return f"whole: model {status.model}, sessions open: {status.sessions_open}"


def _is_up(stage: StageProcess) -> bool:
    return stage.state in ("ready", "drained")


def _stage(stage: StageProcess, everything: Iterable[Mapping[str, float]]) -> StageStatus:
    queues = [f"queue.{name}.depth" for name, receiver in QUEUES.items() if receiver == stage.name]
    return StageStatus(
        state=stage.state,
        pid=stage.pid,
        restarts=stage.restarts,
        queue_depth=int(sum(counters.get(queue, 0) for counters in everything for queue in queues)),
        memory_bytes=_memory(stage.pid),
        dropped=_named("dropped.", [stage.counters]),
        dead_letters=_named("dead_letter.", [stage.counters]),
        counters=stage.counters,
    )


def _work(counters: Mapping[str, float]) -> ModelWork:
    cycles = {name.removeprefix("batch_"): count for name, count in counters.items() if name.startswith("batch_")}
    names = [name for name in ModelWork.__struct_fields__ if name not in ("batches", "busy_s")]
    return ModelWork(
        batches={int(size): int(count) for size, count in cycles.items()},
        busy_s=counters.get("inference_ms", 0.0) / 1e3,
        **{name: int(counters.get(name, 0)) for name in names},
    )


def _named(prefix: str, everything: Iterable[Mapping[str, float]]) -> dict[str, int]:
    """The counts whose names begin so, without the beginning, of all stages; those that are zero are left out."""
    counts: Counter[str] = Counter()
    for counters in everything:
        counts.update({n.removeprefix(prefix): int(c) for n, c in counters.items() if n.startswith(prefix) and c})
    return dict(sorted(counts.items()))


def _memory(pid: int) -> int:
    """Resident bytes; 0 for a process that is not there."""
    try:
        return int(psutil.Process(pid).memory_info().rss) if pid else 0
    except psutil.Error:
        return 0


def _size(folder: str) -> int:
    """Bytes of the files in the journal's folder; 0 for no folder."""
    if not folder:
        return 0
    try:
        return sum(file.stat().st_size for file in Path(folder).iterdir())
    except OSError:  # somebody removed it, or a file of it, just now
        return 0
