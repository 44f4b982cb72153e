"""The word lists of words/*.toml, read once. Used by training only."""

import tomllib
from functools import cache
from pathlib import Path
from typing import Any, Final

from models.training.phrases import Phrases

FOLDER: Final = Path(__file__).parent / "words"


@cache
def table(name: str) -> dict[str, Any]:
    """The content of words/NAME.toml."""
    return tomllib.loads((FOLDER / f"{name}.toml").read_text(encoding="utf-8"))


@cache
def phrases() -> Phrases:
    """All lists that templates may name."""
    chatter = table("chatter")
    return Phrases(table("talk")["lists"] | chatter["lists"] | {"clause": chatter["says"]["clause"]})
