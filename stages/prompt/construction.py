"""What a construction tells: an action of its machines, turned round where it is denied. Runs in the prompt process."""

import re
from typing import Final

from stages.prompt.grammar import OPPOSITE, ORDERS, action_of
from stages.prompt.instead import instead
from stages.prompt.referents import Referents
from stages.prompt.tokens import Sentence, Token
from stages.prompt.told import Told

# "Do not for the life of you stop it", "do not let him stop it"
_ASIDE: Final = re.compile(r"(?<=n)(?:(?:l[da]*_)+|k[daO]{0,2}_{0,2})$")
_WHOLE_ORDERS: Final = ("4", "5")  # "don't wake her yet"


def tell(rule: str, sentence: Sentence, start: int, end: int, lead: str, referents: Referents) -> Told | None:
    """What the construction from `start` to `end` tells behind `lead`; None for a correction of nothing."""
    letters, tokens = sentence.letters[start:end], sentence.tokens[start:end]
    last = referents.last
    things, excepted = referents.of(letters, tokens)
    if rule == "split verb" and (amended := max(map(letters.rfind, "0CK"))) >= 0:
        things = [thing for thing in things if thing.start > tokens[amended].start]  # "put A, no, B on"
    if rule == "again" and last is not None:
        things = last.things
    action = last.action if rule == "also" and last is not None else action_of(letters)
    negated = [t.text for t in tokens if t.letter == "n" or (rule == "want" and t.letter == "N" and _is_wish(t))]
    if rule in ("correction", "contrast"):
        if last is None:
            return None
        rule, things = instead(rule, letters, things, tokens, last.things)
        if rule == "contrast":
            action, negated = OPPOSITE[last.action], negated[:1]
        else:
            action = last.action if things else action_of(letters.strip("CK0,n&"))
            things = things or last.things
            negated = []
    elif negated and action is not None and rule != "cancel":
        action = OPPOSITE[action]
    elif (rule in ORDERS or rule == "patient" or letters in _WHOLE_ORDERS) and (
        word := _negation(rule, sentence, start, lead)
    ):
        action, negated = OPPOSITE[action or "ON"], [word]
    return Told(
        rule=rule,
        action=action or "ON",
        things=things,
        words=" ".join(sentence.words[tokens[0].start : tokens[-1].end]),
        negation=negated[0] if negated else ("cancel" if rule == "cancel" else ""),
        excepted=excepted,
        following=sentence.words[tokens[-1].end : tokens[-1].end + 2],
    )


def _negation(rule: str, sentence: Sentence, start: int, lead: str) -> str:
    """The word that negates what follows: "do not", or a stop ("stop turning on", "hold off turning on")."""
    tail = lead.rstrip("aImubH%Pt" if rule != "patient" else "aImubH%Pt_s=")  # "do not take him off"
    if (found := _ASIDE.search(tail)) is not None:
        tail = tail[: found.start()]
    negating = "n" + "xcN0" * sentence.tokens[start].ing
    if tail[-2:] in ("nx", "nc") or not tail or tail[-1] not in negating:  # "do not stop turning on"
        return ""
    return sentence.tokens[start - len(lead) + len(tail) - 1].text


def _is_wish(closing: Token) -> bool:
    """Whether the wish is denied ("I do not want the suction off"), or it is done ("enough, suction off")."""
    return "want" in closing.text or "need" in closing.text
