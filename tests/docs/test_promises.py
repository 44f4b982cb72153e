"""What docs/reliability.md promises is tried by what it names there, and nothing that is tried is left out."""

import re

from benchmarks.chaos.disorder import DISORDER
from benchmarks.chaos.kills import KILLS
from benchmarks.chaos.suite import FLOODS, SCENARIOS
from docs.reference.pages import DOCS, ROOT

PAGE = (DOCS / "reliability.md").read_text(encoding="utf-8")


def tried_by() -> set[str]:
    """What stands as code in the last cell of the tables of promises."""
    tables = re.findall(r"^\| promise \| tried by \|\n\|---\|---\|\n((?:\|.*\n)+)", PAGE, re.MULTILINE)
    cells = [row.rstrip("|").rpartition("|")[2] for table in tables for row in table.splitlines()]
    assert len(cells) > 40
    return {name for cell in cells for name in re.findall(r"`([^`]+)`", cell)}


def test_what_is_named_exists() -> None:
    files = {path.name for folder in ("tests", "benchmarks/chaos") for path in (ROOT / folder).rglob("*.py")}
    for name in tried_by():
        if name.endswith(".py"):
            assert name in files, name
        elif "-" in name or name in SCENARIOS:
            assert name in SCENARIOS, name


def test_every_scenario_of_processes_messages_and_floods_is_named() -> None:
    floods = {flood.__name__.replace("_", "-") for flood in FLOODS}
    assert {*KILLS, *DISORDER, *floods} - tried_by() == set()
