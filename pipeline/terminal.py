"""What a person sees of a replay: each change of state as it comes, and the summary at the end."""

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from pipeline.messages import SurgeryState
from pipeline.replay import Summary


class Changes:
    """Turns states into lines: only what differs from the session's state before."""

    def __init__(self) -> None:
        self._before: dict[str, tuple[str, frozenset[str], bool]] = {}

    def lines(self, state: SurgeryState) -> list[str]:
        """What changed, in words with rich's markup; empty if nothing did."""
        contract = state.state
        phase, on = contract["metadata"]["phase"], frozenset(contract["machines"]["1"])
        known = state.session in self._before
        old_phase, old_on, old_degraded = self._before.get(state.session, ("", frozenset(), False))
        self._before[state.session] = (phase, on, state.degraded)
        head = f"[cyan]{state.t:7.1f} s[/] {state.session}"
        lines = []
        if not known:
            lines.append(f"{head}  [bold]{contract['metadata']['surgery']}[/] begins, on: {_ids(on)}")
        else:
            if on - old_on:
                lines.append(f"{head}  [green]on  {_ids(on - old_on)}[/]  {_cause(state, on - old_on)}")
            if old_on - on:
                lines.append(f"{head}  [red]off {_ids(old_on - on)}[/]  {_cause(state, old_on - on)}")
        if phase != old_phase and known:
            lines.append(f"{head}  [bold yellow]{phase}[/]  ({contract['source']})")
        if state.degraded != old_degraded:
            mark = f"[bold red]DEGRADED[/] {state.outcome}" if state.degraded else "[bold green]no longer degraded[/]"
            lines.append(f"{head}  {mark}")
        return lines


def show_summary(console: Console, summary: Summary) -> None:
    """The table at the end of a replay."""
    table = Table(show_header=False, box=None, padding=(0, 2))
    table.add_row("inputs", f"{summary.inputs} sent, {summary.accounted} accounted for, in {summary.seconds:.1f} s")
    table.add_row("states", f"{summary.states}: " + ", ".join(f"{k} {v}" for k, v in summary.outcomes.items()))
    table.add_row("model answers", f"{summary.model_answers} by {summary.model or 'no model'}")
    if summary.responses:
        table.add_row("requests answered", str(summary.responses))
    table.add_row("degraded", str(summary.degraded))
    table.add_row("latency, rules", "median {:.1f} ms, 95 % within {:.1f} ms".format(*summary.rule_latency_ms))
    table.add_row("latency, model", "median {:.0f} ms, 95 % within {:.0f} ms".format(*summary.model_latency_ms))
    if summary.dead_letters:
        table.add_row("dead letters", ", ".join(f"{k} {v}" for k, v in summary.dead_letters.items()))
    if summary.restarts:
        table.add_row("restarts", str(summary.restarts))
    for fault in summary.faults[:10]:
        table.add_row("fault in the log", fault)
    if len(summary.faults) > 10:
        table.add_row("", f"and {len(summary.faults) - 10} more")
    table.add_row("journal", summary.journal or "none")
    console.print(table)
    if summary.failure:
        console.print(f"[bold red]failed:[/] {summary.failure}", highlight=False)


def _ids(ids: frozenset[str]) -> str:
    return " ".join(sorted(ids)) or "nothing"


def _cause(state: SurgeryState, ids: frozenset[str]) -> str:
    toggles = [t for t in state.state["details"].get("toggles", ()) if t["machine_id"] in ids]
    # escaped: words of the room in brackets are no markup, and "[/]" would end the command
    return escape("; ".join(f"{t['name']}: “{t['trigger']}”" if t.get("trigger") else t["name"] for t in toggles))
