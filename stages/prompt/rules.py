"""The rule engine: what an utterance tells the machines of one surgery to do. Runs in the prompt process.

It answers at once and the same each time. A machine is switched only by a construction whose object it is: see
grammar.py; a mention, a question, a story or something for later changes nothing. Not to start a machine asserts
that it is off, not to stop it that it is on. Confidences: trigger phrase .95, alias .85, name .80; .10 less if
negated, .15 less if misheard or without a name, .05 more if "now".
"""

from collections.abc import Iterable
from typing import Final

import msgspec
from msgspec.structs import replace

from pipeline.messages import Action, Deferred, Toggle
from stages.prompt.clauses import Clauses
from stages.prompt.grammar import OPPOSITE
from stages.prompt.hints import Hints
from stages.prompt.language import Language, load_language, plain
from stages.prompt.lexicon import Lexicon
from stages.prompt.referents import HINT, MENTIONED
from stages.prompt.tokens import Mention, Sentence, Token
from stages.prompt.told import Told
from stages.surgery import Machine, Surgery

_CONFIDENCE: Final = {"trigger": 0.95, "alias": 0.85, "name": 0.80}
_REMEMBERED: Final = 3  # machines, for "all three"
_TEMPORAL_ORDER: Final = ("immediately", "after", "when", "in_time", "before", "during")
_TEMPORAL: Final = {
    "after": "after",
    "following": "after",
    "before": "before",
    "until": "before",
    "till": "before",
    "prior": "before",
    "during": "during",
    "for": "during",
    "while": "during",
    "whilst": "during",
    "throughout": "during",
}


class Later(msgspec.Struct, frozen=True, kw_only=True):
    """A toggle for later. `waits_for` has the words of its condition; `delay_s` from when it was said."""

    toggle: Toggle
    waits_for: str = ""
    delay_s: float | None = None

    def shown(self, t: float) -> Deferred:
        """As it is published, said at `t`."""
        return Deferred(
            machine_id=self.toggle.machine_id,
            name=self.toggle.name,
            action=self.toggle.action,
            trigger=self.toggle.words,
            waits_for=self.waits_for,
            due_t=None if self.delay_s is None else t + self.delay_s,
        )


class Reading(msgspec.Struct, frozen=True, kw_only=True):
    """What one utterance says. A machine has at most one toggle: the last word counts."""

    toggles: tuple[Toggle, ...] = ()
    negations: tuple[str, ...] = ()  # the words that turned a toggle round
    matched_keywords: tuple[str, ...] = ()  # every dictionary phrase in it, commanded or not
    temporal: str = "none"
    deferred: tuple[Later, ...] = ()
    unknown: tuple[str, ...] = ()  # devices that this surgery does not have
    named: tuple[str, ...] = ()  # machines, the last one is what "it" means next, the last two "both of them"
    mentioned: tuple[str, ...] = ()  # all machines in it, commanded or not
    words: tuple[str, ...] = ()  # all of it, short forms written out

    @property
    def confidence(self) -> float:
        """The least of the toggles' confidences; 0.0 without any."""
        return min((toggle.confidence for toggle in self.toggles), default=0.0)


