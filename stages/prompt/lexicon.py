"""From an utterance to tokens: the phrases of one surgery and of the language. Runs in the prompt process.

Phrases are looked up by their first word, longer ones first; an article inside a dictionary phrase does not matter
("isolate the lung"). What is misheard is looked for only where a machine is expected.
"""

import re
from collections.abc import Iterable, Iterator
from itertools import pairwise
from typing import Final, Literal, NamedTuple

from stages.prompt.grammar import GRAMMAR, action_of
from stages.prompt.hearing import Ear
from stages.prompt.language import Language, plain
from stages.surgery import Machine, Surgery

MatchType = Literal["trigger", "alias", "name"]

_ASIDES: Final = re.compile(r"\([^)]*\)")
_WORD: Final = re.compile(
    r"\d+(?:\.\d+)?(?![^\W_])|[^\W_]+(?:'(?!(?:s|re|ll|ve|d)\b)[a-z]+)?|'(?:s|re|ll|ve|d)\b|[,:;—–.!?()]"
)
_SHORT: Final = {"'s": "is", "'re": "are", "'ll": "will", "'ve": "have", "'d": "would"}
_PAUSES: Final = frozenset(",:—–()")
_ENDS: Final = frozenset(".!?;")
_SETTINGS: Final = frozenset(("at", "for"))  # "at six bar", "for five seconds"
_ROUGHLY: Final = frozenset(
    ("about", "around", "another", "roughly", "the", "next", "say", "maybe", "perhaps", "approximately", "less", "than")
)
MOST_HOURS: Final = 12  # "on at three" may be a time of day, "on at sixty" is a setting
RECENT_S: Final = 600.0  # "a minute ago" is as good as now
_MOST_WORDS: Final = 3  # of a name that was split
_MISSPELT_VERB: Final = re.compile(r"(?:^|[,&pmPI])(_)(?=[of][daO]*[MFG_]|[daO]*[MFG])")  # "swich off the camera"
# Where a machine is expected: behind a verb that switches, and before "on", "off", "is on" or "please".
_SLOT: Final = re.compile(
    r"(?:[s=S][of]|[vxyhwcNVXYskCKz=]|[vxyhwcNVXYsk=][da]*[MFG][da]*&)[daO]*(_{1,3})"
    r"|(_{1,3})(?=b?n?[ofz](?![dal_+OW])|P(?!_)|[&,][da]*M[ofz])"
)
_OBJECT: Final = re.compile(r"[daO]*[MGFWE](?:[,&]+[daO]*[MGFE])*$|(?<=[sx_])d$")
# Where "that" or "both" is no article but a machine: "turn that off", "stop that now", "both off".
_POINTING: Final = re.compile(
    r"(?<=[skw])[da](?=[ofz](?![da]*[MGFWET_]))|(?<=s[ofz])d(?=[,&PtDA]|$)|(?<=[xvyN])[da](?=[,Pt]*$)"
    r"|(?<![^,&Pt])[da](?=(?:%b)?[ofz][Pt]*(?:,|$))"
)


class Mention(NamedTuple):
    """A phrase for a machine. `machine_id` is "" for one that this surgery does not have."""

    machine_id: str
    name: str
    words: str
    match_type: MatchType


class Token(NamedTuple):
    """A phrase of an utterance by what it does; see language.KINDS for the letters. `start` and `end` count words."""

    letter: str
    text: str
    start: int
    end: int
    mention: Mention | None = None
    ing: bool = False
    misheard: bool = False
    delay_s: float = 0.0


class Phrase(NamedTuple):
    """A phrase behind its first word."""

    rest: list[str]
    letter: str
    text: str
    mention: Mention | None
    ing: bool


class Sentence(NamedTuple):
    """Tokens up to an end mark, fillers left out; `words` are those of the whole utterance."""

    letters: str
    tokens: list[Token]
    words: list[str]
    asked: bool


