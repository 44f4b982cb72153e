"""From tokens to clauses: who is told what in one sentence. Runs in the prompt process.

A clause is one intent and the machines it is about. A verb begins a new one; "and" or a comma adds machines
to the one that stands ("turn on the suction and the irrigation"), unless they bring an intent of their own
("stop the lithotripter and suction on"). A verb reaches its object over articles and fillers and at most one
adjective: in "stop the bleeding near the camera" the camera is not told anything.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from pipeline.messages import Action
from stages.prompt.lexicon import Mention, Token
from stages.prompt.words import Kind

_INTENTS: Final[dict[Kind, Action]] = {
    "start": "ON",
    "stop": "OFF",
    "standby": "STANDBY",
    "hold": "STANDBY",
    "on": "ON",
    "off": "OFF",
}
_TRANSPARENT: Final[frozenset[Kind]] = frozenset(("the", "filler", "please", "now", "request"))


@dataclass(slots=True, eq=False)
class Clause:
    """What one part of a sentence says. `groups` are its machines, split where "and" or a comma stands."""

    intent: Action | None = None
    opened: bool = False  # by a verb such as "turn" that waits for "on" or "off"
    negation: str = ""  # the word that turns it round
    cancelled: bool = False  # the intent is already the opposite of the start that was called off
    groups: list[list[Mention]] = field(default_factory=list)
    trailed: bool = False  # the intent came after the machines: a further machine begins a new clause
    held: bool = False  # by "hold", which may mean a hand
    reached: bool = True  # False once a word stands between the verb and what follows
    gap: bool = False  # an adjective was passed
    deferred: bool = False

    @property
    def begun(self) -> bool:
        return self.intent is not None or self.opened or bool(self.negation)


class Sentence:
    """Reads the tokens of one sentence. `clauses` are those that were found, in order."""

    def __init__(self, tokens: list[Token], *, asked: bool) -> None:
        self.clauses: list[Clause] = []
        self._tokens = tokens
        self._clause = Clause()
        self._near: Kind = "end"  # the last token that counts
        self._last: Kind = "end"  # the last token
        self._joint: Kind | None = None
        self._later = False
        self._aside = False
        self._question = asked and not any(t.kind in ("request", "please", "ask", "be") for t in tokens)
        handlers: dict[Kind, Callable[[int, Token], Kind]] = {
            "mention": self._mention,
            "start": self._verb,
            "stop": self._verb,
            "standby": self._verb,
            "hold": self._verb,
            "open": self._verb,
            "cancel": self._cancel,
            "negation": self._negate,
            "on": self._particle,
            "off": self._particle,
            "after": self._after,
            "before": self._before,
            "ask": self._ask,
            "be": self._be,
            "still": self._still,
            "and": self._join,
            ",": self._join,
            "word": self._word,
        }
        for at, token in enumerate(tokens):
            if (handler := handlers.get(token.kind)) is not None:
                self._near = handler(at, token)
            self._last = token.kind
        self._close()

    def _next(self, at: int) -> Kind:
        """The kind of the next token that is not transparent."""
        return next((t.kind for t in self._tokens[at + 1 :] if t.kind not in _TRANSPARENT), "end")

    def _close(self) -> None:
        clause = self._clause
        if clause.groups and not self._question:
            clause.deferred = clause.deferred or self._later or self._aside
            self.clauses.append(clause)
        self._clause = Clause()
        self._joint = None

    def _mention(self, at: int, token: Token) -> Kind:
        mention = token.mention
        assert mention is not None
        following = self._tokens[at + 1].kind if at + 1 < len(self._tokens) else "end"
        qualified = mention.bare_noun and self._last == "word"
        if qualified or (following == "be" and mention.trail is None):  # another device; or a statement about it
            return self._word(at, token)
        if mention.lead is not None:
            self._verb(at, Token(mention.lead, token.text))
        self._add(mention, self._next(at))
        return self._trail(at, mention.trail) if mention.trail is not None else "mention"

    def _add(self, mention: Mention, following: Kind) -> None:
        clause, joint = self._clause, self._joint
        if clause.groups:
            shared = joint is not None and (joint == "and" or following in ("end", "and", ",", "on", "off"))
            adjacent = joint is None and self._near == "mention" and not mention.only_commands
            apart = mention.only_commands and mention.lead is None and mention.trail is None
            if apart or (clause.trailed and joint is None) or not (shared or adjacent):
                self._close()
        elif clause.begun and not clause.reached:
            self._close()
        clause = self._clause
        if self._near == "negation" and clause.intent is None and self.clauses and not clause.groups:
            clause.intent = self.clauses[-1].intent  # "start the suction but not the irrigation"
        if not clause.groups or self._joint is not None:
            clause.groups.append([])
        clause.groups[-1].append(mention)
        self._joint = None

    def _verb(self, at: int, token: Token) -> Kind:
        if self._last == "the":  # "the end", "at the start"
            return self._word(at, token)
        trailing = self._near == "mention" and token.kind != "open" and self._next(at) in ("end", "and", ",")
        if trailing:
            return self._trail(at, token.kind)
        clause = self._clause
        if clause.groups or clause.intent is not None or clause.opened or not clause.reached:
            self._close()
        clause = self._clause
        clause.intent = _INTENTS.get(token.kind)
        clause.opened = token.kind == "open"
        clause.held = token.kind == "hold"
        self._joint = None
        return token.kind

    def _cancel(self, at: int, token: Token) -> Kind:
        if self._near == "be":  # "there is no suction" tells, and orders nothing
            return self._word(at, token)
        if self._clause.groups or self._clause.intent is not None or not self._clause.reached:
            self._close()
        self._clause.intent, self._clause.cancelled = "OFF", True
        self._joint = None
        return "cancel"

    def _negate(self, at: int, token: Token) -> Kind:
        if self._clause.groups or self._clause.begun or not self._clause.reached:
            self._close()
        self._clause.negation = token.text
        self._joint = None
        return "negation"

    def _particle(self, at: int, token: Token) -> Kind:
        clause = self._clause
        if self._near == "open" and clause.intent is None:
            clause.intent = _INTENTS[token.kind]
            return token.kind
        last = self._next(at) in ("end", "and", ",")
        if self._near == "mention" or (clause.opened and clause.intent is None and clause.groups and last):
            return self._trail(at, token.kind)
        return self._word(at, token)

    def _trail(self, at: int, kind: Kind) -> Kind:
        """An intent after its machines: all of an undecided clause, the last group of a decided one."""
        clause = self._clause
        if clause.intent is None:
            clause.intent, clause.held = _INTENTS[kind], kind == "hold"
        elif len(clause.groups) > 1:
            group = clause.groups.pop()
            self._close()
            self._clause.intent, self._clause.held, self._clause.groups = _INTENTS[kind], kind == "hold", [group]
        self._clause.trailed = True
        return kind

    def _after(self, at: int, token: Token) -> Kind:
        if self._joint != "and":
            self._clause.deferred = True
        self._close()
        self._later = True
        return "after"

    def _before(self, at: int, token: Token) -> Kind:
        self._close()
        self._aside = True
        return "before"

    def _ask(self, at: int, token: Token) -> Kind:
        if self._near not in ("end", "and", ","):
            return self._word(at, token)
        self._close()
        self._question = True
        return "ask"

    def _be(self, at: int, token: Token) -> Kind:
        if token.text in ("is", "are", "was", "were", "isn't", "aren't") and self._near in ("end", "and", ","):
            return self._ask(at, token)
        self._word(at, token)
        return "be"

    def _still(self, at: int, token: Token) -> Kind:
        if self._clause.held and self._clause.groups:
            self._clause = Clause()
        return self._word(at, token)

    def _join(self, at: int, token: Token) -> Kind:
        if not self._clause.groups:
            self._clause = Clause()
        if token.kind == "," and self._aside:
            self._close()
            self._aside = False
        self._joint = token.kind
        return token.kind

    def _word(self, at: int, token: Token) -> Kind:
        """A word that names no machine. A verb reaches over one, after an article."""
        clause = self._clause
        if not clause.groups or self._joint is not None:
            if self._last == "the" and not clause.gap:
                clause.gap = True
            elif clause.groups:
                self._close()
            else:
                clause.reached = False
        return "word"
