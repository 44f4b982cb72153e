"""What a line says about the phase: cue words of each phase, and the machines that it switches. Prompt process.

Cues are a phase's own `cues` in the dictionary, those of its like in every operation, and the words of its name and
description. Words are compared by their stems, so that "closing" is "closure". What is asked, denied or for later is
no cue.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import pairwise
from typing import Final

from pipeline.messages import Action
from stages.prompt.language import Language, plain
from stages.surgery import Machine, Surgery

# How many times likelier a cue is in its phase than in another.
CUE: Final = 15.0
PHRASE: Final = 8.0  # two words and more of the name or description
WORD: Final = 2.0
SPOKEN: Final = 400.0  # "phase four"
FIRST_USE: Final = 6.0  # a machine goes on for the first time: the first phase that uses it
IN_USE: Final = 2.0
AFTER_USE: Final = 2.0  # it goes off: the first phase that does not use it any more
MOST: Final = 60.0  # of all cues of one line together
WIDE: Final = 4  # a machine that is used in more phases tells nothing

_KEPT: Final = frozenset(("in", "out", "on", "off", "up", "down"))
_ENDS: Final = frozenset(".!?;")
_PAUSES: Final = frozenset(",:—–")
_BE: Final = frozenset(
    (
        "is",
        "are",
        "was",
        "has",
        "have",
        "been",
        "it",
        "we",
        "i",
        "you",
        "he",
        "she",
        "they",
        "to",
        "so",
        "that",
        "there",
    )
)


class PhaseCues:
    """The cues of one surgery."""

    def __init__(self, surgery: Surgery, language: Language) -> None:
        self._language = language
        self._phases = surgery.phase_ids
        self._machines = {machine.id: machine for machine in surgery.machines}
        self._stems: dict[str, str] = {}
        self._endings = sorted(language.cues.endings, key=len, reverse=True)
        self._small = frozenset((*language.glue.the, *language.glue.preposition, *language.glue.and_, *_BE))
        self._silent = frozenset(map(self.stem, language.cues.silent))
        moods = language.moods
        self._put_off = _finder((*moods.later, *moods.occasion, *moods.meanwhile, *moods.question, *moods.story))
        self._unreal = _finder((*moods.future, *moods.negation, *moods.unreal, "no", "is not", "are not", "should"))
        self._done = frozenset(language.states.ended)
        self._cues: dict[str, list[tuple[tuple[str, ...], str, float]]] = {}
        own = {p.id: {self.content(plain(cue).split(), keep=True) for cue in p.cues} for p in surgery.phases}
        for phase in surgery.phases:
            # What another phase has as its cue is none of this one's description: "double lumen tube prep"
            known = {cue for cues in own.values() for cue in cues} - own[phase.id]
            for cue in (*phase.cues, *self._usual(surgery, phase.id)):
                self._add(known, self.content(plain(cue).split(), keep=True), phase.id, CUE)
            for part in plain(f"{phase.name}, {phase.description}").replace("&", ",").replace("/", ",").split(","):
                stems = tuple(stem for stem in self.content(part.split()) if stem not in self._silent)
                if len(stems) > 1:
                    self._add(known, stems, phase.id, PHRASE)
                for stem in stems:
                    self._add(known, (stem,), phase.id, WORD)

    def read(self, words: Iterable[str]) -> dict[str, float]:
        """Evidence from the words of a line."""
        evidence: dict[str, float] = {}
        for sentence in _parts(words, _ENDS):
            found = [(clause, cues) for clause in _parts(sentence, _PAUSES) if (cues := self._clause(clause))]
            if not found or self._is_put_off(sentence):
                continue
            for clause, cues in found:
                for phase, weight in () if self._unreal(clause) else cues.items():
                    evidence[phase] = evidence.get(phase, 1.0) * weight
        return {phase: min(MOST, weight) if weight < SPOKEN else weight for phase, weight in evidence.items()}

    def of_machine(self, machine_id: str, action: Action, first: bool) -> dict[str, float]:
        """Evidence from a machine that is switched; `first`: it goes on for the first time."""
        usage = self._machines[machine_id].phase_usage
        if not usage or len(usage) > WIDE:
            return {}
        if action == "ON":
            evidence = dict.fromkeys(usage, IN_USE)
            if first:
                evidence[usage[0]] = FIRST_USE
            return evidence
        after = self._phases.index(usage[-1]) + 1
        return {self._phases[after]: AFTER_USE} if after < len(self._phases) and action == "OFF" else {}

    def stem(self, word: str) -> str:
        """A word without its ending."""
        known = self._stems.get(word)
        if known is None:
            if len(self._stems) > 8192:
                self._stems.clear()
            ending = next((e for e in self._endings if word.endswith(e) and len(word) - len(e) >= 3), "")
            known = word[: len(word) - len(ending)]
            if len(known) > 3 and known[-1] == known[-2]:
                known = known[:-1]
            self._stems[word] = known
        return known

    def content(self, words: Iterable[str], *, keep: bool = False) -> tuple[str, ...]:
        """The stems of the words that say something; with `keep` also "in", "on", "off", "out"."""
        return tuple(self.stem(word) for word in words if self._says(word, keep=keep))

    def _says(self, word: str, *, keep: bool) -> bool:
        return word.isalnum() and (word not in self._small or (keep and word in _KEPT))

    def asserts(self, words: Iterable[str], stems: Iterable[str], *, done: bool) -> bool:
        """Whether a sentence of the line says all of `stems` to be so; with `done`: that it is over."""
        wanted = set(stems)
        for sentence in _parts(words, _ENDS):
            said = wanted <= set(map(self.stem, sentence)) and not (done and self._done.isdisjoint(sentence))
            if said and not self._is_put_off(sentence) and not self._unreal(sentence):
                return True
        return False

    def _usual(self, surgery: Surgery, phase_id: str) -> list[str]:
        """What is said in a phase like this in every operation."""
        at = self._phases.index(phase_id)
        found: list[str] = []
        for usual_phase in self._language.cues.usual.values():
            names = set(map(self.stem, usual_phase.names))
            here, before = (not names.isdisjoint(self._name(surgery, i)) for i in (at, at - 1))
            found += usual_phase.cues if here else usual_phase.then if before else ()
        return found

    def _name(self, surgery: Surgery, at: int) -> list[str]:
        return [self.stem(word) for word in plain(surgery.phases[at].name).split()] if at >= 0 else []

    def phase_of(self, stems: tuple[str, ...]) -> str:
        """The only phase that these words are a cue of, or ""."""
        found = {phase for stem in stems for cue, phase, _ in self._cues.get(stem, ()) if set(cue) <= set(stems)}
        return found.pop() if len(found) == 1 else ""

    def _add(self, known: set[tuple[str, ...]], stems: tuple[str, ...], phase: str, weight: float) -> None:
        if stems and stems not in known:
            known.add(stems)
            self._cues.setdefault(stems[0], []).append((stems, phase, weight))

    def _is_put_off(self, sentence: list[str]) -> bool:
        """Whether a sentence states nothing of now: a question, a condition, a story."""
        return sentence[-1] == "?" or self._put_off(sentence)

    def places(self, words: Sequence[str]) -> Iterator[tuple[int, str]]:
        """Where a cue ends, and the phase that it is one of. A single word of a name or description is none."""
        yield from ((at + 1, phase) for at, phase in self._spoken(words))
        said = [at for at, word in enumerate(words) if self._says(word, keep=True)]
        for at, length, here in self._found([self.stem(words[at]) for at in said]):
            phases = {phase for phase, weight in here if weight > WORD}
            if len(phases) == 1:
                yield said[at + length - 1], phases.pop()

    def _clause(self, words: list[str]) -> dict[str, float]:
        evidence = {phase: SPOKEN for _, phase in self._spoken(words)}
        stems = self.content(words, keep=True)
        heard = set[tuple[str, str]]()
        for at, _, here in self._found(stems):
            for phase, weight in here:
                if (phase, stems[at]) not in heard:
                    heard.add((phase, stems[at]))
                    evidence[phase] = evidence.get(phase, 1.0) * weight
        return evidence

    def _spoken(self, words: Sequence[str]) -> Iterator[tuple[int, str]]:
        """Where "phase four" begins, and which one it is."""
        for at, (one, other) in enumerate(pairwise(words)) if "phase" in words else ():
            if one == "phase" and (number := self._number(other)) is not None and 0 < number <= len(self._phases):
                yield at, self._phases[number - 1]

    def _found(self, stems: Sequence[str]) -> Iterator[tuple[int, int, list[tuple[str, float]]]]:
        """Where a cue begins, how many stems it has, and the phases that have it. Of cues that begin together the
        longest: "nephrostomy tube is in" is no "tube is in".
        """
        at = 0
        while at < len(stems):
            beginning = self._cues.get(stems[at])
            if beginning is None:
                at += 1
                continue
            here = [found for found in beginning if tuple(stems[at : at + len(found[0])]) == found[0]]
            longest = max((len(cue) for cue, _, _ in here), default=1)
            if here:
                yield at, longest, [(phase, weight) for cue, phase, weight in here if len(cue) == longest]
            at += longest

    def _number(self, word: str) -> int | None:
        if word.isdigit():
            return int(word)
        number = self._language.numbers.get(word)
        return None if number is None else int(number)


def usual(machine: Machine, phase: str) -> bool:
    """Whether a machine is used in a phase, as far as the dictionary says."""
    return not machine.phase_usage or phase in machine.phase_usage


def _parts(words: Iterable[str], marks: frozenset[str]) -> list[list[str]]:
    """The words between marks, each part with the mark that ends it."""
    words = list(words)
    if marks.isdisjoint(words):
        return [words] if words else []
    found: list[list[str]] = [[]]
    for word in words:
        found[-1].append(word)
        if word in marks:
            found.append([])
    return [part for part in found if part]


def _finder(phrases: Iterable[str]) -> Callable[[list[str]], bool]:
    """Tells whether words have one of the phrases in them."""
    single = set[str]()
    several: dict[str, list[list[str]]] = {}  # by the first word
    for phrase in phrases:
        first, *rest = phrase.split()
        if rest:
            several.setdefault(first, []).append([first, *rest])
        else:
            single.add(first)

    def found(words: list[str]) -> bool:
        if not single.isdisjoint(words):
            return True
        return any(
            words[at : at + len(phrase)] == phrase for at, word in enumerate(words) for phrase in several.get(word, ())
        )

    return found