class RuleEngine:
    """The rules of one surgery. `read` keeps no state."""

    def __init__(self, surgery: Surgery, others: Iterable[Surgery] = (), language: Language | None = None) -> None:
        """`others`: surgeries whose machines are known by name, to tell what this one does not have."""
        self._language = language or load_language()
        self._surgery = surgery
        others = [other for other in others if other.surgery != surgery.surgery]
        self._lexicon = Lexicon(surgery, others, self._language)
        self._triggers = {m.id: [(f" {w} ", w) for w in map(plain, m.triggers)] for m in surgery.machines}
        self._adjusting = frozenset(self._language.things.adjust)
        self._handheld = frozenset(self._language.things.held)
        self._hand = frozenset(self._language.things.hand)
        self._articles = frozenset(self._language.glue.the)
        self._some = frozenset(self._language.things.some)
        self._hints = Hints(surgery, self._language)
        self._tokens = {m.id: _name_token(m) for m in surgery.machines}
        self._unnamed = {m.id: _hint_token(m) for m in surgery.machines}
        essential = self._language.things.essential
        self._all = [self._tokens[m.id] for m in surgery.machines if m.category not in essential]

    def read(self, text: str, speaker: str = "", before: Reading | None = None) -> Reading:
        """What `text` says. `before`: what was said shortly before, for "it" and for corrections."""
        words = self._lexicon.words(text)
        if self._lexicon.subjects.isdisjoint(words) and self._lexicon.switching.isdisjoint(words):
            return Reading(words=tuple(words))
        told, named = self._earlier(before)
        earlier, named_before = list(told), list(named)
        sentences = list(self._lexicon.sentences(words))
        hinted = self._hinted(words, sentences)
        uncounted = None
        for sentence in sentences:
            uncounted = Clauses(sentence, self._language, told, named, hinted, uncounted).uncounted
        if told == earlier and (bare := self._bare(sentences, speaker)):
            told.append(Told(bare, "ON", [t for t in sentences[0].tokens if t.letter == "M"], text))
        if _speaks(speaker, self._language.speakers.bystanders):
            told = earlier
        return self._reading(words, sentences, told, earlier, named_before, named[len(named_before) :])

    def _hinted(self, words: list[str], sentences: list[Sentence]) -> list[Token]:
        """What an utterance without any name hints at, each where it does."""
        tokens = [token for sentence in sentences for token in sentence.tokens]
        if any(token.names for token in tokens):
            return []
        places = [(at, last + 1, ids[0]) for at, last, ids in self._hints.places(words) if len(ids) == 1]
        hints = [replace(self._unnamed[machine_id], letter=HINT, start=at, end=end) for at, end, machine_id in places]
        for token in tokens:
            if token.mention is not None:
                letter = token.letter if token.letter == "M" else MENTIONED
                found = self._unnamed[token.mention.machine_id]
                hints.append(replace(found, letter=letter, start=token.start, end=token.end))
        return hints

    def _earlier(self, before: Reading | None) -> tuple[list[Told], list[Token]]:
        """What was told before as one construction, and the machines that were named."""
        if before is None:
            return [], []
        things = [self._tokens[t.machine_id] for t in before.toggles]
        told = [Told(before.toggles[-1].rule, before.toggles[-1].action, things, "", earlier=True)] if things else []
        return told, [self._tokens[i] for i in before.named]

    def _bare(self, sentences: list[Sentence], speaker: str) -> str:
        """The rule if a name and nothing else is said: a trigger, or by one who asks for machines so."""
        first = sentences[0]
        named = [token for token in first.tokens if token.letter != "," and token.text not in self._some]
        alone = len(named) == 1 and named[0].letter == "M" and not any(s.tokens for s in sentences[1:])
        if not alone or first.asked:
            return ""
        mention = named[0].mention
        if mention is not None and any(mention.words == trigger for _, trigger in self._triggers[mention.machine_id]):
            return "phrase"
        return "bare name" if _speaks(speaker, self._language.speakers.askers) else ""

    def _reading(
        self,
        words: list[str],
        sentences: list[Sentence],
        told: list[Told],
        earlier: list[Told],
        named_before: list[Token],
        named: list[Token],
    ) -> Reading:
        toggles: dict[str, Toggle] = {}
        later: list[Later] = []
        negations: dict[str, None] = {}
        unknown: dict[str, None] = {}
        temporal = _temporal(sentences)
        taken_back = [t for t in earlier if not any(t is kept for kept in told)]
        for told_before in taken_back:  # "no sorry, the suction", after "turn on the argon"
            for thing in told_before.things:
                toggle = self._toggle(thing, told_before, temporal, OPPOSITE[told_before.action], "taken back")
                toggles[toggle.machine_id] = toggle
        for one in told:
            if one.earlier:
                continue
            for thing in self._switched(one):
                if thing.mention is None or not thing.mention.machine_id:
                    unknown[thing.text] = None
                    continue
                toggle = self._toggle(thing, one, temporal, one.action, one.rule)
                if one.deferred:
                    later.append(Later(toggle=toggle, waits_for=one.waits_for, delay_s=one.delay_s))
                    continue
                said = toggles.pop(toggle.machine_id, toggle)
                toggles[toggle.machine_id] = said if thing.unnamed and said.action == toggle.action else toggle
                if one.negation:
                    negations[one.negation] = None
        mentions = [t.mention for s in sentences for t in s.tokens if t.mention is not None]
        ours = [mention for mention in mentions if _is_name(mention)]
        return Reading(
            toggles=tuple(toggles.values()),
            negations=tuple(negations),
            matched_keywords=tuple(dict.fromkeys(mention.words for mention in ours)),
            temporal=temporal,
            deferred=tuple(later),
            unknown=tuple(unknown),
            named=_last_named(named_before, named, toggles),
            mentioned=tuple({m.machine_id: None for m in ours} | toggles),
            words=tuple(words),
        )

    def _switched(self, told: Told) -> list[Token]:
        """The things that a construction switches."""
        if told.rule == "hold" and self._is_handled(told):
            return []
        things: list[Token] = []
        for thing in told.things:
            if thing.letter == "E":
                things += self._all if told.action != "ON" else []
            elif thing.letter == "T" and not self._adjusting.isdisjoint(thing.text.split()):
                continue  # how much, not whether
            elif thing.letter in "_+" and things and things[-1].letter in "_F" and things[-1].end == thing.start:
                text = f"{things[-1].text} {thing.text}"
                things[-1] = replace(things[-1], text=text, end=thing.end)
            else:
                things.append(thing)
        spared = {t.mention.machine_id for t in told.excepted if t.mention is not None}
        return [
            t for t in things if t.mention is None or not t.mention.machine_id or t.mention.machine_id not in spared
        ]

    def _is_handled(self, told: Told) -> bool:
        """Held by a hand: "hold the camera", "hold the irrigation there"."""
        following = told.following[:2]
        return not self._hand.isdisjoint(following) or any(t.text in self._handheld for t in told.things)

    def _toggle(self, thing: Token, told: Told, temporal: str, action: Action, rule: str) -> Toggle:
        mention = thing.mention
        assert mention is not None
        words, match_type = mention.words, mention.match_type
        if action == "ON" and not told.negation and not thing.misheard:
            said = f" {' '.join(w for w in plain(told.words).split() if w not in self._articles)} "
            for padded, trigger in self._triggers[mention.machine_id]:
                if padded in said:
                    words, match_type = trigger, "trigger"
        confidence = _CONFIDENCE[match_type] - 0.10 * bool(told.negation) - 0.15 * thing.misheard
        confidence -= 0.15 * mention.unnamed
        confidence += 0.05 * (temporal == "immediately")
        return Toggle(
            machine_id=mention.machine_id,
            name=mention.name,
            action=action,
            trigger=words,
            confidence=round(min(1.0, max(0.0, confidence)), 2),
            match_type=match_type,
            rule=rule + ", misheard" * thing.misheard + ", unnamed" * (mention.unnamed and rule != "unnamed"),
            words=told.words,
        )