class Lexicon:
    """The phrases of one surgery; `others` are the surgeries whose machines are known by name only."""

    def __init__(self, surgery: Surgery, others: Iterable[Surgery], language: Language) -> None:
        self._language = language
        self._index: dict[str, list[Phrase]] = {}
        self._names: dict[str, Phrase] = {}  # without spaces
        self._sound = re.compile(r"\b(?:" + "|".join(map(re.escape, language.glue.sound)) + r")\b")
        self._kinds = frozenset(language.things.kinds)
        self._heads = frozenset(language.things.heads)
        self._pronouns = frozenset((*language.things.pointing, *language.things.plural))
        self._particles = frozenset(language.things.particles)
        self._adjectives = frozenset(language.glue.adjective)
        self._held = frozenset(language.things.held)
        self._halted = frozenset(language.things.halted)
        self._measures = frozenset((*language.things.measures, *language.units))
        self._articles = frozenset(w for w in language.glue.the if " " not in w)
        self._rewrites = {plain(short): plain(long) for short, long in language.rewrites.items()}
        self._rewrite = re.compile(r"\b(?:" + "|".join(map(re.escape, self._rewrites)) + r")\b")
        self._numbers = {tuple(w.split()): n for w, n in language.numbers.items()}
        self._delay_starts = frozenset(("in", "after", "within", "give", *(first for first, *_ in self._numbers)))
        taken = set[str]()
        for machine in surgery.machines:
            for words, letter, match_type in _phrases(machine, self._kinds):
                if words not in taken:
                    taken.add(words)
                    self._add(words, letter, Mention(machine.id, machine.name, words, match_type))
        for kind in language.things.sole:
            owners = [m for m in surgery.machines if any(words.split()[-1] == kind for words in _names(m))]
            if len(owners) == 1 and kind not in taken:
                taken.add(kind)
                self._add(kind, "M", Mention(owners[0].id, owners[0].name, kind, "alias"))
        foreign = {w for other in others for m in other.machines for w in _names(m)} | set(language.things.devices)
        for words in sorted(map(plain, foreign)):
            if words not in taken and words not in language.phrases:
                taken.add(words)
                self._add(words, "F", Mention("", "", words, "name"))
        subjects = set(self._index)
        switching = set[str]()
        for words, entry in language.phrases.items():
            if words not in taken:
                self._add(words, entry.letter, None, entry.ing)
                if entry.letter and entry.letter in "vxyhskwcofzrNVXYS=CKR0n":
                    switching.add(words.split()[0])
        self.switching = frozenset(switching)
        self._ear = Ear(self._names, (*language.things.ordinary, *language.things.kinds))
        verbs = language.verbs
        self._verbs = Ear(
            (w for words in (verbs.start, verbs.stop, verbs.open, verbs.standby) for w in words if " " not in w),
            language.things.ordinary,
            shortest=4,  # where a verb is expected a short one may be misspelt too: "tunr off"
            near=75.0,
        )
        for machine in surgery.machines:
            for trigger in map(plain, machine.triggers):
                if not trigger or self._is_construction(trigger):
                    continue
                for words in _alike(trigger, machine):
                    if words not in taken:
                        taken.add(words)
                        subjects.add(words.split()[0])
                        self._add(words, "T", Mention(machine.id, machine.name, trigger, "trigger"))
        self.subjects = frozenset(subjects)

    def words(self, text: str) -> list[str]:
        """The words and marks of an utterance, short forms written out; no "uh", no word said twice."""
        text = " ".join(
            text.lower().replace("’", "'").replace("-", " ").replace("...", " — ").replace("…", " — ").split()
        )
        if self._sound.search(text):
            text = " ".join(self._sound.sub(" ", text).split())
        words: list[str] = []
        for word in _WORD.findall(self._rewrite.sub(self._long, text)):
            if words[-1:] != [word] or word == "no":  # "the the"
                words.append(_SHORT.get(word, word))
        return words

    def sentences(self, words: list[str]) -> Iterator[Sentence]:
        """The sentences of an utterance."""
        tokens: list[Token] = []
        at, most = 0, len(words)
        while at < most:
            word = words[at]
            if word in _ENDS:
                yield self._sentence(tokens, words, word)
                tokens = []
                at += 1
                continue
            if word in self._particles and self._separated(tokens, word, at):
                at += 1
                continue
            token = self._token(words, at, tokens)
            if token.letter == "," and tokens and tokens[-1].letter == "d" and tokens[-1].text not in self._pronouns:
                token = token._replace(letter="")  # "turn on the ... suction"
            if token.letter:
                tokens.append(token)
            at = token.end
        yield self._sentence(tokens, words, "")

    def _separated(self, tokens: list[Token], particle: str, at: int) -> bool:
        """Whether a particle belongs to a verb before a machine: "power the camera up" is "power up the camera"."""
        found = _OBJECT.search("".join([token.letter for token in tokens]))
        if found is None or tokens[-1].end != at or not found.start():
            return False
        if tokens[-1].letter == "d" and tokens[-1].text not in self._pronouns:
            return False
        verb = tokens[found.start() - 1]
        if verb.letter in "=_" and not self._held.isdisjoint(token.text for token in tokens[found.start() :]):
            return False  # "bring the scope up a bit"
        wanted = f"{verb.text} {particle}"
        for phrase in self._index.get(verb.text, ()):
            if phrase.text == wanted and phrase.mention is None:
                tokens[found.start() - 1] = verb._replace(letter=phrase.letter, text=wanted, ing=phrase.ing)
                return True
        return False

    def _long(self, found: re.Match[str]) -> str:
        return self._rewrites[found.group()]

    def _add(self, words: str, letter: str, mention: Mention | None, ing: bool = False) -> None:
        first, *rest = words.split()
        phrase = Phrase(rest, letter, words, mention, ing)
        phrases = self._index.setdefault(first, [])
        phrases.append(phrase)
        phrases.sort(key=lambda phrase: -len(phrase.rest))
        if letter in ("M", "F") and mention is not None and (mention.machine_id or len(words) > 5):
            self._names.setdefault(words.replace(" ", ""), phrase)

    def _is_construction(self, trigger: str) -> bool:
        """Whether the grammar reads a trigger phrase by itself: "start suction" needs no entry of its own."""
        (sentence,) = self.sentences(self.words(trigger))
        found = GRAMMAR.fullmatch(sentence.letters)
        return found is not None and action_of(sentence.letters) in ("ON", None)

    def _token(self, words: list[str], at: int, before: list[Token]) -> Token:
        word = words[at]
        if word in _PAUSES:
            return Token(",", word, at, at + 1)
        begins = not before or before[-1].letter in (",", "&")
        if (delay := self._delay(words, at, begins)) is not None:
            return delay
        if word == "for" and not (before and before[-1].letter in "ofM"):  # "let it run for a minute, then ..."
            delay = self._delay(words, at + 1, False) if at + 1 < len(words) else None
            if delay is not None:
                return delay._replace(start=at)
        if word in _SETTINGS and (end := self._setting(words, at + 1)):
            return Token("", "", at, end)
        counted = word[0].isdigit() or (word,) in self._numbers
        if counted and before and before[-1].letter == "o" and (end := self._setting(words, at)):
            return Token("", "", at, end)
        following = words[at + 1] if at + 1 < len(words) else ""
        for rest, letter, text, mention, ing in self._index.get(word, ()):
            if rest and rest[0] != following and (mention is None or following not in self._articles):
                continue
            end = self._match(words, at + 1, rest, mention is not None)
            if not end:
                continue
            if not letter and word == "for" and self._is_noun(words[end : end + 1]):
                return Token("l", word, at, at + 1)  # "for a second look"
            if mention is not None:
                previous = before[-1] if before and before[-1].end == at else None
                if (
                    word in self._kinds
                    and previous is not None
                    and (previous.letter == "_" or (letter == "T" and previous.letter in "MF"))
                ):
                    continue  # another device: "balloon pump"; another tube: "the nephrostomy tube is in"
                if letter in "MF":
                    while end < len(words) and (
                        words[end] in self._heads or (letter == "F" and words[end] in self._kinds)
                    ):
                        end += 1
            return Token(letter, text, at, end, mention, ing)
        return Token("_" if not word.endswith("ly") or len(word) < 5 else "", word, at, at + 1)

    def _is_noun(self, word: list[str]) -> bool:
        """Whether a word is none that is known."""
        return bool(word) and word[0].isalpha() and all(phrase.rest for phrase in self._index.get(word[0], ()))

    def _match(self, words: list[str], at: int, rest: list[str], articles: bool) -> int:
        """Where the phrase ends, or 0 if it does not stand here."""
        end = at + len(rest)
        if words[at:end] == rest:
            return end
        if not (articles and rest):
            return 0
        for wanted in rest:
            if at < len(words) and words[at] in self._articles and words[at] != wanted:
                at += 1
            if at >= len(words) or words[at] != wanted:
                return 0
            at += 1
        return at

    def _setting(self, words: list[str], at: int) -> int:
        """Where "six bar" or "minus twenty" ends, or 0: how much, which changes nothing else."""
        if words[at : at + 1] and words[at] in self._adjectives and at + 1 < len(words):  # "low flow"
            return at + 2
        end = at + (words[at : at + 1] == ["minus"])
        first = end
        while end < len(words) and (words[end][0].isdigit() or (words[end],) in self._numbers):
            end += 1
        measured = end < len(words) and words[end] in self._measures
        if end == first or words[first] in self._articles:
            return 0
        if not (measured or first > at or end > first + 1 or self._number(words[first]) > MOST_HOURS):
            return 0
        end += measured
        if words[end : end + 1] in (["of"], ["a"], ["per"]) and end + 1 < len(words):  # "of mercury", "a minute"
            end += 2
        return end

    def _number(self, word: str) -> float:
        return float(word) if word[0].isdigit() else self._numbers[(word,)]

    def _delay(self, words: list[str], at: int, begins: bool) -> Token | None:
        """ "in five minutes", "after a minute", "ten seconds from now", "two minutes, then ..."; or a time of day.

        `begins`: a clause begins here.
        """
        if words[at] == "at" and (end := self._time_of_day(words, at + 1, begins)):
            return Token("D", " ".join(words[at:end]), at, end)
        if words[at] not in self._delay_starts and not words[at][0].isdigit():
            return None
        start = at
        given = words[at : at + 2] == ["give", "it"]  # "give it five minutes"
        counted = given or words[at] in ("in", "after", "within")
        at += counted + given
        while at < min(len(words), start + 5) and (
            words[at] in _ROUGHLY or (words[at] == "," and not _ROUGHLY.isdisjoint(words[at - 1 : at + 2]))
        ):
            at += 1
        number, at = self._amount(words, at)
        if number is None:
            return None
        unit = words[at] if at < len(words) else ""
        if unit not in self._language.units:
            if begins and words[start] == "in" and number > 1 and (not unit or unit in (",", "we", "i", "you")):
                return Token("D", " ".join(words[start:at]), start, at, delay_s=60.0 * number)  # "in five, we ..."
            return None
        end, seconds = at + 1, number * self._language.units[unit]
        if words[end : end + 2] == ["from", "now"] or words[end : end + 1] == ["later"]:
            end += 2 if words[end] == "from" else 1
        elif words[end : end + 1] == ["ago"] and seconds <= RECENT_S:
            return Token("", "", start, end + 1)
        elif not counted and not self._goes_on(words, end, begins):
            return None
        return Token("D", " ".join(words[start:end]), start, end, delay_s=seconds)

    def _amount(self, words: list[str], at: int) -> tuple[float | None, int]:
        """The number that stands here, with its words: "twenty five", "five more", "one or two"; and where it ends."""
        number: float | None = None
        for length in (4, 3, 2, 1):
            if (number := self._numbers.get(tuple(words[at : at + length]))) is not None:
                at += length
                break
        else:
            if at < len(words) and words[at].replace(".", "").isdigit():
                number = float(words[at])
                at += 1
        if number is None:
            return None, at
        ones = self._language.numbers.get(words[at], 10.0) if at < len(words) else 10.0
        if ones < 10 and words[at] not in self._articles:  # "twenty five"
            number, at = number + ones, at + 1
        if words[at : at + 1] in (["or"], ["to"]) and self._numbers.get(tuple(words[at + 1 : at + 2])) is not None:
            at += 2  # "a minute or two" stays with the first
        return number, at + (words[at : at + 1] == ["more"])

    def _goes_on(self, words: list[str], at: int, begins: bool) -> bool:
        """Whether something follows on a time that was said: "two minutes, then ...", "a minute more and we ..."."""
        following = [word for word in words[at : at + 5] if word not in (",", "more", "please")]
        if following[:1] == ["then"] or following[:2] == ["and", "then"]:
            return True
        return begins and following[:1] == ["and"] and following[1:2] in (["we"], ["i"], ["you"])

    def _time_of_day(self, words: list[str], at: int, begins: bool) -> int:
        """Where "quarter past ten", "the ten minute mark" and, where a clause begins, "ten thirty" ends; or 0."""
        if words[at : at + 1] == ["the"]:
            _, end = self._amount(words, at + 1)
            return end + 2 if words[end + 1 : end + 2] == ["mark"] else 0
        end = at + (words[at : at + 1] == ["a"])
        if words[end : end + 1] in (["quarter"], ["half"]) and words[end + 1 : end + 2] in (["past"], ["to"]):
            end += 2
            return end + ((*words[end : end + 1],) in self._numbers)
        hour, end = self._amount(words, at)
        if not begins or hour is None or hour > MOST_HOURS or words[at] in self._articles:
            return 0
        if words[end : end + 1] in ([":"], ["."]):
            end += 2
        elif words[end : end + 1] and ((words[end],) in self._numbers or words[end][0].isdigit()):
            _, end = self._amount(words, end)
        return 0 if words[end : end + 1] and words[end] in self._measures else end

    def _sentence(self, tokens: list[Token], words: list[str], mark: str) -> Sentence:
        letters = "".join([token.letter for token in tokens])
        if "_" in letters:
            letters, tokens = self._repair(letters, tokens)
        for found in _POINTING.finditer(letters):
            letters, tokens = self._pointing(letters, tokens, found.start())
        return Sentence(letters, tokens, words, mark == "?")

    def _pointing(self, letters: str, tokens: list[Token], at: int) -> tuple[str, list[Token]]:
        """ "That", if it stands for a machine, as a pronoun."""
        verb = tokens[at - 1] if at else None
        if tokens[at].text not in self._pronouns or (verb and verb.letter in "xvy" and verb.text not in self._halted):
            return letters, tokens
        pronoun = tokens[at]._replace(letter="W")
        return f"{letters[:at]}W{letters[at + 1 :]}", [*tokens[:at], pronoun, *tokens[at + 1 :]]

    def _repair(self, letters: str, tokens: list[Token]) -> tuple[str, list[Token]]:
        """Names that were split or misspelt, put in where they stand."""
        for at in range(len(tokens) - 1):
            for length in range(_MOST_WORDS, 1, -1):
                if "_" in letters[at : at + length] and self._joins(tokens[at : at + length], length):
                    name = self._ear.whole("".join(t.text for t in tokens[at : at + length]).replace(" ", ""))
                    if name:
                        return self._repair(*_put(letters, tokens, at, at + length, self._names[name], False))
        while (verb := _MISSPELT_VERB.search(letters)) is not None:
            at = verb.start(1)
            name = self._verbs.near(tokens[at].text)
            if not name:
                break
            phrase = next(p for p in self._index[name] if not p.rest)
            letters, tokens = _put(letters, tokens, at, at + 1, phrase, True)
        searched = 0
        while (slot := _SLOT.search(letters, searched)) is not None:
            group = 1 if slot.group(1) else 2
            first, last = slot.span(group)
            spans = (
                [(first, last - n) for n in range(last - first)]
                if group == 1
                else [(first + n, last) for n in range(last - first)]
            )
            for start, end in spans:
                if name := self._ear.near("".join(t.text for t in tokens[start:end])):
                    letters, tokens = _put(letters, tokens, start, end, self._names[name], True)
                    break
            searched = first + 1
        return letters, tokens

    @staticmethod
    def _joins(tokens: list[Token], length: int) -> bool:
        return len(tokens) == length and all(one.end == other.start for one, other in pairwise(tokens))


