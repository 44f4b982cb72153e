"""The picture of a room on a terminal. Runs in the command's process.

What matters is said in words: colours only help. What was said in the room and what a model wrote is escaped.
"""

from collections.abc import Mapping, Sequence

from rich.console import Group, RenderableType
from rich.markup import escape
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from pipeline.messages import Status
from pipeline.room import Seen
from pipeline.status_table import lasting
from stages.surgery import Surgery

SUGGESTIONS = 4
ON, OFF, STANDBY = "[bold green]● ON[/]", "[dim]○ off[/]", "[yellow]◐ standby[/]"


def picture(
    status: Status,
    silent_s: float,
    sessions: Mapping[str, Seen],
    surgeries: Mapping[str, Surgery],
    now: float,
    notes: Sequence[str] = (),
) -> RenderableType:
    """The whole of it. `silent_s`: since a status was due; `now`: Unix time; `notes`: lines for below."""
    parts: list[RenderableType] = [_head(status, silent_s)]
    for name, seen in sessions.items():
        parts.append(_session(name, seen, surgeries.get(seen.state.state["metadata"]["surgery"]), now))
    if missing := max(0, status.sessions_open - sum(seen.ended is None for seen in sessions.values())):
        parts.append(Text(f"{missing} more open, of which nothing was heard yet"))
    return Group(*parts, *(Text(note) for note in notes))


def _head(status: Status, silent_s: float) -> RenderableType:
    table = Table.grid(padding=(0, 2))
    if status.final:
        table.add_row("pipeline", "[bold]has ended[/]")
    elif silent_s > 0.0:
        table.add_row("pipeline", f"[bold red]SILENT[/] for {lasting(silent_s)}: it is stopped, or out of reach")
    elif status.degraded:
        table.add_row("pipeline", f"[bold red]DEGRADED[/]: {escape(status.degraded)}")
    else:
        table.add_row("pipeline", "[green]whole[/]")
    answered = (
        "no answer yet" if status.last_answer_age_s is None else f"answered {lasting(status.last_answer_age_s)} ago"
    )
    table.add_row("model", escape(f"{status.model or 'none yet'}: {status.model_state}, {answered}"))
    restarts = {name: stage.restarts for name, stage in status.stages.items() if stage.restarts}
    stages = ", ".join(
        f"{name} {stage.state if stage.state == 'ready' else f'[bold red]{stage.state}[/]'}"
        for name, stage in status.stages.items()
    )
    table.add_row("stages", stages + (f"; restarts: {_counts(restarts)}" if restarts else ""))
    table.add_row("open", f"sessions {status.sessions_open}, questions {status.questions_open}; inputs {status.inputs}")
    table.add_row("dropped", _counts(status.all_dropped))
    table.add_row("refused", _counts(status.all_dead_letters))
    return table


def _session(name: str, seen: Seen, surgery: Surgery | None, now: float) -> RenderableType:
    state, contract = seen.state, seen.state.state
    metadata = contract["metadata"]
    since = max(0.0, now - seen.at)
    table = Table(box=None, padding=(0, 2, 0, 0), show_edge=False, header_style="dim")
    for column in ("machine", "", "set by", "ago"):
        table.add_column(column)
    on, standby = set(contract["machines"]["1"]), set(contract["details"].get("standby", ()))
    held = set(contract["details"].get("held", ()))
    set_by, set_at = contract["details"].get("set_by", {}), contract["details"].get("set_at", {})
    for machine in sorted(on.union(contract["machines"]["0"])):
        how = ON if machine in on else STANDBY if machine in standby else OFF
        who = set_by.get(machine, "") + (", held" if machine in held else "")
        ago = lasting(max(0.0, state.t - set_at[machine]) + since) if machine in set_at else ""
        known = surgery.machine(machine) if surgery is not None else None
        label = f"{machine} {known.name}" if known is not None else machine
        table.add_row(escape(label), how, f"[bold]{who}[/]" if machine in held else who, ago)
    lines = [
        f"phase  [bold]{_phase(surgery, metadata['phase'])}[/]   next  {_phase(surgery, metadata['next_phase'])}",
        f"by {escape(contract['source'])}, sure to {contract['confidence']:.2f}, "
        f"t = {state.t:.0f} s, newest state {lasting(since)} ago",
    ]
    if seen.ended is not None:
        why = f" ({escape(seen.ended.reason)})" if seen.ended.reason else ""
        ago = lasting(max(0.0, now - seen.ended.at))
        lines.insert(0, f"[bold]ENDED[/] at t = {seen.ended.t:.0f} s, {ago} ago{why}: so it was left")
    elif state.degraded:
        lines.insert(0, f"[bold red]DEGRADED[/] {state.outcome}: this is what the rules know")
    suggestions = contract["suggestions"]
    lines += [f"suggested  {escape(text)}" for text in suggestions[:SUGGESTIONS]]
    if len(suggestions) > SUGGESTIONS:
        lines.append(f"           and {len(suggestions) - SUGGESTIONS} more")
    title = f"[bold]{escape(name)}[/]  {escape(metadata['surgery'])}"
    style = "dim" if seen.ended is not None else "none"
    return Panel(Group(*map(Text.from_markup, lines), table), title=title, title_align="left", border_style=style)


def _phase(surgery: Surgery | None, phase: str) -> str:
    known = surgery.phase(phase) if surgery is not None else None
    return escape(f"{phase} {known.name}" if known is not None else phase or "not known")


def _counts(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{escape(name)} {count}" for name, count in counts.items()) or "nothing"
