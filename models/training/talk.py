"""What somebody says in a room, of every kind, with what it switches. Used by training only.

The truth is that of examples/understanding: a report of state counts as what it reports, a start denied as off and a
stop denied as on; what is asked, told, wished or for later switches nothing; of a correction the last word counts.
"""

from collections.abc import Mapping
from contextlib import suppress
from random import Random
from typing import Final

from models.training.idle import Idle
from models.training.orders import Orders
from models.training.phase_lines import PhaseLines
from models.training.phrases import NothingToSay, sentence
from models.training.references import References
from models.training.rooms import Room
from models.training.said import Kinds, Said
from models.training.speech import Speech
from models.training.vocabulary import table
from pipeline.messages import Action

MOST_WRITTEN: Final = 0.95  # of what is said in a room; a little is always made


class Talker:
    """Says things in one room."""

    def __init__(self, rng: Random, room: Room) -> None:
        self._room = room
        self._speech = Speech(rng, room)
        self._kinds: Kinds = {"chatter": (10, lambda: Said("chatter", self.chatter()))}
        self._phase_lines = PhaseLines(self._speech)
        for talk in (Orders(self._speech), References(self._speech), Idle(self._speech), self._phase_lines):
            self._kinds |= talk.kinds
        if room.written:
            others = sum(weight for weight, _ in self._kinds.values())
            share = min(room.share_written, MOST_WRITTEN)
            self._kinds["written"] = (others * share / (1 - share), self._written)
        self._weights = [weight for weight, _ in self._kinds.values()]

    def say(self, machines: Mapping[str, Action], phase: str) -> Said:
        """A line of any kind. `machines` and `phase` are how it is there before."""
        self._speech.machines, self._speech.phase = machines, phase
        while True:
            (_, line), *_ = self._speech.rng.choices([*self._kinds.values()], self._weights)
            try:
                return line()
            except NothingToSay:  # this room has nothing that can be said so
                continue

    def _written(self) -> Said:
        sentence = self._speech.rng.choice(self._room.written)
        return Said("written", sentence.text, sentence.effects, speaker=sentence.speaker)

    def between(self, phase: str) -> Said:
        """A line that switches nothing: of that phase, or only talk."""
        if self._speech.rng.random() < 0.3:
            with suppress(NothingToSay):
                return Said("work", self._phase_lines.said_in(phase), phase=phase)
        return Said("chatter", self.chatter())

    def chatter(self) -> str:
        """A line that is only talk."""
        return sentence(self._speech.say(self._speech.rng.choice(table("chatter")["says"]["line"]), {}))
