"""The rule engine: what an utterance tells the machines of one surgery to do. Runs in the prompt process.

It answers at once and the same each time. A machine is switched only by a command: a mention, a statement, a
question or something for later changes nothing. Not to start a machine asserts that it is off, not to stop it
that it is on. Confidences: trigger phrase .95, alias .85, name .80; .10 less if negated, .05 more if "now".
"""

from collections.abc import Iterator
from typing import Final

import msgspec

from pipeline.messages import Action, Toggle
from stages.prompt.clauses import Clause, Sentence
from stages.prompt.lexicon import Lexicon, Mention, Token
from stages.prompt.words import TEMPORAL, TEMPORAL_ORDER
from stages.surgery import Surgery

_CONFIDENCE: Final = {"trigger": 0.95, "alias": 0.85, "name": 0.80}
_OPPOSITE: Final[dict[Action, Action]] = {"ON": "OFF", "OFF": "ON", "STANDBY": "ON"}


class Reading(msgspec.Struct, frozen=True, kw_only=True):
    """What one utterance says. A machine has at most one toggle: the last word counts."""

    toggles: tuple[Toggle, ...] = ()
    negations: tuple[str, ...] = ()  # the words that turned a toggle round
    matched_keywords: tuple[str, ...] = ()  # every dictionary phrase in it, commanded or not
    temporal: str = "none"
    deferred: tuple[str, ...] = ()  # machines that were told something for later

    @property
    def confidence(self) -> float:
        """The least of the toggles' confidences; 0.0 without any."""
        return min((toggle.confidence for toggle in self.toggles), default=0.0)


_NOTHING: Final = Reading()


class RuleEngine:
    """The rules of one surgery. `read` keeps no state."""

    def __init__(self, surgery: Surgery) -> None:
        self._lexicon = Lexicon(surgery)

    def read(self, text: str) -> Reading:
        """What `text` commands."""
        tokens = self._lexicon.tokens(text)
        if not tokens:
            return _NOTHING
        toggles: dict[str, Toggle] = {}
        negations: dict[str, None] = {}
        deferred: dict[str, None] = {}
        temporal = _temporal(tokens)
        for clause in _clauses(tokens):
            for mention, action, negated in _commands(clause):
                if clause.deferred:
                    deferred[mention.machine_id] = None
                    continue
                toggles.pop(mention.machine_id, None)
                toggles[mention.machine_id] = _toggle(mention, action, bool(negated), temporal)
                if negated:
                    negations[negated] = None
        keywords = dict.fromkeys(t.mention.words for t in tokens if t.mention is not None)
        return Reading(
            toggles=tuple(toggles.values()),
            negations=tuple(negations),
            matched_keywords=tuple(keywords),
            temporal=temporal,
            deferred=tuple(deferred),
        )


def _clauses(tokens: list[Token]) -> Iterator[Clause]:
    start = 0
    for at, token in enumerate(tokens):
        if token.kind == "end":
            yield from Sentence(tokens[start:at], asked="?" in token.text).clauses
            start = at + 1
    yield from Sentence(tokens[start:], asked=False).clauses


def _commands(clause: Clause) -> Iterator[tuple[Mention, Action, str]]:
    """Each machine of a clause with the action it asserts and the word that negated it, or ""."""
    for group in clause.groups:
        for mention in group:
            action, negated = clause.intent, clause.negation
            if action is None and mention.commands and not clause.opened:
                action = "ON"
            if action is None or (mention.adjusts and (negated or clause.cancelled)):
                continue
            yield mention, _OPPOSITE[action] if negated else action, negated or clause.cancelled * "cancel"


def _toggle(mention: Mention, action: Action, negated: bool, temporal: str) -> Toggle:
    confidence = _CONFIDENCE[mention.match_type] - 0.10 * negated + 0.05 * (temporal == "immediately")
    return Toggle(
        machine_id=mention.machine_id,
        name=mention.name,
        action=action,
        trigger=mention.words,
        confidence=round(min(1.0, max(0.0, confidence)), 2),
        match_type=mention.match_type,
    )


def _temporal(tokens: list[Token]) -> str:
    found = {
        "immediately" if t.kind == "now" else TEMPORAL.get(t.text, "in_time")
        for t in tokens
        if t.kind in ("now", "after", "before")
    }
    return next((name for name in TEMPORAL_ORDER if name in found), "none")
