"""What asks for something, although it looks like a question or like what is not real. Runs in the prompt process."""

import re
from typing import Final

from stages.prompt.tokens import Sentence

_RUN_ON: Final = re.compile(r"[jQ][^jQqZuL]{5,}_$")
_WISHED: Final = re.compile(r"j[bd_a]{0,4}J|qIw(?:[oflt]?|(?:S[of]|[VX])t?)b")
_REPEATED: Final = re.compile(r",?n?(?:[svxyk=]|[da]*[MG](?:&[da]*[MG])*[ofz][,Pt]*$)")
_PLEADED: Final = re.compile(r"[daO]*[MGF][^,]*P|[daO]*[MG](?:&[daO]*[MG])*b(?:[VXY]|[s=S][ofz])")
_GOING: Final = re.compile(r"[daO]*[MG](?:&[daO]*[MG])*(b)[of](?=[,PtD]|$)")
_GO: Final = frozenset(("go", "come"))
_WISHING: Final = frozenset(("would", "what"))
_PLEAS: Final = frozenset(("can", "could", "might", "may"))
_PERHAPS: Final = frozenset(("maybe", "perhaps", "possibly"))
CALLS: Final = frozenset(("particle verb", "split verb", "start", "stop"))


def is_meek(sentence: Sentence, at: int) -> bool:
    """Whether it wishes: "what I want is", "I would be happier with", "could you perhaps"."""
    letters, text = sentence.letters, sentence.tokens[at].text
    if text == "said":  # "I said, suction off"
        begins = letters[max(0, at - 2) : at] in ("I", ",I") and sentence.tokens[at - 1].text == "i"
        return begins and _REPEATED.match(letters, at + 1) is not None
    if text in _PERHAPS:
        return letters[:at].endswith("p")
    return text in _WISHING and _WISHED.match(letters, at) is not None


def is_pleading(sentence: Sentence, at: int) -> bool:
    """Whether a clause that begins so is no question: "could the lights go off please", "might it be put on"."""
    if sentence.tokens[at].text not in _PLEAS:
        return False
    going = _GOING.match(sentence.letters, at + 1)  # "could the argon go on?", but "can it go off by itself?"
    goes = sentence.tokens[at].text != "can" and going is not None and sentence.tokens[going.start(1)].text in _GO
    return goes or _PLEADED.match(sentence.letters, at + 1) is not None


def is_call(rule: str, sentence: Sentence, start: int, end: int, lead: str) -> bool:
    """Whether it is an order with "please" far behind what is no order, in speech without marks."""
    letters = sentence.letters
    stated = rule == "state" and letters[end - 1] in "of" and "b" not in letters[start:end]
    return (stated or rule in CALLS) and letters[end : end + 1] == "P" and _RUN_ON.search(lead) is not None
