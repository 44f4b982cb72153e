"""What an evaluation comes to, as it is written in JSON. Used in the command's process."""

from collections import defaultdict
from collections.abc import Iterable
from typing import Any

import msgspec

from benchmarks.eval.scores import Score


class Failure(msgspec.Struct, frozen=True, kw_only=True):
    """An utterance of which came what was not expected. `toggles`: with the words and the rule of each."""

    id: str
    category: str
    surgery: str
    text: str
    prior: tuple[str, ...]
    expected: str
    came: str
    faults: tuple[str, ...]
    toggles: tuple[Any, ...]


class Category(msgspec.Struct, frozen=True, kw_only=True):
    """The utterances of one kind."""

    cases: int
    passed: int
    accuracy: float


class Utterances(msgspec.Struct, frozen=True, kw_only=True):
    """`false_toggles`: in the `silent_cases`, utterances that are to switch nothing at all."""

    cases: int
    passed: int
    accuracy: float
    silent_cases: int
    false_toggles: int
    by_category: dict[str, Category]
    failures: tuple[Failure, ...]


class Mistake(msgspec.Struct, frozen=True, kw_only=True):
    """A toggle that was missed, or a false one, with the line said nearest to it and the words it was read from."""

    session: str
    kind: str  # missed or false
    t: float
    id: str
    state: str
    said: str
    words: str


class Sessions(msgspec.Struct, frozen=True, kw_only=True):
    """The figures of all sessions together: what was counted is added up. `sessions`: the same of each."""

    cases: int
    toggles: dict[str, int]
    toggle_precision: float
    toggle_recall: float
    toggle_f1: float
    machine_time: float
    phase_time: float
    sessions: dict[str, dict[str, Any]]
    failures: tuple[Mistake, ...]


def of_utterances(
    categories: Iterable[str], failures: Iterable[Failure], silent_cases: int, false_toggles: int
) -> Utterances:
    """`categories`: of each utterance its own."""
    cases: dict[str, int] = defaultdict(int)
    failed: dict[str, int] = defaultdict(int)
    for category in categories:
        cases[category] += 1
    failures = tuple(failures)
    for failure in failures:
        failed[failure.category] += 1
    whole = _category(sum(cases.values()), len(failures))
    return Utterances(
        cases=whole.cases,
        passed=whole.passed,
        accuracy=whole.accuracy,
        silent_cases=silent_cases,
        false_toggles=false_toggles,
        by_category={name: _category(count, failed[name]) for name, count in sorted(cases.items())},
        failures=failures,
    )


def of_sessions(scores: dict[str, Score], failures: Iterable[Mistake]) -> Sessions:
    """The figures of each session by name, and of all."""
    together = sum(scores.values(), Score())
    return Sessions(
        cases=len(scores),
        toggles=together.counts(),
        **together.figures(),
        sessions={name: {"toggles": own.counts(), **own.figures()} for name, own in scores.items()},
        failures=tuple(failures),
    )


def _category(cases: int, failed: int) -> Category:
    return Category(cases=cases, passed=cases - failed, accuracy=(cases - failed) / cases)
