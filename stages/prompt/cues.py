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
from stages.prompt.stems import StemPhrases, Stems
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

_ENDS: Final = frozenset(".!?;")
_PAUSES: Final = frozenset(",:—–")


class PhaseCues:
    """The cues of one surgery."""

    def __init__(self, surgery: Surgery, language: Language) -> None:
        self._language = language
        self._phases = surgery.phase_ids
        self._machines = {machine.id: machine for machine in surgery.machines}
        self.stems = stems = Stems(language, language.cues.endings)
        self._silent = frozenset(map(stems.stem, language.cues.silent))
        moods = language.moods
        self._put_off = _finder((*moods.later, *moods.occasion, *moods.meanwhile, *moods.question, *moods.story))
        self._unreal = _finder((*moods.future, *moods.negation, *moods.unreal, "no", "is not", "are not", "should"))
        self._done = frozenset(language.states.ended)
        self._cues = StemPhrases[tuple[str, float]]()
        own = {p.id: {stems.content(plain(cue).split(), keep=True) for cue in p.cues} for p in surgery.phases}
        for phase in surgery.phases:
            # What another phase has as its cue is none of this one's description: "double lumen tube prep"
            known = {cue for cues in own.values() for cue in cues} - own[phase.id]
            for cue in (*phase.cues, *self._usual(surgery, phase.id)):
                self._add(known, stems.content(plain(cue).split(), keep=True), phase.id, CUE)
            for part in plain(f"{phase.name}, {phase.description}").replace("&", ",").replace("/", ",").split(","):
                said = tuple(stem for stem in stems.content(part.split()) if stem not in self._silent)
                if len(said) > 1:
                    self._add(known, said, phase.id, PHRASE)
                for stem in said:
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

    def asserts(self, words: Iterable[str], stems: Iterable[str], *, done: bool) -> bool:
        """Whether a sentence of the line says all of `stems` to be so; with `done`: that it is over."""
        wanted = set(stems)
        for sentence in _parts(words, _ENDS):
            said = wanted <= set(map(self.stems.stem, sentence)) and not (done and self._done.isdisjoint(sentence))
            if said and not self._is_put_off(sentence) and not self._unreal(sentence):
                return True
        return False

    def _usual(self, surgery: Surgery, phase_id: str) -> list[str]:
        """What is said in a phase like this in every operation."""
        at = self._phases.index(phase_id)
        found: list[str] = []
        for usual_phase in self._language.cues.usual.values():
            names = set(map(self.stems.stem, usual_phase.names))
            here, before = (not names.isdisjoint(self._name(surgery, i)) for i in (at, at - 1))
            found += usual_phase.cues if here else usual_phase.then if before else ()
        return found

    def _name(self, surgery: Surgery, at: int) -> list[str]:
        return [self.stems.stem(word) for word in plain(surgery.phases[at].name).split()] if at >= 0 else []

    def phase_of(self, stems: tuple[str, ...]) -> str:
        """The only phase that these words are a cue of, or ""."""
        found = {phase for phase, _ in self._cues.within(stems)}
        return found.pop() if len(found) == 1 else ""

    def _add(self, known: set[tuple[str, ...]], stems: tuple[str, ...], phase: str, weight: float) -> None:
        if stems and stems not in known:
            known.add(stems)
            self._cues.add(stems, (phase, weight))

    def _is_put_off(self, sentence: list[str]) -> bool:
        """Whether a sentence states nothing of now: a question, a condition, a story."""
        return sentence[-1] == "?" or self._put_off(sentence)

    def places(self, words: Sequence[str]) -> Iterator[tuple[int, str]]:
        """Where a cue ends, and the phase that it is one of. A single word of a name or description is none."""
        yield from ((at + 1, phase) for at, phase in self._spoken(words))
        said = [at for at, word in enumerate(words) if self.stems.says(word, keep=True)]
        for at, length, here in self._cues.found([self.stems.stem(words[at]) for at in said]):
            phases = {phase for phase, weight in here if weight > WORD}
            if len(phases) == 1:
                yield said[at + length - 1], phases.pop()

    def _clause(self, words: list[str]) -> dict[str, float]:
        evidence = {phase: SPOKEN for _, phase in self._spoken(words)}
        stems = self.stems.content(words, keep=True)
        heard = set[tuple[str, str]]()
        for at, _, here in self._cues.found(stems):
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
