"""How far a model is trusted: how often it was right where it and the rules disagreed, as measured. Used by the parse
process and by the command that measures it.

The figures of a model stand in models/trust/, in a file of its manifest's name, which `eval --calibrate` writes. They
are counts, by kind of disagreement and by the model's probability for its choice; what is concluded is computed here.
"""

from collections.abc import Iterable
from itertools import pairwise
from math import sqrt
from pathlib import Path
from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta

from models.manifest import Manifest
from pipeline.config import read_toml
from pipeline.errors import ConfigError

FOLDER: Final = Path(__file__).resolve().parent / "trust"
EDGES: Final = (0.0, 0.5, 0.8, 0.95, 0.99)  # the probabilities at which a new bin begins, where it is measured anew
LEAST: Final = 8  # cases, of which something is concluded: three right of three may be luck, in one bin of many
Z: Final = 1.645  # the normal distribution's: an interval of 90 %, so its lower end holds with 95 %

Kind = Literal["on", "off", "beside", "hinted", "named", "contradicted", "unsaid", "phase"]
Probability = Annotated[float, Meta(ge=0, le=1)]
Cases = Annotated[int, Meta(ge=0)]


class Tally(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """In each bin, how often there was such a disagreement, and in how many of them the model was right."""

    right: tuple[Cases, ...]
    of: tuple[Cases, ...]

    def __post_init__(self) -> None:
        if len(self.right) != len(self.of) or any(r > n for r, n in zip(self.right, self.of, strict=True)):
            raise ValueError("right and of must have as many entries, and none of right may be more than that of `of`")

    def __add__(self, other: "Tally") -> "Tally":
        return Tally(right=_sums(self.right, other.right), of=_sums(self.of, other.of))


class Trust(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What was measured of a model.

    The kinds: the model says that a machine goes, or is, `on` or `off` that was not mentioned as far as the rules know;
    such a one beside another that they switched (`beside`); one that words which hint at it may have meant (`hinted`);
    one that was mentioned (`named`), though the rules did not switch it; one that the rules switched the other way or
    put off (`contradicted`); it says nothing of a machine that the rules switched (`unsaid`, all in the first bin); it
    names another `phase`.
    """

    weights: str  # sha256 of those that were measured, "" if not known
    sets: tuple[str, ...]  # what was measured with
    edges: tuple[Probability, ...]
    on: Tally
    off: Tally
    beside: Tally
    hinted: Tally
    named: Tally
    contradicted: Tally
    unsaid: Tally
    phase: Tally

    def __post_init__(self) -> None:
        if self.edges[:1] != (0.0,) or any(low >= high for low, high in pairwise(self.edges)):
            raise ValueError(f"edges must begin with 0 and grow: {self.edges}")
        if any(len(tally.of) != len(self.edges) for tally in self.tallies().values()):
            raise ValueError(f"every kind needs {len(self.edges)} counts, as there are edges")

    def tallies(self) -> dict[Kind, Tally]:
        """The counts by kind."""
        return {
            "on": self.on,
            "off": self.off,
            "beside": self.beside,
            "hinted": self.hinted,
            "named": self.named,
            "contradicted": self.contradicted,
            "unsaid": self.unsaid,
            "phase": self.phase,
        }

    def reliability(self, kind: Kind, probability: float) -> float:
        """How often, at least, a model that is so sure is right in such a disagreement: the lower end of an interval.

        `on` and `off` count together, for each is rare. What is less probable is taken to be right no more often, so
        a bin counts together with those below it where that gives more, and where it has fewer than LEAST cases.
        """
        tally = self.on + self.off if kind in ("on", "off") else self.tallies()[kind]
        last = max(i for i, edge in enumerate(self.edges) if edge <= probability)
        from_each = [slice(first, last + 1) for first in range(last + 1)]
        enough = [bins for bins in from_each if sum(tally.of[bins]) >= LEAST]
        return max((interval(sum(tally.right[bins]), sum(tally.of[bins]))[0] for bins in enough), default=0.0)


_NOTHING: Final = Tally(right=(0,), of=(0,))
NO_TRUST: Final = Trust(  # of a model that is asked, and whose answers change nothing
    weights="",
    sets=(),
    edges=(0.0,),
    on=_NOTHING,
    off=_NOTHING,
    beside=_NOTHING,
    hinted=_NOTHING,
    named=_NOTHING,
    contradicted=_NOTHING,
    unsaid=_NOTHING,
    phase=_NOTHING,
)


def interval(right: int, of: int) -> tuple[float, float]:
    """The share that `right` of so many stand for, as an interval of 90 %; (0, 1) of nothing.

    Source: E. B. Wilson, Probable inference, the law of succession, and statistical inference, JASA 22 (1927).
    """
    if of == 0:
        return 0.0, 1.0
    share, square = right / of, Z * Z / of
    middle, half = share + square / 2, Z * sqrt(share * (1 - share) / of + square / of / 4)
    return max(0.0, (middle - half) / (1 + square)), min(1.0, (middle + half) / (1 + square))


def bin_of(probability: float, edges: Iterable[float] = EDGES) -> int:
    """The number of the bin in which a probability lies."""
    return sum(edge <= probability for edge in edges) - 1


def load_trust(name: str, weights: str = "", folder: Path | None = None) -> Trust | None:
    """What was measured of the model of that name, or None. `weights`: the sha256 that its manifest tells.

    Raises ConfigError for a file that is not of the form, or that is about other weights.
    """
    path = (folder or FOLDER) / f"{name}.toml"
    if not path.exists():
        return None
    try:
        trust = msgspec.convert(read_toml(path), Trust)
    except msgspec.ValidationError as error:
        raise ConfigError(f"{path}: {error}") from error
    if trust.weights != weights:
        raise ConfigError(
            f"{path}: measured with the weights {trust.weights or 'of an unknown sha256'}, the model {name} has "
            f"{weights or 'others'}; measure it again with eval --calibrate, or remove the file"
        )
    return trust


def told(manifest: Manifest) -> str:
    """What the model was measured with, in words. Raises ConfigError as load_trust does."""
    trust = load_trust(manifest.name, manifest.sha256)
    return f"measured with {' and '.join(trust.sets)}" if trust else "not measured; eval --calibrate does"


def save_trust(trust: Trust, name: str, folder: Path | None = None) -> Path:
    """Write the file of the model of that name. Raises ConfigError if it cannot be written."""
    path = (folder or FOLDER) / f"{name}.toml"
    lines = [
        f"# How often {name} was right where it and the rules disagreed, by its probability; see models/trust.py.",
        "# Written by: run_pipeline.py eval FOLDER --calibrate",
        f'weights = "{trust.weights}"',
        f"sets = {msgspec.json.encode(trust.sets).decode()}",
        f"edges = {list(trust.edges)}",
    ]
    for kind, tally in trust.tallies().items():
        lines += ["", f"[{kind}]", f"right = {list(tally.right)}", f"of = {list(tally.of)}"]
    try:
        path.parent.mkdir(exist_ok=True)
        path.write_text("\n".join([*lines, ""]), encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"{path}: cannot be written: {error.strerror}") from error
    return path


def _sums(one: tuple[int, ...], other: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(a + b for a, b in zip(one, other, strict=True))
