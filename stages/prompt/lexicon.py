"""From an utterance to tokens: the phrases of one surgery and of the language. Runs in the prompt process.

Phrases are looked up by their first word, longer ones first; an article inside a dictionary phrase does not matter
("isolate the lung"). What is misheard is looked for only where a machine is expected.
"""

import re
from collections.abc import Iterable, Iterator
from typing import Final

from msgspec.structs import replace

from stages.prompt.amounts import Amounts
from stages.prompt.grammar import GRAMMAR, action_of
from stages.prompt.language import Language, plain
from stages.prompt.phrases import PhraseIndex
from stages.prompt.repair import Repair
from stages.prompt.tokens import MatchType, Mention, Phrase, Sentence, Token
from stages.surgery import Machine, Surgery

_ASIDES: Final = re.compile(r"\([^)]*\)")
_WORD: Final = re.compile(
    r"\d+(?:\.\d+)?(?![^\W_])|[^\W_]+(?:'(?!(?:s|re|ll|ve|d)\b)[a-z]+)?|'(?:s|re|ll|ve|d)\b|[,:;—–.!?()]"
)
_SHORT: Final = {"'s": "is", "'re": "are", "'ll": "will", "'ve": "have", "'d": "would"}
_NOBODY: Final = frozenset(("nobody", "no one"))
_BEING: Final = frozenset(("is", "was", "has"))
_PAUSES: Final = frozenset(",:—–()")
_ENDS: Final = frozenset(".!?;")
_SHORTEST_DOER: Final = 6  # letters
LONGEST: Final = 150  # tokens of a sentence: reading one takes time by their square, and speech may have no end marks
_NAMED: Final = re.compile(r"(?:_,)?[da]*M(?:[,&]*[da]*M)*")
_OBJECT: Final = re.compile(r"[daO]*[MGFWE](?:[,&]+[daO]*[MGFE])*$|(?<=[sx_])d$")
# Where "that" or "both" is no article but a machine: "turn that off", "stop that now", "both off".
_POINTING: Final = re.compile(
    r"(?<=[skw])[da](?=[ofz](?![da]*[MGFWET_]))|(?<=s[ofz])d(?=[,&PtDA]|$)|(?<=[xvyN])[da](?=[,Pt]*$)"
    r"|(?<![^,&Pt])[da](?=(?:%b)?[ofz][Pt]*(?:,|$))"
)
# "Should the pressure drop, stop the anesthetic."
_SHOULD: Final = re.compile(r"(?<![^,&])%(?=[^I,][^,]*,)")
# "Everything off but the suction", where the suction has no state of its own; and "all", where something is excepted.
_OFF_BUT: Final = re.compile(r"(?:[Ea][ofz]|[xcy]E)[P,]*(&)(?=[daO]*(?:[MGF](?!%?b?n?[ofzre])|_))")
_ALL_BUT: Final = re.compile(r"a(?=(?:[ofz][P,]*)?!)")


