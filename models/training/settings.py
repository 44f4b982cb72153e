"""All settings of a training, from one TOML file. Training only."""

import hashlib
from pathlib import Path
from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta

from pipeline.config import read_toml
from pipeline.errors import ConfigError

DEFAULT_FILE: Final = Path(__file__).with_name("settings.toml")

Count = Annotated[int, Meta(ge=1, le=100_000_000)]
Seed = Annotated[int, Meta(ge=0, le=2**31)]
Share = Annotated[float, Meta(ge=0, le=1)]


class Part(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A table of the settings."""


class Lessons(Part, frozen=True, kw_only=True):
    """What is taught."""

    seed: Seed
    share_invented: Share  # of the lessons are about invented surgeries
    share_words: Share  # of the lessons go on to "why" and "tips"; the others end before, and cost less
    most_lines: Annotated[int, Meta(ge=5, le=60)]  # that a lesson shows
    hints: bool = True  # ids stand behind what only hints at a machine, too
    own: str = ""  # a file of lessons from journals (models/training/from_journal.py), mixed with the made ones
    share_own: Share = 0.0  # of the lessons are from it
    written: tuple[str, ...] = ()  # files of utterances and what they switch (models/training/written.py), mixed in
    share_written: Share = 0.0  # of what is said in rooms of surgeries that have some
    chunk: Count  # lessons that are made and packed at one go


class Adapter(Part, frozen=True, kw_only=True):
    """The pairs of matrices that are trained."""

    rank: Annotated[int, Meta(ge=1, le=256)]
    alpha: Annotated[float, Meta(gt=0, le=4096)]  # what is added is scaled by alpha / rank


class Steps(Part, frozen=True, kw_only=True):
    """How the pairs are moved."""

    count: Count  # of all steps; the rate falls along them
    tokens: Annotated[int, Meta(ge=256, le=1_000_000)]  # of a step, about
    together: Count  # most questions of a step behind one copy of a dictionary
    rate: Annotated[float, Meta(gt=0, le=1)]
    warm_up: Annotated[int, Meta(ge=0)]  # steps until the rate is whole
    last_rate: Share  # of the rate, what is left at the end: it falls by a cosine
    words_weight: Share  # of a choice in "why" and "tips", where one of ids and phases weighs 1
    clip: Annotated[float, Meta(gt=0)]  # longest gradient
    decay: Annotated[float, Meta(ge=0, le=1)]


class Validation(Part, frozen=True, kw_only=True):
    """Lessons that are not trained on; half of them are about invented surgeries that are not either."""

    lessons: Count
    every: Count  # steps


class Settings(Part, frozen=True, kw_only=True):
    """The whole. The same settings on the same machine give the same adapter."""

    model: str  # a manifest's name, or the path of a GGUF file
    seed: Seed  # of the pairs' beginning
    precision: Literal["bfloat16", "float32"]
    compiled: bool  # fuse what is done number by number; takes a C++ compiler and a minute at the first start
    threads: Annotated[int, Meta(ge=0, le=256)]  # 0: all cores that the process may use
    checkpoint_every: Count  # steps
    lessons: Lessons
    adapter: Adapter
    steps: Steps
    validation: Validation

    @property
    def digest(self) -> str:
        """The sha256 of the settings."""
        return hashlib.sha256(msgspec.json.encode(self)).hexdigest()


def load_settings(path: Path) -> Settings:
    """The settings of that file. Raises ConfigError, which names file and key."""
    try:
        return msgspec.convert(read_toml(path, "; give another with --config"), Settings)
    except msgspec.ValidationError as error:
        raise ConfigError(f"{path}: {error}") from error
