"""docs/messages.md: every message with every field, its type, bounds and default, made from the structs."""

from pathlib import Path
from types import ModuleType
from typing import Final

from docs.reference.fields import choices, fields_of, own_structs, prose, table
from pipeline.messages import DROPS, Input, Message, fields, inner, inputs, outputs, status

PARTS: Final[tuple[tuple[str, ModuleType], ...]] = (
    ("What comes in", inputs),
    ("What goes out", outputs),
    ("How it does", status),
    ("Between the stages", inner),
)
HEAD: Final = """\
# Messages

<!-- Made by `python -m docs.reference` from pipeline/messages/*.py: change those, not this. -->

Each message is a map with the key `type`, its name. As JSON or MessagePack, see [the wire](wire.md). A receiver skips
keys that it does not know, so a newer sender may add some. Texts have no control characters but tab and newline,
numbers are finite. What does not keep its bounds is refused: it is a dead letter that names the field.

Times `t` are message times: seconds since the session began, as the publisher counts them.
"""


def page() -> str:
    """The page as Markdown. Raises Undescribed for a field that no comment describes."""
    lines = [HEAD]
    for title, module in PARTS:
        lines += [f"## {title}", "", prose(module.__doc__), ""]
        for struct in own_structs(module):
            if struct is Input:  # its fields stand with each of those that are made of it
                continue
            kind = "" if issubclass(struct, Message) else "Part of a message.\n\n"
            found = fields_of(struct)
            lines += [f"### {struct.__name__}", "", kind + prose(struct.__doc__), "", *(table(found) if found else ())]
            lines += [""]
    lines += ["## Outcomes", "", "| outcome | what became of the question |", "|---|---|"]
    outcomes = choices(Path(str(fields.__file__)), "Outcome")
    lines += [f"| `{name}` | {said} |" for name, said in outcomes.items()]
    lines += ["", "## Drops", "", "Why something is dropped. What is refused is a dead letter instead.", ""]
    lines += ["| cause | what |", "|---|---|", *(f"| `{name}` | {said} |" for name, said in DROPS.items())]
    return "\n".join(lines) + "\n"
