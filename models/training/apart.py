"""Keeps lessons apart from what a model is measured with. Used by training only.

No sequence of six words of an evaluation set may be in a lesson, so that a score measures what was learned and not what
was remembered. The sets are read for nothing but that.
"""

import json
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any, Final

from pipeline.config import resolve
from pipeline.errors import ConfigError

WORDS: Final = 6
TAUGHT: Final = "tuning.jsonl"  # lies beside them, and is none: rules are tuned on it, and lessons made of it
SETS: Final = (
    "examples/understanding",
    "examples/understanding/calibration",
    "examples/understanding/tuning_sessions",
    "examples/understanding/unseen",
    "examples/understanding/others",
    "examples/surgeries/sessions",
    "examples",
)


def normalised(text: str) -> list[str]:
    """Words as two listeners would agree on them: letters and digits alone, lower case."""
    return re.findall(r"[^\W_]+", text.casefold())


def sequences(text: str) -> Iterator[str]:
    """All sequences of six words in it."""
    words = normalised(text)
    for start in range(len(words) - WORDS + 1):
        yield " ".join(words[start : start + WORDS])


@cache
def held_out() -> frozenset[str]:
    """The sequences of every text of the evaluation sets. Raises ConfigError if there are none."""
    found: set[str] = set()
    for path in _files():
        for line in path.read_text(encoding="utf-8").splitlines():
            row: dict[str, Any] = json.loads(line)
            for text in (row.get("text", ""), *row.get("prior", ())):
                found.update(sequences(text))
    return frozenset(found)


def is_apart(text: str) -> bool:
    """Whether nothing of it is in an evaluation set."""
    return held_out().isdisjoint(sequences(text))


def _files() -> list[Path]:
    folders = [resolve(name) for name in SETS]
    found = {path for folder in folders for path in (*folder.glob("*.jsonl"), *(folder / "sessions").glob("*.jsonl"))}
    found = {path for path in found if path.name != TAUGHT}
    if not found:
        raise ConfigError(f"{folders[0]}: no evaluation set to keep lessons apart from; make lessons in a checkout")
    return sorted(found)
