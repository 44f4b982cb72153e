"""Names of machines in a line, with their ids behind them: what a name stands for is looked up and not left to a model.

"Switch the Zeiss on" is written "Switch the Zeiss (M31) on". A small model is taught to read lines so; what the ids
behind them should do, or whether they are only talked about, it has to understand itself. Runs in the prompt process.
"""

import re
from collections.abc import Callable
from typing import Final

from stages.prompt.language import plain
from stages.prompt.names import in_triggers, names
from stages.surgery import Surgery

Link = Callable[[str], str]  # a line as it was said, to the line as a model is shown it

_PARTS: Final = re.compile(r"[^\W_]+")


class Links:
    """The names of one surgery. What two machines are called is no link, nor is a name that was misheard."""

    def __init__(self, surgery: Surgery) -> None:
        owners: dict[str, set[str]] = {}
        for machine in surgery.machines:
            own = {*names(machine), *in_triggers(machine)}
            phrases = [t for t in map(plain, machine.triggers) if not any(f" {name} " in f" {t} " for name in own)]
            for words in (*own, *phrases):
                if key := _key(words):
                    owners.setdefault(key, set()).add(machine.id)
        self._ids = {key: min(ids) for key, ids in owners.items() if len(ids) == 1}
        longest_first = sorted(owners, key=len, reverse=True)
        any_name = "|".join(r"[\W_]{0,2}".join(map(re.escape, key.split())) for key in longest_first)
        self._name = re.compile(rf"(?<![^\W_])(?:{any_name})(?:s(?![^\W_])|(?![^\W_]))", re.IGNORECASE)

    def link(self, text: str) -> str:
        """The line with the id of each machine behind each of its names."""
        return self._name.sub(self._linked, text) if self._ids else text

    def _linked(self, found: re.Match[str]) -> str:
        name = found.group()
        key = _key(name)
        machine_id = self._ids.get(key) or self._ids.get(key.removesuffix("s"))
        return f"{name} ({machine_id})" if machine_id else name


def _key(name: str) -> str:
    return " ".join(_PARTS.findall(name.casefold()))
