"""Stories and side clauses, told by their letters alone. Runs in the prompt process."""

import re
from collections.abc import Container, Sequence
from itertools import pairwise
from typing import Final

from stages.prompt.grammar import GRAMMAR, MACHINES, ORDERS
from stages.prompt.tokens import Token

_SMALL: Final = re.compile(r"(?:[tPal_+dMI]|&(?=[daO]*M))*")  # "start A behind you and B when ..."
_PAUSED: Final = re.compile(r"[,&Pt]*")
_REASONS: Final = ("in case", "as we")  # "suction on, in case she bleeds"
_FINITE: Final = ("state", "passive")
_BE: Final = re.compile(r"[b%m]")
_UNTIL: Final = frozenset(("until", "till"))
_VAGUE: Final = frozenset(",&aPtjn_D")  # "in a minute, maybe two, not straight away"
_DONE: Final = frozenset("SVXY")
_NOT_YET: Final = frozenset("buwJmL%p")  # "to be switched off", "I want it switched off"
_NO_VERB: Final = frozenset("dal+MOP")
_OBJECT: Final = re.compile(r"I[^,]*_$")  # "we cleaned the scope, suction off"
# A clause about no machine that is done before another: "let me finish this first, then ..."
_BEFORE_THEN: Final = re.compile(r"[,&]?([^,&MFGTW]+|[^,&]*[ID][^,&]*),?$")


def adjoins(letters: str, end: int, at: int, condition: str) -> bool:
    """Whether a condition at `at` belongs to the construction that ends at `end`.

    It does if only small words stand between; behind a comma if it begins with "only", or if it ends the sentence and
    has no main clause: "start the suction, once the stone is out".
    """
    if _SMALL.fullmatch(letters, end, at):
        return True
    if not _PAUSED.fullmatch(letters, end, at) or condition.startswith(_REASONS):
        return False
    rest = letters[at + 1 :].rstrip(",Pt")
    joined = "&" in rest and GRAMMAR.search(rest, rest.index("&")) is not None
    if condition.startswith("but "):
        return not _leads(rest)  # "suction off, but after the protamine"
    return condition.startswith("only") or not ("," in rest or joined or "I" in rest[1:] or _leads(rest))


def _leads(clause: str) -> bool:
    """Whether a condition's clause goes on to what waits for it: "once he sleeps turn it off", "... it goes off"."""
    for found in GRAMMAR.finditer(clause):
        rule = str(found.lastgroup).replace("_", " ")
        if rule in ORDERS or (rule in _FINITE and _BE.search(found.group()) and clause[: found.start()].strip("daO")):
            return True
    return False


def still_to_come(tokens: Sequence[Token], numbers: Container[str]) -> bool:
    """Whether a clause is only how much is left: "two more shots", "just a few more stitches here"."""
    words = [token.text for token in tokens if token.letter]
    told = any(token.letter in MACHINES and token.letter != "F" and token.names for token in tokens)
    told = told or not _DONE.isdisjoint(token.letter for token in tokens)  # "I have placed one more stitch, and ..."
    left = any(more == "more" and number in numbers for number, more in pairwise(words[:5]))
    return not told and (left or (words[:1] == ["another"] and words[1:2] != [] and words[1] in numbers))


def is_reported(clause: str) -> bool:
    """Whether a construction tells what was done: "I turned it off", "drain connected"."""
    return not _DONE.isdisjoint(clause) and _NOT_YET.isdisjoint(clause)


def trails(letters: str, end: int, at: int, delay: str) -> bool:
    """Whether a delay at `at` stands behind the construction that ends at `end`, and nothing else does."""
    if delay.startswith(("not ", "but not ")) and not letters[at + 1 :].strip(",P"):
        return True  # "start it as he comes, so not now"
    return not letters[end:at].strip(",&P") and _VAGUE.issuperset(letters[at + 1 :])


def done_first(letters: str, tokens: list[Token], words: list[str], begin: int, end: int) -> tuple[int, int] | None:
    """Where between `begin` and `end` a clause stands that is done before what follows: "let me see first", "wait"."""
    before = letters[begin:end].strip(",&")
    if before and tokens[end].text.endswith("after that") and MACHINES.isdisjoint(before):
        return begin, end
    found = _BEFORE_THEN.match(letters[begin:end])
    if found is None:
        return None
    first, last = begin + found.start(1), begin + found.end(1)
    if letters[last - 1] == "D":  # "give the irrigation two minutes, then ..."
        return (last - 1, last) if {"I", "b", "B"}.isdisjoint(letters[first:last]) else None
    if tokens[first].text in _UNTIL:  # "leave it on until the field is clear, then ..."
        return first, last
    said = words[tokens[first].start : tokens[last - 1].end]
    waits = "wait" in said[:2] or "L" in letters[first:last] or "first" in (said[0], said[-1]) or said[0] == "let"
    return (first, last) if waits and last - first > 1 else None


def own_part(rule: str, letters: str, lead: str) -> int:
    """Where a list begins behind the object of the verb before it: "we cleaned the scope, suction off"."""
    object_of_verb = _OBJECT.search(lead) is not None
    behind = rule == "state" and lead.endswith(("b", "B", "H", "l", "Q"))
    if not (object_of_verb or behind):
        return 0
    at = max(letters.rfind(","), letters.rfind("&") if object_of_verb else -1) + 1
    return at + (letters[at] == "&")


def stories(letters: str) -> list[tuple[int, int]]:
    """Where stories stand, each from comma to comma: around them only an order counts."""
    found: list[tuple[int, int]] = []
    at = letters.find("Z")
    while at >= 0:
        end = letters.find(",", at)
        end = len(letters) if end < 0 else end
        found.append((max(0, letters.rfind(",", 0, at)), end))
        at = letters.find("Z", end)
    return found


def is_spent(clause: str) -> bool:
    """Whether a condition has its main clause, about no machine: "when it rings, you let it ring"."""
    if clause.startswith("&"):
        return False  # the condition goes on
    if clause.startswith("A"):
        return clause.count("I") > 1 and "j" in clause  # "if I had known that I would have ..."
    words = clause[max(clause.find("bA"), clause.find("QA")) + 1 :].strip("&P")  # "the rule is whenever she coughs"
    if words.startswith("A"):
        return False
    if clause.endswith("ID"):
        return False  # "I count to two and then ..."
    timed = words.startswith("D") or (words.startswith("l") and words.endswith("D"))
    if timed and not {"I", "b", "B"} & set(words):
        return False  # "for the closure later, suction off", "two minutes more, Anna, and then ..."
    if set(words) <= _NO_VERB:
        return False  # "and later, with the sheath out, ..."
    return ("I" in words and len(words) > 1) or len(words) > 2
