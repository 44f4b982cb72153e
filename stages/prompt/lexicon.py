"""From an utterance to tokens: the phrases of one surgery and of the language. Runs in the prompt process.

Phrases are looked up by their first word, longer ones first; an article inside a dictionary phrase does not matter
("isolate the lung"). What is misheard is looked for only where a machine is expected.
"""

import re
from collections.abc import Iterable, Iterator
from typing import Final

from msgspec.structs import replace

from stages.prompt.amounts import Amounts
from stages.prompt.delays import Delays
from stages.prompt.governed import WAITING, governed
from stages.prompt.grammar import GRAMMAR, action_of
from stages.prompt.language import Language, plain
from stages.prompt.names import alike, in_triggers, is_doer, names, phrases
from stages.prompt.phrases import PhraseIndex
from stages.prompt.repair import Repair
from stages.prompt.rereading import Rereading
from stages.prompt.settings import Settings
from stages.prompt.spoken import Spoken
from stages.prompt.tokens import Mention, Phrase, Sentence, Token
from stages.prompt.unnamed import unnamed
from stages.surgery import Surgery

_NOBODY: Final = frozenset(("nobody", "no one"))
_BEING: Final = frozenset(("is", "was", "has"))
_ALL_OF_THEM: Final = frozenset(("both", "all"))
_YES: Final = frozenset(("yes", "yeah", "yep"))
_OKAY: Final = frozenset(("okay", "ok", "alright", "oh"))
_IF_SO: Final = frozenset(("if it is", "if it is not"))
_WAYS: Final = frozenset(("up", "down"))
_PLACES: Final = frozenset(("there", "here"))
_FOR_ME: Final = frozenset(("for me", "for us"))
_THANKS: Final = frozenset(("please", "thanks", "thank", "cheers"))
_MOST_VOCATIVE: Final = 3  # words
_MOST_ROUGHLY: Final = 4  # words before how long something has been
_PAUSES: Final = frozenset(",:—–()")
_ENDS: Final = frozenset(".!?;")
LONG_TALK: Final = 8  # tokens, without an end mark
LONGEST: Final = 150  # tokens of a sentence: reading one takes time by their square, and speech may have no end marks
_NAMED: Final = re.compile(r"(?:_,)?[da]*M(?:[,&]*[da]*M)*")
_OBJECT: Final = re.compile(r"[daO]*[MGFWE6;](?:[,&]+[daO]*[MGFE])*$|(?<=[sxv_])d$")


