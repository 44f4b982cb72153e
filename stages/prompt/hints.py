"""What speaks of a machine and is not its name: "sevo" of the anesthesia machine, "dark" of the lights. Prompt process.

Which words these are, the dictionary may tell, and the language does of each kind of device; of which kind a machine
is, its names tell.
"""

from collections.abc import Iterator, Sequence
from typing import Final

from stages.prompt.language import Language, plain
from stages.prompt.names import names
from stages.prompt.stems import StemPhrases, Stems
from stages.surgery import Surgery

MOST: Final = 2  # machines that a word may hint at; of more it says nothing


class Hints:
    """The hints of one surgery."""

    def __init__(self, surgery: Surgery, language: Language) -> None:
        self._stems = Stems(language, language.cues.inflections)
        self._hints = StemPhrases[str]()
        hinted: dict[tuple[str, ...], dict[str, None]] = {}
        orders = {self._stems.stem(word) for word in _ordering(language)}
        for machine in surgery.machines:
            kind = kind_of(names(machine), language)
            for hint in (*machine.hints, *(language.devices[kind].hints if kind else ())):
                stems = self._stems.content(plain(hint).split(), keep=True)
                if not orders.issuperset(stems):
                    hinted.setdefault(stems, {})[machine.id] = None
        for stems, ids in hinted.items():
            for machine_id in ids if len(ids) <= MOST else ():
                self._hints.add(stems, machine_id)

    def places(self, words: Sequence[str]) -> Iterator[tuple[int, int, list[str]]]:
        """Where a hint begins, which word ends it, and the machines it may mean, in the dictionary's order."""
        said = [at for at, word in enumerate(words) if self._stems.says(word, keep=True)]
        for at, length, ids in self._hints.found([self._stems.stem(words[at]) for at in said]):
            if ids:
                yield said[at], said[at + length - 1], ids


def _ordering(language: Language) -> set[str]:
    """What is said of any machine: "put" and "wake" are of "put it on" and "wake it up", an hour is when."""
    groups = language.verbs
    verbs = (*groups.start, *groups.stop, *groups.standby, *groups.open, *groups.place, *groups.keep, *groups.want)
    return {*(plain(verb).split()[0] for verb in verbs), *language.units, *language.numbers}


def kind_of(own: Sequence[str], language: Language) -> str:
    """The kind of device that has most of these names, or else the longest that stands in one of them; or ""."""
    called = {name.removesuffix("s") for name in own}
    best, kind = (0, 0), ""
    for device, known in language.devices.items():
        among = {plain(name).removesuffix("s") for name in known.names}
        within = [len(name) for name in among if any(f" {name} " in f" {one} " for one in called)]
        found = (len(among & called), max(within, default=0))
        if found > best:
            best, kind = found, device
    return kind
