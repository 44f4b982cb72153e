"""How many utterances a second the rules read on one core, beside splitting the same lines into words.

Commands and talk in the mix of the other benchmarks, and the same with commands alone, which are slower to read.
"""

import re
import time
from collections.abc import Callable, Iterable
from itertools import islice
from pathlib import Path

from benchmarks.report import report, write
from benchmarks.workload import COMMANDS, lines
from pipeline.config import PromptSection
from stages.prompt.rules import RuleEngine
from stages.prompt.site_words import load_vocabulary

LINES = 2000
ROUNDS = 5


def main(json: Path | None) -> None:
    """Measure, print, and write the report if there is a path."""
    words = load_vocabulary(PromptSection())
    split = re.compile(r"\w+").findall
    runs: dict[str, dict[str, float]] = {}
    for name, surgery in words.surgeries.items():
        read = RuleEngine(surgery, words.surgeries.values(), words.language).read
        mixed = [text for _, text in islice(lines(surgery, "rules"), LINES)]
        orders = [
            order.format(alias) for machine in surgery.machines for alias in machine.aliases for order in COMMANDS
        ]
        runs[name] = {
            "mixed_per_s": rate(read, mixed),
            "commands_per_s": rate(read, orders),
            "split_per_s": rate(split, mixed),
        }
    ratios = {f"{key}_least": min(run[key] for run in runs.values()) for key in ("mixed_per_s", "commands_per_s")}
    write(report("rules", dict(runs), ratios), json)


def rate(take: Callable[[str], object], texts: Iterable[str]) -> float:
    """Texts a second, the best of some rounds."""
    texts = list(texts)
    best = float("inf")
    for _ in range(ROUNDS):
        start = time.perf_counter()
        for text in texts:
            take(text)
        best = min(best, time.perf_counter() - start)
    return len(texts) / best
