"""Which machines a construction speaks of. Runs in the prompt process."""

from collections.abc import Callable

from stages.prompt.grammar import MACHINES
from stages.prompt.tokens import Token
from stages.prompt.told import Told


def objects(
    letters: str, tokens: list[Token], told: list[Told], meant_by: Callable[[Token], list[Token]]
) -> tuple[list[Token], list[Token]]:
    """The machines of a construction, and those behind "except".

    `told` before it are spared by "everything else"; `meant_by` has the machines that a pronoun stands for.
    """
    until = letters.find("!")
    found: list[Token] = []
    for token in tokens[: until if until >= 0 else None]:
        if token.letter == "W":
            listed = found or "," in letters[1:]  # "camera, suction, all of them off", "turn these on: the ..."
            found += () if listed else meant_by(token)
        elif token.letter in MACHINES or (token.letter in "_+" and "l" not in letters):
            found.append(token)
    excepted = [t for t in tokens[until:] if t.letter in MACHINES] if until >= 0 else []
    if found and found[0].letter == "E" and found[0].text.endswith(("but", "except")):
        found, excepted = found[:1], found[1:]
    if found and found[0].text.endswith(" else"):  # "the lights on and everything else off"
        excepted = [*excepted, *(thing for one in told for thing in one.things)]
    if "b" in letters:  # a statement about what is not ours
        found = [t for t in found if t.letter != "F"]
    return found, excepted