def _last_named(before: list[Token], here: list[Token], switched: Iterable[str]) -> tuple[str, ...]:
    """The machines that were named last, those of the utterances before too if this one speaks of any."""
    spoken_of = _ids(here) or list(switched)[-1:]  # "it" alone
    latest = dict.fromkeys(reversed([*_ids(before), *spoken_of] if spoken_of else []))
    return tuple(reversed([*latest][:_REMEMBERED]))


def _ids(named: list[Token]) -> list[str]:
    return [t.mention.machine_id for t in named if t.mention is not None and _is_name(t.mention)]


def _is_name(mention: Mention) -> bool:
    return mention.machine_id != "" and not mention.unnamed


def _name_token(machine: Machine) -> Token:
    words = plain(machine.aliases[0] if machine.aliases else machine.name)
    return Token("M", words, 0, 0, Mention(machine.id, machine.name, words, "alias" if machine.aliases else "name"))


def _hint_token(machine: Machine) -> Token:
    token = _name_token(machine)
    assert token.mention is not None
    return replace(token, mention=token.mention._replace(unnamed=True))


def _speaks(speaker: str, roles: tuple[str, ...]) -> bool:
    folded = speaker.lower()
    return bool(folded) and any(role in folded for role in roles)


def _temporal(sentences: list[Sentence]) -> str:
    found = set[str]()
    for sentence in sentences:
        for token in sentence.tokens:
            if token.letter == "t":
                found.add("immediately")
            elif token.letter == "D":
                found.add("in_time")
            elif token.letter in "AU":
                words = token.text.split()
                found.add(next((_TEMPORAL[word] for word in words if word in _TEMPORAL), "when"))
    return next((name for name in _TEMPORAL_ORDER if name in found), "none")
