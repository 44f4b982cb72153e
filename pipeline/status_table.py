"""The status of a pipeline as a person sees it. Runs in a command's process."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

from rich.markup import escape
from rich.table import Table

from pipeline.messages import DROPS, StageStatus, Status

MB = 1e6


def status_table(status: Status) -> Table:
    """All of it, a line for each thing."""
    table = Table(show_header=False, box=None, padding=(0, 2))
    table.add_row("state", _state(status))
    table.add_row("model", escape(f"{status.model or 'none yet'}: {status.model_state}"))
    table.add_row("running", f"for {lasting(status.uptime_s)}, since {_time(status.started_at)}")
    for name, stage in status.stages.items():
        table.add_row(name, _stage(stage))
    table.add_row("supervisor", f"{status.memory_bytes / MB:.0f} MB")
    open_ = (status.sessions_open, status.questions_open, status.requests_open)
    table.add_row("open", "sessions {}, questions {}, requests {}".format(*open_))
    table.add_row("inputs", str(status.inputs))
    table.add_row("states", f"{_counts(status.outcomes)}; the newest {_ago(status.last_state_age_s)}")
    table.add_row("requests", _counts(status.answers))
    table.add_row("the model", f"answered {_ago(status.last_answer_age_s)}")
    table.add_row("refused", _counts(status.all_dead_letters))
    for cause, count in status.all_dropped.items():
        table.add_row("dropped", f"{cause} {count}: {DROPS.get(cause, '')}")
    journal = f"{status.journal}, {status.journal_bytes / MB:.1f} MB" if status.journal else "none"
    table.add_row("journal", escape(journal))
    return table


def _state(status: Status) -> str:
    if not status.degraded:
        return "[green]whole[/]"
    since = f", since {_time(status.degraded_since)}" if status.degraded_since is not None else ""
    return f"[bold red]DEGRADED[/]{since}: {escape(status.degraded)}"


def _stage(stage: StageStatus) -> str:
    state = stage.state if stage.state == "ready" else f"[bold red]{stage.state}[/]"
    details = [f"process {stage.pid}", f"{stage.memory_bytes / MB:.0f} MB", f"{stage.queue_depth} in its queues"]
    return ", ".join([state, *details, *([f"restarts {stage.restarts}"] if stage.restarts else [])])


def _counts(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{escape(name)} {count}" for name, count in counts.items()) or "none"


def _ago(seconds: float | None) -> str:
    return "never" if seconds is None else f"{lasting(seconds)} ago"


def lasting(seconds: float) -> str:
    """A time as a person reads it."""
    return f"{seconds:.1f} s" if seconds < 60 else str(timedelta(seconds=round(seconds)))


def _time(unix: float) -> str:
    return datetime.fromtimestamp(unix, UTC).strftime("%Y-%m-%d %H:%M:%SZ")