def _put(
    letters: str, tokens: list[Token], start: int, end: int, phrase: Phrase, misheard: bool
) -> tuple[str, list[Token]]:
    token = Token(
        phrase.letter, phrase.text, tokens[start].start, tokens[end - 1].end, phrase.mention, misheard=misheard
    )
    return letters[:start] + phrase.letter + letters[end:], [*tokens[:start], token, *tokens[end:]]


def _names(machine: Machine) -> list[str]:
    """A machine's own name without what stands in brackets, and its aliases."""
    return [words for words in map(plain, (*machine.aliases, _ASIDES.sub("", machine.name))) if words]


def _alike(trigger: str, machine: Machine) -> Iterator[str]:
    """A trigger phrase, and what it is with other names of its machine at the end: "insert drain", "chest drain"."""
    yield trigger
    names = sorted(_names(machine), key=len, reverse=True)
    for name in names:
        if trigger.endswith(f" {name}"):
            verb = trigger.removesuffix(name)
            yield from (verb + other for other in names if other != name)
            return


def _phrases(machine: Machine, kinds: frozenset[str]) -> Iterator[tuple[str, str, MatchType]]:
    """The names of a machine with their letters, aliases first, and the forms made of them."""
    aliases = [plain(alias) for alias in machine.aliases]
    for alias in aliases:
        doing = alias.endswith("ing") and alias[:-3] in aliases  # suctioning
        yield alias, "G" if doing else "M", "alias"
    for name in _names(machine)[len(aliases) :]:
        yield name, "M", "name"
    for alias in aliases:
        last = alias.split()[-1]
        if last.endswith("s") and len(last) > 4:
            yield alias[:-1], "M", "alias"
        elif last in kinds:
            yield f"{alias}s", "M", "alias"
        if last.endswith(("ation", "ator")):  # ventilation, irrigator: ventilating, irrigate
            stem = alias[: -len("ion" if last.endswith("ation") else "or")]
            yield f"{stem}ing", "G", "alias"
            yield f"{stem}e", "i", "alias"
