"""Words that order a machine without its name: "sevo off", "flush it", "put him to sleep". Runs in the prompt process.

The language has them by kinds of devices. What two machines of a surgery could be meant by is none of it.
"""

from collections.abc import Iterator
from typing import Final, NamedTuple

from stages.prompt.hints import kind_of
from stages.prompt.language import Device, Language, ing, plain
from stages.prompt.names import names
from stages.surgery import Machine, Surgery

THING: Final = "M"  # letters of grammar.py: what stands for a machine; a verb; whole orders
DOES: Final = "3"
ON: Final = "5"
OFF: Final = "4"
PART: Final = "6"  # what governed.py reads: a part of a machine, and what it shows
SHOWN: Final = ";"


class Unnamed(NamedTuple):
    """Such words, as they are compared. `ing`: they only tell of what the machine is doing."""

    words: str
    letter: str
    machine: Machine
    ing: bool


def unnamed(surgery: Surgery, language: Language) -> Iterator[Unnamed]:
    """All that mean one machine of this surgery."""
    meant: dict[str, list[Unnamed]] = {}
    for machine in surgery.machines:
        if kind := kind_of(names(machine), language):
            for words, letter, doing in _of(language.devices[kind]):
                meant.setdefault(words, []).append(Unnamed(words, letter, machine, doing))
    for those in meant.values():
        if len({one.machine.id for one in those}) == 1:
            yield those[0]


def _of(device: Device) -> Iterator[tuple[str, str, bool]]:
    yield from ((plain(words), THING, False) for words in device.gives)
    for words in map(plain, device.does):
        verb, *particle = words.split()
        yield words, DOES, False
        yield " ".join((ing(verb), *particle)), THING, True
    yield from ((plain(words), PART, False) for words in device.parts)
    yield from ((plain(words), SHOWN, False) for words in device.shows)
    yield from ((plain(words), ON, False) for words in device.asked_on)
    yield from ((plain(words), OFF, False) for words in device.asked_off)
