"""What the dictionary knows in a line, with its ids behind it: a look-up that is not left to a model.

"Switch the Zeiss on" is written "Switch the Zeiss (M31) on", and "clamp the pedicle" "clamp the pedicle (Phase4)",
where that is a cue of the phase. A small model is taught to read lines so; what the ids behind the names should do,
or whether they are only talked about, it has to understand itself. Runs in the prompt process.
"""

import re
from collections.abc import Callable
from itertools import groupby
from typing import Final

from stages.prompt.cues import PhaseCues
from stages.prompt.language import plain
from stages.prompt.names import in_triggers, names
from stages.surgery import Surgery

Link = Callable[[str], str]  # a line as it was said, to the line as a model is shown it

_PARTS: Final = re.compile(r"[^\W_]+")
_CLAUSE: Final = re.compile(r"[^.!?;:,—–]+")


class Links:
    """The names and cues of one surgery. What two machines are called is no link, nor is a name that was misheard."""

    def __init__(self, surgery: Surgery, cues: PhaseCues) -> None:
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

    def link(self, text: str) -> str:
        """The line with the id of each machine behind each of its names, and of each phase behind each of its cues."""
        named = self._named(text)
        ids = sorted((*((end, 0, machine_id) for _, end, machine_id in named if machine_id), *self._cued(text, named)))
        linked, at = "", 0
        for end, found in groupby(ids, key=lambda it: it[0]):
            linked += text[at:end] + "".join(f" ({found_id})" for _, _, found_id in found)
            at = end
        return linked + text[at:]

    def _named(self, text: str) -> list[tuple[int, int, str]]:
        """Where names begin and end, and their machines; "" for the name of two."""
        return [(*found.span(), self._machine(found.group())) for found in self._name.finditer(text) if self._ids]

    def _machine(self, name: str) -> str:
        key = _key(name)
        return self._ids.get(key) or self._ids.get(key.removesuffix("s")) or ""

    def _cued(self, text: str, named: list[tuple[int, int, str]]) -> set[tuple[int, int, str]]:
        """Where cues end, behind the name that they are a part of, and their phases."""
        ids = set[tuple[int, int, str]]()
        for clause in _CLAUSE.finditer(text):
            words = list(_PARTS.finditer(text, *clause.span()))
            for at, phase in self._cues.places([word.group().casefold() for word in words]):
                end = words[at].end()
                ids.add((next((last for first, last, _ in named if first < end < last), end), 1, phase))
        return ids


def _key(name: str) -> str:
    return " ".join(_PARTS.findall(name.casefold()))