class Lexicon:
    """The phrases of one surgery; `others` are the surgeries whose machines are known by name only."""

    def __init__(self, surgery: Surgery, others: Iterable[Surgery], language: Language) -> None:
        self._language = language
        self._names: dict[str, Phrase] = {}  # without spaces
        self._sound = re.compile(r"\b(?:" + "|".join(map(re.escape, language.glue.sound)) + r")\b")
        self._kinds = frozenset(language.things.kinds)
        self._heads = frozenset(language.things.heads)
        self._pronouns = frozenset((*language.things.pointing, *language.things.plural))
        self._particles = frozenset(language.things.particles)
        self._held = frozenset(language.things.held)
        self._halted = frozenset(language.things.halted)
        self._articles = frozenset(w for w in language.glue.the if " " not in w)
        self._index = PhraseIndex(self._articles)
        self._rewrites = {plain(short): plain(long) for short, long in language.rewrites.items()}
        self._rewrite = re.compile(r"\b(?:" + "|".join(map(re.escape, self._rewrites)) + r")\b")
        self._amounts = Amounts(language)
        taken = set[str]()
        for machine in surgery.machines:
            for words, letter, match_type in _phrases(machine, self._kinds):
                if words not in taken:
                    taken.add(words)
                    self._add(words, letter, Mention(machine.id, machine.name, words, match_type))
        doers = {name.split()[-1] for m in surgery.machines for name in _names(m) if _is_doer(name, language)}
        self._kinds |= doers
        for kind in (*language.things.sole, *sorted(doers)):
            owners = [m for m in surgery.machines if any(words.split()[-1] == kind for words in _names(m))]
            if len(owners) == 1 and kind not in taken:
                taken.add(kind)
                self._add(kind, "M", Mention(owners[0].id, owners[0].name, kind, "alias"))
        foreign = {w for other in others for m in other.machines for w in _names(m)} | set(language.things.devices)
        for words in sorted(map(plain, foreign)):
            if words not in taken and words not in language.phrases:
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
            if word in _ENDS and self._goes_on(tokens, words, at):
                tokens.append(Token(",", ",", at, at + 1))
                at += 1
                continue
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
        letters = "".join([token.letter for token in tokens])
        if letters in ("0", "C"):
            return words[at] in ".!"
        state = next((p.letter for p in self._index.of(words[at + 1]) if not p.rest), "") if words[at + 1 :] else ""
        following = words[at + 2] if words[at + 2 :] else "."
        alone = following in _ENDS or following in _PAUSES or following in self._language.glue.please
        return words[at] in ".!" and state != "" and state in "ofz" and alone and _NAMED.fullmatch(letters) is not None

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

    def _long(self, found: re.Match[str]) -> str:
        return self._rewrites[found.group()]

    def _add(self, words: str, letter: str, mention: Mention | None, ing: bool = False) -> None:
        first, *rest = words.split()
        phrase = Phrase(rest, letter, words, mention, ing)
        self._index.add(first, phrase)
        if letter in ("M", "F") and mention is not None and (mention.machine_id or len(words) > 5):
            self._names.setdefault(words.replace(" ", ""), phrase)

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
        if self._amounts.may_begin(word) and (amount := self._amount(words, at, before)) is not None:
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

    def _amount(self, words: list[str], at: int, before: list[Token]) -> Token | None:
        """How much or when, if it is said here."""
        word = words[at]
        begins = not before or before[-1].letter in (",", "&")
        if (delay := self._amounts.delay(words, at, begins)) is not None:
            return delay
        if word == "for" and not (before and before[-1].letter in "ofM"):  # "let it run for a minute, then ..."
            delay = self._amounts.delay(words, at + 1, False) if at + 1 < len(words) else None
            if delay is not None:
                return replace(delay, start=at)
        lasted = before and before[-1].letter in "ofzr" and any(token.letter == "H" for token in before[-5:])
        if lasted and (end := self._amounts.duration(words, at)):  # "has been off two minutes"
            return Token("", "", at, end)
        if word in ("at", "for") and (end := self._amounts.setting(words, at + 1)):
            return Token("", "", at, end)
        if (
            self._amounts.counted(word)
            and before
            and before[-1].letter == "o"
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
        if "!" in letters or ("&" in letters and ("E" in letters or "a" in letters)):
            letters, tokens = _excepting(letters, tokens)
        if "_" in letters:
            letters, tokens = self._repair.repaired(letters, tokens)
        if "%" in letters and mark != "?" and (inverted := _SHOULD.search(letters)) is not None:
            at = inverted.start()
            if tokens[at].text == "should":
                tokens = [*tokens[:at], replace(tokens[at], letter="A"), *tokens[at + 1 :]]
                letters = f"{letters[:at]}A{letters[at + 1 :]}"
        for found in _POINTING.finditer(letters):
            letters, tokens = self._pointing(letters, tokens, found.start())
        return Sentence(letters, tokens, words, mark == "?")

    def _pointing(self, letters: str, tokens: list[Token], at: int) -> tuple[str, list[Token]]:
        """ "That", if it stands for a machine, as a pronoun."""
        verb = tokens[at - 1] if at else None
        if tokens[at].text not in self._pronouns or (verb and verb.letter in "xvy" and verb.text not in self._halted):
            return letters, tokens
        pronoun = replace(tokens[at], letter="W")
        return f"{letters[:at]}W{letters[at + 1 :]}", [*tokens[:at], pronoun, *tokens[at + 1 :]]


def _excepting(letters: str, tokens: list[Token]) -> tuple[str, list[Token]]:
    """ "But" as "except", and "all" as "everything", where machines are excepted."""
    tokens = list(tokens)
    for found in _OFF_BUT.finditer(letters):
        if tokens[found.start(1)].text == "but" and tokens[found.start()].text != "both":
            tokens[found.start(1)] = replace(tokens[found.start(1)], letter="!")
    letters = "".join([token.letter for token in tokens])
    for found in _ALL_BUT.finditer(letters):
        if tokens[found.start()].text == "all":
            tokens[found.start()] = replace(tokens[found.start()], letter="E")
    return "".join([token.letter for token in tokens]), tokens


def _last_pause(tokens: list[Token]) -> int:
    """Where to cut tokens that do not end: before the last comma or "and" of their second half, or behind them all."""
    later = range(len(tokens) - 1, len(tokens) // 2, -1)
    return next((at for at in later if tokens[at].letter in (",", "&")), len(tokens))


def _names(machine: Machine) -> list[str]:
    """A machine's own name without what stands in brackets, and its aliases."""
    return [words for words in map(plain, (*machine.aliases, _ASIDES.sub("", machine.name))) if words]


def _is_doer(name: str, language: Language) -> bool:
    """Whether a name of several words ends in what the machine does: "stone crusher" may be called "the crusher"."""
    last = name.split()[-1]
    known = last in language.phrases or last in language.things.ordinary or last in language.things.kinds
    return " " in name and len(last) >= _SHORTEST_DOER and last.endswith(("er", "or")) and not known


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
