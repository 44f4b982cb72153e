"""`bench chaos`: all scenarios, each so many times, and what became of the faults."""

from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import Final, NamedTuple

import msgspec
from rich.table import Table

from benchmarks.chaos import crashes, floods, resources
from benchmarks.chaos.disorder import DISORDER
from benchmarks.chaos.kills import KILLS
from benchmarks.chaos.trial import Scenario, Tally, Trial, tally
from benchmarks.report import report, write
from pipeline.console import Bar, console
from pipeline.errors import ConfigError

FLOODS: Final[tuple[Scenario, ...]] = (
    floods.too_fast,
    floods.garbage,
    floods.reading_stops,
    floods.answers_unread,
    floods.sessions_at_once,
)


class Entry(NamedTuple):
    """A scenario, and how often it is run in a whole suite."""

    scenario: Scenario
    times: int


def _key(name: str) -> str:
    return name.replace(",", "").replace("'s", "s").replace(" ", "-").replace("_", "-")


SCENARIOS: dict[str, Entry] = {
    **{name: Entry(scenario, 50 if name.startswith("kill-") else 10) for name, scenario in KILLS.items()},
    **{name: Entry(scenario, 10) for name, scenario in DISORDER.items()},
    **{_key(name): Entry(scenario, 5) for name, scenario in (crashes.SCENARIOS | resources.SCENARIOS).items()},
    **{_key(flood.__name__): Entry(flood, 1) for flood in FLOODS},
}


def main(only: list[str], times: int, seed: int, path: Path | None) -> bool:
    """Run the scenarios of these names (default: all), `times` each (0: as often as each is due).

    Prints a table, writes the report to `path`; whether every fault was survived. Raises ConfigError for a name.
    """
    if unknown := [name for name in only if name not in SCENARIOS]:
        raise ConfigError(f"--only {','.join(unknown)}: no scenario; there are {', '.join(SCENARIOS)}")
    chosen = {name: SCENARIOS[name] for name in (only or SCENARIOS)}
    results = _run(chosen, times, seed)
    _show(results)
    total = {
        field: float(sum(getattr(result, field) for result in results.values()))
        for field in ("injected", "survived", "requests_lost", "states_wrong", "leaks")
    }
    runs = {"seed": seed, "scenarios": {name: msgspec.to_builtins(result) for name, result in results.items()}}
    write(report("chaos", runs, total), path)
    return total["injected"] == total["survived"]


def _run(chosen: dict[str, Entry], times: int, seed: int) -> dict[str, Tally]:
    results = {}
    with Bar("bench chaos", sum(times or entry.times for entry in chosen.values())) as bar:
        for name, entry in chosen.items():
            count = times or entry.times
            trials = []
            for number in range(count):
                with TemporaryDirectory(prefix="or-") as folder:  # short: ipc sockets may lie in it
                    trials.append(_trial(entry.scenario, Path(folder), Random(f"{seed} {name} {number}")))
                bar.advance()
                if not trials[-1].survived:
                    bar.say(f"{name}: {trials[-1]}")
            results[name] = tally(trials)
            bar.say(f"{name}: {results[name].survived} of {results[name].injected} survived")
    return results


def _trial(scenario: Scenario, folder: Path, random: Random) -> Trial:
    try:
        return scenario(folder, random)
    except Exception as error:  # it fell silent, or ended: the others are tried all the same
        return Trial(fault="?", problems=(f"{type(error).__name__}: {error}",))


def _show(results: dict[str, Tally]) -> None:
    table = Table("fault", *("injected", "survived", "requests lost", "states wrong", "leaks"))
    for name, r in results.items():
        table.add_row(name, *map(str, (r.injected, r.survived, r.requests_lost, r.states_wrong, r.leaks)))
    console(stderr=True).print(table)
