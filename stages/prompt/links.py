"""What the dictionary knows in a line, with its ids behind it: a look-up that is not left to a model.

"Switch the Zeiss on" is written "Switch the Zeiss (M31) on", and "clamp the pedicle" "clamp the pedicle (Phase4)",
where that is a cue of the phase. What only hints at a machine has a question mark: "more sevo (M02?)". A small model is
taught to read lines so; what the ids should do, or whether they are only talked about, it has to understand itself.
Runs in the prompt process.
"""

import re
from collections.abc import Callable, Iterator
from itertools import groupby
from typing import Final, NamedTuple

from stages.prompt.cues import PhaseCues
from stages.prompt.hints import Hints
from stages.prompt.language import Language, plain
from stages.prompt.names import in_triggers, names
from stages.prompt.taught import Taught
from stages.surgery import Surgery

_NAME, _HINT, _CUE = range(3)  # in this order, where they end together
_PARTS: Final = re.compile(r"[^\W_]+")
_CLAUSE: Final = re.compile(r"[^.!?;:,—–]+")


class Linked(NamedTuple):
    """A line as a model is shown it, and the machines that only hints in it speak of."""

    text: str
    hinted: tuple[str, ...] = ()


Link = Callable[[str], Linked]  # of a line as it was said


class Links:
    """The names and cues of one surgery. What two machines are called is no link, nor is a name that was misheard."""

    def __init__(
        self, surgery: Surgery, cues: PhaseCues, hints: Hints | None = None, *, shows_hints: bool = True
    ) -> None:
        """`hints`: None if they are not asked for. `shows_hints`: whether the model was taught to read them, too."""
        owners: dict[str, set[str]] = {}
        for machine in surgery.machines:
            own = {*names(machine), *in_triggers(machine)}
            phrases = [t for t in map(plain, machine.triggers) if not any(f" {name} " in f" {t} " for name in own)]
            for words in (*own, *phrases):
                if key := _key(words):
                    owners.setdefault(key, set()).add(machine.id)
        self._ids = {key: min(ids) for key, ids in owners.items() if len(ids) == 1}
        longest_first = sorted(owners, key=len, reverse=True)
        any_name = "|".join(r"[\W_]{0,2}".join(map(re.escape, key.split())) for key in longest_first)
        self._name = re.compile(rf"(?<![^\W_])(?:{any_name})(?:s(?![^\W_])|(?![^\W_]))", re.IGNORECASE)
        self._cues = cues
        self._hints = hints
        self._shows_hints = shows_hints

    def link(self, text: str) -> Linked:
        """The line with the id of each machine behind its names and hints, and of each phase behind its cues."""
        named = self._named(text)
        known = {(end, _NAME, machine_id) for _, end, machine_id in named if machine_id}
        ids = sorted({*known, *self._marked(text, named)})
        linked, at = "", 0
        shown = [each for each in ids if self._shows_hints or each[1] != _HINT]
        for end, found in groupby(shown, key=lambda it: it[0]):
            linked += text[at:end] + "".join(f" ({found_id})" for _, _, found_id in found)
            at = end
        hinted = {marked.removesuffix("?") for _, rank, marked in ids if rank == _HINT}
        return Linked(linked + text[at:], tuple(sorted(hinted - {machine_id for _, _, machine_id in known})))

    def _named(self, text: str) -> list[tuple[int, int, str]]:
        """Where names begin and end, and their machines; "" for the name of two."""
        return [(*found.span(), self._machine(found.group())) for found in self._name.finditer(text) if self._ids]

    def _machine(self, name: str) -> str:
        key = _key(name)
        return self._ids.get(key) or self._ids.get(key.removesuffix("s")) or ""

    def _marked(self, text: str, named: list[tuple[int, int, str]]) -> Iterator[tuple[int, int, str]]:
        """Where hints and cues end, and what they mean: a cue in a name behind the name, a hint in it nowhere."""
        for clause in _CLAUSE.finditer(text):
            parts = list(_PARTS.finditer(text, *clause.span()))
            words = [part.group().casefold() for part in parts]
            for begin, end, ids in self._hints.places(words) if self._hints is not None else ():
                first, last = parts[begin].start(), parts[end].end()
                if not any(start < last and first < stop for start, stop, _ in named):
                    yield from ((last, _HINT, f"{machine_id}?") for machine_id in ids)
            for at, phase in self._cues.places(words):
                end = parts[at].end()
                yield next((stop for start, stop, _ in named if start < end < stop), end), _CUE, phase


def link_for(taught: Taught, surgery: Surgery, cues: PhaseCues, language: Language) -> Link:
    """How a line is shown to a model that was taught so, and what it hints at, shown or not."""
    if not taught.links:
        return Linked
    return Links(surgery, cues, Hints(surgery, language), shows_hints=taught.hints).link


def _key(name: str) -> str:
    return " ".join(_PARTS.findall(name.casefold()))
