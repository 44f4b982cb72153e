"""The tables of an evaluation, for people. Runs in the command's process."""

from collections.abc import Mapping
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks.eval.results import Failure, Mistake, Sessions, Utterances
from models.trust import Kind, Trust, interval
from pipeline.console import colourless

FIGURES = ("toggle_precision", "toggle_recall", "toggle_f1", "machine_time", "phase_time")
MEANING: Mapping[Kind, str] = {
    "on": "switches on what the rules did not hear of",
    "off": "switches off what the rules did not hear of",
    "beside": "switches what the rules did not hear of, beside another that they switch",
    "hinted": "switches what the rules heard a hint of",
    "named": "switches what the rules heard of and left",
    "contradicted": "switches the other way than the rules, or what they put off",
    "unsaid": "says nothing of what the rules switch",
    "phase": "names another phase",
}
WIDTH = 120  # where there is no terminal


def show(result: Utterances | Sessions) -> None:
    """Print the table, then what failed."""
    console = _console()
    if isinstance(result, Utterances):
        console.print(_categories(result))
        if result.silent_cases:
            console.print(
                f"{result.false_toggles} false toggles in {result.silent_cases:,} utterances that switch nothing"
            )
        for failure in result.failures:
            console.print(_failure(failure))
    else:
        console.print(_sessions(result))
        for mistake in result.failures:
            console.print(_mistake(mistake))


def show_trust(trust: Trust) -> None:
    """Print how often the model was right in each kind of disagreement, by its probability."""
    console = _console()
    table = Table("the model", "probability from", box=None, padding=(0, 2))
    for column in ("cases", "right", "share", "90 % interval"):
        table.add_column(column, justify="right")
    for kind, tally in trust.tallies().items():
        for edge, right, of in zip(trust.edges, tally.right, tally.of, strict=True):
            if of:
                low, high = interval(right, of)
                share = f"{right / of:.3f}"
                table.add_row(MEANING[kind], f"{edge:g}", str(of), str(right), share, f"{low:.3f} to {high:.3f}")
    console.print(table)


def _console() -> Console:
    console = Console(highlight=False, markup=False, soft_wrap=True, color_system=None if colourless() else "auto")
    if not console.is_terminal:
        console.width = WIDTH
    return console


def _categories(result: Utterances) -> Table:
    table = Table("category", box=None, padding=(0, 2))
    for column in ("cases", "passed", "share"):
        table.add_column(column, justify="right")
    for name, own in result.by_category.items():
        table.add_row(name, str(own.cases), str(own.passed), f"{own.accuracy:.3f}")
    table.add_row("all", str(result.cases), str(result.passed), f"{result.accuracy:.3f}", style="bold")
    return table


def _failure(failure: Failure) -> str:
    before = "".join(f"\n  before    {line}" for line in failure.prior)
    return (
        f"\n{failure.id}  {failure.category}, {failure.surgery}{before}\n  said      {failure.text}\n"
        f"  expected  {failure.expected}\n  came      {failure.came}\n  wrong     {'; '.join(failure.faults)}"
    )


def _sessions(result: Sessions) -> Table:
    table = Table("session", box=None, padding=(0, 2))
    for column in ("true", "published", "matched", "precision", "recall", "F1", "machine time", "phase time"):
        table.add_column(column, justify="right")
    for name, own in result.sessions.items():
        table.add_row(name, *_cells(own["toggles"], own))
    together = {figure: getattr(result, figure) for figure in FIGURES}
    table.add_row("all", *_cells(result.toggles, together), style="bold")
    return table


def _cells(toggles: Mapping[str, int], figures: Mapping[str, Any]) -> list[str]:
    return [*map(str, toggles.values()), *(f"{figures[figure]:.3f}" for figure in FIGURES)]


def _mistake(mistake: Mistake) -> str:
    words = f" (read from {mistake.words!r})" if mistake.words else ""
    return (
        f"{mistake.session} {mistake.t:8.1f} s  {mistake.kind:6} {mistake.id} {mistake.state:3}  "
        f"said: {mistake.said}{words}"
    )
