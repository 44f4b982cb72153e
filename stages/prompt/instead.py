"""What a correction puts in the place of what was told. Runs in the prompt process."""

from stages.prompt.grammar import MACHINES
from stages.prompt.tokens import Token


def instead(
    rule: str, letters: str, things: list[Token], tokens: list[Token], last: list[Token]
) -> tuple[str, list[Token]]:
    """Whether it corrects or only denies, and the things that are meant now; `last`: those told before.

    "Not the suction, the camera" replaces the suction alone; "not the suction" denies it and replaces nothing.
    """
    denied = _denied(letters, tokens)
    said = [thing for thing in things if thing not in denied]
    wrong = {_name(thing) for thing in denied}
    meant = [thing for thing in last if _name(thing) not in wrong]
    if denied and (not said or (rule == "contrast" and len(meant) == len(last))):
        return "contrast", things
    return "correction", [*meant, *said] if denied and len(meant) < len(last) else said


def _name(thing: Token) -> str:
    """What tells a machine from another."""
    return thing.mention.machine_id or thing.text if thing.mention else thing.text


def _denied(letters: str, tokens: list[Token]) -> list[Token]:
    """The machines behind "not" and joined by "and", up to "but"."""
    denied: list[Token] = []
    joined = True
    for token in tokens[letters.find("n") :] if "n" in letters else ():
        if denied and (token.letter == "," or token.text == "but"):
            break
        if token.letter in MACHINES:
            if not joined:
                break  # "not the suction the camera"
            denied.append(token)
        joined = token.letter == "&" or (joined and token.letter not in MACHINES)
    return denied