class Lexicon:
    """The phrases of one surgery; `others` are the surgeries whose machines are known by name only."""

    def __init__(self, surgery: Surgery, others: Iterable[Surgery], language: Language) -> None:
        self._language = language
        self._names: dict[str, Phrase] = {}  # without spaces
        self._kinds = frozenset(language.things.kinds)
        self._heads = frozenset(language.things.heads)
        self._pronouns = frozenset((*language.things.pointing, *language.things.plural))
        self._particles = frozenset(language.things.particles)
        self._held = frozenset(language.things.held)
        self._articles = frozenset(w for w in language.glue.the if " " not in w)
        self._index = PhraseIndex(self._articles)
        self._amounts = Amounts(language)
        self._delays = Delays(language, self._amounts)
        self._settings = Settings(surgery, language, self._amounts)
        self._lasting = frozenset((*language.times.roughly, *language.times.small, "for", "a"))
        self._spoken = Spoken(language, lambda word: bool(self._index.of(word)))
        self.words = self._spoken.words
        lamps = {m.id for m in surgery.machines if any(name.endswith(language.things.lamps) for name in names(m))}
        self._rereading = Rereading(language, lambda token: _machine_of(token) in lamps)
        self._vocative = frozenset(map(plain, language.glue.vocative))
        self._vocative_first = frozenset(words.split()[0] for words in self._vocative)
        self._determiners = self._articles - {"a", "an", "any", "more", "some"}
        self._beginning = self._determiners | frozenset(language.glue.subject)
        taken = set[str]()
        for machine in surgery.machines:
            for words, letter, match_type in phrases(machine, self._kinds):
                if words not in taken:
                    taken.add(words)
                    self._add(words, letter, Mention(machine.id, machine.name, words, match_type))
        for machine in surgery.machines:
            for words in in_triggers(machine):
                if words not in taken and words not in language.phrases and words not in language.things.ordinary:
                    taken.add(words)
                    self._add(words, "M", Mention(machine.id, machine.name, words, "alias"))
        doers = {name.split()[-1] for m in surgery.machines for name in names(m) if is_doer(name, language)}
        self._kinds |= doers
        for kind in (*language.things.sole, *sorted(doers)):
            owners = [m for m in surgery.machines if any(words.split()[-1] == kind for words in names(m))]
            if len(owners) == 1 and kind not in taken:
                taken.add(kind)
                self._add(kind, "M", Mention(owners[0].id, owners[0].name, kind, "alias"))
        ours = set(taken)
        foreign = {w for other in others for m in other.machines for w in names(m)} | set(language.things.devices)
        for words in sorted(map(plain, foreign)):
            if words not in taken and words not in language.phrases and not self._is_ours(words):
                taken.add(words)
                self._add(words, "F", Mention("", "", words, "name"))
        subjects = self._index.first_words()
        switching = set[str]()
        for words, entry in language.phrases.items():
            if words not in taken:
                self._add(words, entry.letter, None, entry.ing)
                if entry.letter and entry.letter in "vxyhskwcofzrNVXYS=CKR0n":
                    switching.add(words.split()[0])
        self.switching = frozenset(switching)
        groups = language.verbs
        verbs = list(map(plain, (*groups.start, *groups.stop, *groups.open, *groups.standby)))
        single = {verb: next(p for p in self._index.of(verb) if not p.rest) for verb in verbs if " " not in verb}
        self._repair = Repair(self._names, single, language)
        for machine in surgery.machines:
            for trigger in map(plain, machine.triggers):
                if not trigger or self._is_construction(trigger):
                    continue
                for words in alike(trigger, machine):
                    if words not in taken:
                        taken.add(words)
                        ours.add(words)
                        subjects.add(words.split()[0])
                        self._add(words, "T", Mention(machine.id, machine.name, trigger, "trigger"))
        for words, letter, machine, doing in unnamed(surgery, language):
            if words not in ours:
                subjects.add(words.split()[0])
                mention = Mention(machine.id, machine.name, words, "alias", unnamed=True)
                self._add(words, letter, mention, doing, first=True)
        self.subjects = frozenset(subjects)

    def sentences(self, words: list[str]) -> Iterator[Sentence]:
        """The sentences of an utterance."""
        tokens: list[Token] = []
        at, most = 0, len(words)
        while at < most:
            word = words[at]
            if word in _ENDS and self._goes_on(tokens, words, at):
                tokens.append(Token(",", ",", at, at + 1))
                at += 1
                continue
            if word in _ENDS:
                yield self._sentence(tokens, words, word)
                tokens = []
                at += 1
                continue
            if word in _OKAY and self._resumes(tokens, words, at):
                yield self._sentence(tokens, words, "")
                tokens = []
                at += 1
                continue
            if word in self._particles and self._separated(tokens, word, at):
                at += 1
                continue
            token = self._token(words, at, tokens)
            hesitates = token.letter == "," and tokens != [] and tokens[-1].letter == "d" and tokens[-1].end == at
            if hesitates and tokens[-1].text not in self._pronouns:
                token = replace(token, letter="")  # "turn on the ... suction"
            if token.letter:
                tokens.append(token)
            at = token.end
            if len(tokens) == LONGEST:
                cut = _last_pause(tokens)
                yield self._sentence(tokens[:cut], words, "")
                tokens = tokens[cut:]
        yield self._sentence(tokens, words, "")

    def _goes_on(self, tokens: list[Token], words: list[str], at: int) -> bool:
        """Whether a sentence ends at `at` only by its mark: "Suction. Off." and "no. Sorry, the suction"."""
        mark, letters = words[at], "".join([token.letter for token in tokens])
        if letters in ("0", "C"):
            return mark in ".!"
        if words[at + 1 : at + 2] and words[at + 1] in _ALL_OF_THEM:  # "camera, suction. Both off."
            at += 1
        if words[at + 1 : at + 2] == ["now"] and _NAMED.fullmatch(letters):  # "suction! now!"
            rest = words[at + 2 :]
            return mark in ".!" and (_PAUSES.issuperset(rest) or rest[0] in _ENDS)
        state = next((p.letter for p in self._index.of(words[at + 1]) if not p.rest), "") if words[at + 1 :] else ""
        following = words[at + 2] if words[at + 2 :] else "."
        alone = following in _ENDS or following in _PAUSES or following in self._language.glue.please
        return mark in ".!" and state != "" and state in "ofz" and alone and _NAMED.fullmatch(letters) is not None

    def _resumes(self, tokens: list[Token], words: list[str], at: int) -> bool:
        """Whether long talk ends here, and an order begins: "... with ice cream, okay, suction on"."""
        if len(tokens) < LONG_TALK or tokens[-1].letter != ",":
            return False
        return self._begins(words, at + 1 + (words[at + 1 : at + 2] == [","]))

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
        for phrase in self._index.of(verb.text):
            if phrase.text == wanted and phrase.mention is None:
                tokens[found.start() - 1] = replace(verb, letter=phrase.letter, text=wanted, ing=phrase.ing)
                return True
        return False

    def _add(self, words: str, letter: str, mention: Mention | None, ing: bool = False, *, first: bool = False) -> None:
        word, *rest = words.split()
        phrase = Phrase(rest, letter, words, mention, ing)
        self._index.add(word, phrase, first=first)
        named = mention is not None and not mention.unnamed and (mention.machine_id or len(words) > 5)
        if letter in ("M", "F") and named:
            self._names.setdefault(words.replace(" ", ""), phrase)

    def _is_ours(self, words: str) -> bool:
        """Whether they are a name of this surgery's, split ("head light") or with another noun ("echo machine")."""
        phrase = self._names.get("".join(w for w in words.split() if w not in self._heads)) or self._names.get(
            words.replace(" ", "")
        )
        return phrase is not None and phrase.letter == "M"

    def _is_construction(self, trigger: str) -> bool:
        """Whether the grammar reads a trigger phrase by itself: "start suction" needs no entry of its own."""
        sentences = list(self.sentences(self.words(trigger)))
        found = GRAMMAR.fullmatch(sentences[0].letters) if len(sentences) == 1 else None
        return found is not None and action_of(found.group()) in ("ON", None)

    def _token(self, words: list[str], at: int, before: list[Token]) -> Token:
        word = words[at]
        if before and before[-1].text in _NOBODY and word.endswith("s") and word not in _BEING:
            word = word[:-2] if word.endswith(("ches", "shes")) else word[:-1]  # "nobody stops it"
        if word in _PAUSES:
            return Token(",", word, at, at + 1)
        if word in _YES and _is_said(before):  # "defib on, yes, the defib"
            return Token(",", word, at, at + 1)
        if word in _OKAY and _is_said(before) and self._begins(words, at + 1):
            return Token(",", word, at, at + 1)  # "it is loud okay suction off"
        if (end := self._addressed(words, at, before)) > at:
            return Token("", "", at, end)
        if (called := self._settings.called_out(words, at, before)) is not None:
            return called
        if self._delays.may_begin(word) and (amount := self._amount(words, at, before)) is not None:
            return amount
        following = words[at + 1] if at + 1 < len(words) else ""
        for rest, letter, text, mention, ing in self._index.at(word, following):
            if rest and rest[0] != following and (mention is None or following not in self._articles):
                continue
            end = self._match(words, at + 1, rest, mention is not None)
            if not end:
                continue
            if not letter and word == "for" and self._is_noun(words[end : end + 1]):
                return Token("l", word, at, at + 1)  # "for a second look"
            if text in _FOR_ME and _is_last(before, "of", at):
                return Token("P", text, at, end)  # "suction on for me"
            if letter == "q" and rest and word in _BEING and _is_last(before, "n", at):
                continue  # "under no circumstances is that pump to be stopped"
            if text in _IF_SO and words[end : end + 1] and words[end] not in _PAUSES | _ENDS:
                continue  # "if it is not too much to ask"
            if not rest and (read := self._in_context(word, at, following, before)):
                return Token(read, word, at, at + 1)
            if mention is not None:
                if mention.unnamed and self._cuts_a_name(words, at, end):
                    continue  # "put the gas machine on" puts no gas on
                previous = before[-1] if before and before[-1].end == at else None
                if mention.unnamed and letter in "M6;" and previous is not None and self._is_noun_before(previous):
                    continue  # "the camera picture", "a blood gas"
                if (
                    word in self._kinds
                    and previous is not None
                    and (previous.letter == "_" or (letter == "T" and previous.letter in "MF"))
                ):
                    continue  # another device: "balloon pump"; another tube: "the nephrostomy tube is in"
                if letter == "T" and words[end - 1] in _WAYS and words[end : end + 1] and words[end] in _PLACES:
                    continue  # "those lights up there"
                if letter in "MF":
                    while end < len(words) and (
                        words[end] in self._heads
                        or (letter == "F" and (words[end] in self._kinds or self._is_device(words[end])))
                    ):
                        end += 1
                    if letter == "F" and self._is_device(words[end - 1]):
                        text = " ".join(words[at:end])  # "the microwave generator"
            return Token(letter, text, at, end, mention, ing)
        return Token("_" if not word.endswith("ly") or len(word) < 5 else "", word, at, at + 1)

    def _is_noun_before(self, token: Token) -> bool:
        return token.letter in ("M", "G", "F", "_", "+", "6", ";") and not self._amounts.counted(token.text)

    def _cuts_a_name(self, words: list[str], start: int, end: int) -> bool:
        """Whether a machine's name begins within these words and goes on behind them."""
        return any(
            phrase.mention is not None
            and not phrase.mention.unnamed
            and phrase.letter == "M"
            and at + 1 + len(phrase.rest) > end
            and tuple(words[at + 1 : at + 1 + len(phrase.rest)]) == tuple(phrase.rest)
            for at in range(start + 1, end)
            for phrase in self._index.of(words[at])
        )

    def _is_device(self, word: str) -> bool:
        return word.endswith(self._language.things.device_endings) and not self._index.of(word)

    def _begins(self, words: list[str], at: int) -> bool:
        """Whether a machine or an order begins here."""
        at += words[at : at + 1] != [] and words[at] in self._articles
        return at < len(words) and any(phrase.letter in tuple("MGTvxysk=") for phrase in self._index.of(words[at]))

    def _addressed(self, words: list[str], at: int, before: list[Token]) -> int:
        """Where words end that only say who is spoken to: "suction off, mate"; else `at`."""
        if words[at] not in self._vocative_first or _is_last(before, "da", at):
            return at
        for end in range(min(at + _MOST_VOCATIVE, len(words)), at, -1):
            ends = end == len(words) or words[end] in _PAUSES or words[end] in _ENDS or words[end] in _THANKS
            if ends and " ".join(words[at:end]) in self._vocative:
                return end
        return at

    def _in_context(self, word: str, at: int, following: str, before: list[Token]) -> str:
        """The letter that a word has only here, or "": "off for the scan", "on so we can see", "got their lead"."""
        if word == "for" and _is_last(before, "of", at) and following in self._determiners:
            return "U"
        if word == "so" and _is_said(before) and before[-1].letter in "ofzelrMWGPt" and following in self._beginning:
            clause = "".join([token.letter for token in before]).rpartition(",")[2]
            return "," if {"b", "B", "H"} & set(clause) else "Q"  # "it is out, so the lights can go on" follows from it
        if (
            word == "their"
            and before
            and before[-1].letter in ("H", "w", "b")
            and all(phrase.letter not in "MF" for phrase in self._index.of(following))
        ):
            return "d"  # another team is told by its machines: "their suction"
        return ""

    def _lasted(self, words: list[str], at: int) -> int:
        """Where how long something has been ends: "has been off two minutes", "on for about ten minutes"; or 0."""
        for start in range(at, min(at + _MOST_ROUGHLY, len(words))):
            if end := self._amounts.duration(words, start):
                return end
            if words[start] not in self._lasting:
                break
        return 0

    def _amount(self, words: list[str], at: int, before: list[Token]) -> Token | None:
        """How much or when, if it is said here."""
        word = words[at]
        begins = not before or before[-1].letter in (",", "&") or words[at - 1] in ("wait", "say")
        if (delay := self._delays.delay(words, at, begins)) is not None:
            return delay
        if word == "for" and not (before and before[-1].letter in "ofM"):  # "let it run for a minute, then ..."
            delay = self._delays.delay(words, at + 1, False) if at + 1 < len(words) else None
            if delay is not None:
                return replace(delay, start=at)
        lasted = before and before[-1].letter in "ofzr" and any(token.letter == "H" for token in before[-5:])
        if lasted and (end := self._lasted(words, at)):
            return Token("", "", at, end)
        if word in ("at", "for") and (end := self._amounts.setting(words, at + 1)):
            return Token("", "", at, end)
        if (
            self._amounts.counted(word)
            and before
            and (before[-1].letter == "o" or before[-1].unnamed)  # "coag thirty"
            and (end := self._amounts.setting(words, at))
        ):
            return Token("", "", at, end)
        return None

    def _is_noun(self, word: list[str]) -> bool:
        """Whether a word is none that is known."""
        return bool(word) and word[0].isalpha() and all(phrase.rest for phrase in self._index.of(word[0]))

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

    def _sentence(self, tokens: list[Token], words: list[str], mark: str) -> Sentence:
        letters = "".join([token.letter for token in tokens])
        if not WAITING.isdisjoint(letters):
            letters, tokens = governed(letters, tokens, words, self._language)
        letters, tokens = self._rereading.before_names(letters, tokens)
        if "_" in letters:
            letters, tokens = self._repair.repaired(letters, tokens)
        letters, tokens = self._rereading.after_names(letters, tokens, asked=mark == "?")
        return Sentence(letters, tokens, words, mark == "?")


def _is_last(before: list[Token], letters: str, at: int) -> bool:
    """Whether such a token ends at `at`."""
    return bool(before) and before[-1].end == at and before[-1].letter != "" and before[-1].letter in letters


def _is_said(before: list[Token]) -> bool:
    """Whether something may be over here: not behind a verb without its object ("start okay the suction")."""
    letters = "".join([token.letter for token in before[-2:]])
    return letters[-1:] in tuple("_+lrebPtofzM") and letters not in ("so", "sf", "=o", "=f")


def _machine_of(token: Token) -> str:
    return "" if token.mention is None else token.mention.machine_id


def _last_pause(tokens: list[Token]) -> int:
    """Where to cut tokens that do not end: before the last comma or "and" of their second half, or behind them all."""
    later = range(len(tokens) - 1, len(tokens) // 2, -1)
    return next((at for at in later if tokens[at].letter in (",", "&")), len(tokens))
