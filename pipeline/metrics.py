"""The pipeline's status and states as Prometheus metrics. Used by the `metrics` command, in a process of its own.

Counts are the pipeline's own, since its start and over restarts of a stage; Prometheus takes a start of the whole for
the reset that it is. Latencies are measured by the pipeline and gathered here, from the states that came since this
process began.
"""

import threading
from collections.abc import Iterable, Iterator, Mapping
from typing import Final, get_args

from prometheus_client import CollectorRegistry, Counter, Histogram
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from pipeline.messages import OUTCOMES, ModelState, ModelWork, Status, SurgeryState
from pipeline.room import Pulse

LATENCY_BUCKETS: Final = (
    *(0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5),
    *(1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0),
)
"""Seconds: the rules answer within some milliseconds, a large model within a minute."""


class Metrics(Collector):
    """Takes what a subscriber hears, and tells it when it is scraped, which may be in another thread."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._lock = threading.Lock()
        self._pulse = Pulse()
        self._latency = Histogram(
            "orstate_latency_seconds",
            "Time that a part of a state's way took: prompt, wait, inference, parse, and total, from the input on",
            ("part", "by"),
            buckets=LATENCY_BUCKETS,
            registry=self.registry,
        )
        self._missed = Counter(
            "orstate_states_missed", "States that this process did not get: it was too slow", registry=self.registry
        )
        self.registry.register(self)

    def state(self, state: SurgeryState) -> None:
        """A published state came."""
        by = "rule" if state.state["source"] == "rule" else "model"
        for part, milliseconds in state.timings.items():
            self._latency.labels(part, by).observe(milliseconds / 1e3)

    def missed(self, count: int) -> None:
        """So many more states were missed."""
        self._missed.inc(count)

    def status(self, status: Status | None) -> None:
        """The newest status that there is: the same as before, or another."""
        with self._lock:
            self._pulse.take(status)

    def newest(self) -> Status | None:
        """The newest status; None if the pipeline does not answer, or has ended."""
        with self._lock:
            status = self._pulse.status
            return None if status is None or status.final or self._pulse.silent_s else status

    def collect(self) -> Iterator[Metric]:
        """What the newest status says; without one, only that there is none."""
        status = self.newest()
        yield GaugeMetricFamily("orstate_up", "Whether the pipeline tells how it does", value=status is not None)
        if status is not None:
            yield from _whole(status)
            yield from _counts(status)
            yield from _stages(status)
            yield from _work(status.work)


def _whole(status: Status) -> Iterator[Metric]:
    yield GaugeMetricFamily("orstate_degraded", "States lack the model's part", value=bool(status.degraded))
    model = GaugeMetricFamily("orstate_model_state", "1 for the state that the model is in", labels=("state",))
    for state in get_args(ModelState):
        model.add_metric((state,), state == status.model_state)
    yield model
    info = GaugeMetricFamily("orstate_model_info", "The model, as a label of 1", labels=("name", "label"))
    info.add_metric((status.model, status.label), 1)
    yield info
    gauges = {
        "sessions_open": ("Sessions that have begun and not ended", status.sessions_open),
        "questions_open": ("Sessions that wait for the model", status.questions_open),
        "requests_open": ("Requests that wait for their answer", status.requests_open),
        "last_state_age_seconds": ("Since a state was published", status.last_state_age_s),
        "last_answer_age_seconds": ("Since the model answered", status.last_answer_age_s),
        "journal_bytes": ("Size of the run's journal", status.journal_bytes),
        "start_time_seconds": ("When the pipeline was started, Unix time", status.started_at),
    }
    for name, (text, value) in gauges.items():
        if value is not None:
            yield GaugeMetricFamily(f"orstate_{name}", text, value=value)


def _counts(status: Status) -> Iterator[Metric]:
    yield CounterMetricFamily("orstate_inputs", "Inputs that arrived, refused ones too", value=status.inputs)
    yield _counter("orstate_states", "Published states", ("outcome",), _by_outcome(status.outcomes))
    yield _counter("orstate_answers", "Answers to requests", ("outcome",), _by_outcome(status.answers))
    processes = {"supervisor": status.dropped, **{name: stage.dropped for name, stage in status.stages.items()}}
    dropped = (((name, cause), count) for name, counts in processes.items() for cause, count in counts.items())
    yield _counter("orstate_dropped", "What was dropped", ("process", "cause"), dropped)
    refused = {name: stage.dead_letters for name, stage in status.stages.items()}
    letters = (((name, why), count) for name, counts in refused.items() for why, count in counts.items())
    yield _counter("orstate_dead_letters", "What was refused", ("process", "reason"), letters)


def _stages(status: Status) -> Iterator[Metric]:
    up = GaugeMetricFamily("orstate_stage_ready", "Whether a stage takes messages", labels=("process",))
    depth = GaugeMetricFamily("orstate_queue_depth", "Messages that wait for a stage", labels=("process",))
    memory = GaugeMetricFamily("orstate_memory_bytes", "Resident memory of a process", labels=("process",))
    memory.add_metric(("supervisor",), status.memory_bytes)
    for name, stage in status.stages.items():
        up.add_metric((name,), stage.state == "ready")
        depth.add_metric((name,), stage.queue_depth)
        memory.add_metric((name,), stage.memory_bytes)
    restarts = (((name,), stage.restarts) for name, stage in status.stages.items())
    yield from (up, depth, memory, _counter("orstate_restarts", "Restarts of a stage", ("process",), restarts))


def _work(work: ModelWork) -> Iterator[Metric]:
    sizes = sorted(work.batches)
    buckets = [(str(size), float(sum(work.batches[s] for s in sizes if s <= size))) for size in sizes]
    buckets.append(("+Inf", float(sum(work.batches.values()))))
    jobs = sum(size * count for size, count in work.batches.items())
    yield HistogramMetricFamily("orstate_batch_size", "Questions that the model answered together", buckets, jobs)
    counts = {
        "prompt_tokens": ("Tokens of prompts", work.prompt_tokens),
        "reused_tokens": ("Of these, those that the prefix cache had", work.reused_tokens),
        "answer_tokens": ("Tokens of answers", work.answer_tokens),
        "guessed_tokens": ("Tokens that were computed ahead of an answer", work.guessed_tokens),
        "right_tokens": ("Of these, those that the answer had", work.right_tokens),
        "prefixes_loaded": ("Beginnings of prompts that were read from disk", work.prefixes_loaded),
        "model_busy_seconds": ("Time that the model was at work", work.busy_s),
    }
    for name, (text, value) in counts.items():
        yield CounterMetricFamily(f"orstate_{name}", text, value=value)


def _by_outcome(counts: Mapping[str, int]) -> Iterator[tuple[tuple[str], int]]:
    """With zeros: a rate of what appears with a count already lacks that count."""
    return (((outcome,), counts.get(outcome, 0)) for outcome in OUTCOMES)


def _counter(name: str, text: str, labels: Iterable[str], counts: Iterable[tuple[tuple[str, ...], int]]) -> Metric:
    family = CounterMetricFamily(name, text, labels=tuple(labels))
    for values, count in counts:
        family.add_metric(values, count)
    return family
