"""`bench rules`: how many utterances a second the rule engine reads, on one core.

The utterances are those of the shipped sessions and of the development set; each is read by the engine of its own
surgery. What the engine remembers of words it has met shows in `first_pass_per_s`: it has met none then.
"""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from statistics import median
from typing import Final

from benchmarks.eval.truth import read_cases
from benchmarks.eval.utterances import read_utterances
from benchmarks.report import report, write
from pipeline.config import ROOT, load_config
from pipeline.console import Bar
from pipeline.log import Log
from pipeline.messages import SessionStart, Transcript
from stages.prompt.rules import Reading, RuleEngine
from stages.prompt.site_words import load_vocabulary
from stages.surgery import Surgery

EXAMPLES: Final = ROOT / "examples"
DEVELOPMENT_SET: Final = "understanding"  # in the folder of examples
ROUND_READS: Final = 10_000  # of a round, at least

Read = tuple[Callable[[str], Reading], str]


def main(rounds: int, path: Path | None) -> None:
    """Run it, print the figures, write them to `path`."""
    surgeries, language = load_vocabulary(load_config().prompt)
    said = list(utterances(EXAMPLES, surgeries))
    engines = {name: RuleEngine(surgery, surgeries.values(), language) for name, surgery in surgeries.items()}
    once = [(engines[surgery].read, text) for surgery, text in said]
    again = once * -(-ROUND_READS // len(once))
    seconds = []
    with Bar("bench rules", rounds + 1, still=True) as bar:
        first_s = _seconds(once)
        for _ in range(rounds):
            bar.advance()
            seconds.append(_seconds(again))
    runs = {"utterances": len(once), "reads_a_round": len(again), "seconds": seconds}
    ratios = {"utterances_per_s": len(again) / median(seconds), "first_pass_per_s": len(once) / first_s}
    write(report("rules", runs, ratios), path)


def utterances(folder: Path, surgeries: Mapping[str, Surgery]) -> Iterator[tuple[str, str]]:
    """Surgery and words of every line of the sessions in a folder, and of the development set if it is in it."""
    for file in sorted(folder.glob("*.jsonl")):
        yield from _said(Log(file))
    for file in sorted((folder / DEVELOPMENT_SET).glob("*.jsonl")):
        for row in read_utterances(file, surgeries, None):
            yield from ((row.surgery, text) for text in (*row.prior, row.text))
    sessions = folder / DEVELOPMENT_SET / "sessions"
    for case in read_cases(sessions, surgeries, None) if sessions.is_dir() else ():
        yield from _said(case.log)


def _said(log: Log) -> Iterator[tuple[str, str]]:
    surgery = ""
    for message in log.messages:
        if isinstance(message, SessionStart):
            surgery = message.surgery
        elif isinstance(message, Transcript):
            yield surgery, message.text


def _seconds(reads: Iterable[Read]) -> float:
    begin = time.perf_counter()
    for read, text in reads:
        read(text)
    return time.perf_counter() - begin
