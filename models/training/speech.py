"""What all kinds of talk in a room are made of. Used by training only."""

from collections.abc import Callable, Mapping
from random import Random
from typing import Final

from models.training.clauses import Clause
from models.training.phrases import NothingToSay, sentence, some
from models.training.rooms import Room, Thing, split
from models.training.said import Before, Said
from models.training.vocabulary import phrases, table
from pipeline.messages import Action
from stages.surgery import Machine

OPPOSITE: Final[dict[Action, Action]] = {"ON": "OFF", "OFF": "ON", "STANDBY": "ON"}
Slots = dict[str, Callable[[], str]]


class Speech:
    """Clauses and lines about one room. `machines` and `phase` are how it is there before the next line."""

    def __init__(self, rng: Random, room: Room) -> None:
        self.rng = rng
        self.room = room
        self.phrases = phrases()
        self.machines: Mapping[str, Action] = {}
        self.phase = ""
        self._machine_words = {word for thing in room.things for name in thing.spoken for word in split(name)}

    def say(self, template: str, slots: Mapping[str, Callable[[], str]]) -> str:
        """The template with every choice made."""
        return self.phrases.say(template, self.rng, slots)

    def said(
        self,
        kind: str,
        template: str,
        slots: Slots,
        effects: Mapping[str, Action],
        *clauses: Clause,
        before: tuple[Before, ...] = (),
        topic: str = "",
    ) -> Said:
        """The line of that template, with what is known of it."""
        slots = {"chatter": lambda: self.say("{clause}", {}), "phase": self.some_phase} | slots
        text = sentence(self.say(template, slots))
        named = tuple(thing for clause in clauses for thing in clause.things)
        return Said(kind, text, dict(effects), named, before, topic=topic)

    def some_phase(self) -> str:
        """A phase as people speak of it."""
        return self.phase_name(self.rng.choice(self.room.phases).phase.id)

    def phase_name(self, phase_id: str) -> str:
        """That phase by a noun, by its name, or by a part of its description."""
        talk = self.room.phase_talk(phase_id)
        name = talk.phase.name.lower().replace("&", "and")
        described = [part.strip().lower() for part in talk.phase.description.split(",") if part.strip()]
        names = [*talk.nouns, f"the {name}", f"the {name}", name, *described]
        return some(self.rng, [name for name in names if not self._ambiguous(name)])

    def _ambiguous(self, name: str) -> bool:
        """Whether it may be another phase, or a machine: to begin the anesthesia is an order."""
        words = [word for word in split(name) if word not in ("the", "and")]
        bare = name.removeprefix("the ")
        of = sum(
            bare in " ".join((*talk.nouns, talk.phase.name, talk.phase.description)).lower()
            for talk in self.room.phases
        )
        return of > 1 or not self._machine_words.isdisjoint(words)

    def before(self, template: str, clause: Clause) -> Before:
        """A line that switches what `clause` tells, to stand before another."""
        said = self.said("", template, clause.slots(), {})
        return Before(said.text, clause.effects)

    def between(self) -> str:
        """Talk in between that names no machine and holds no `it` of its own."""
        return self.rng.choice(
            ("Okay.", "Good.", "Thanks.", "Mhm.", "There it is.", "Lovely, thank you.", "Let me look.", "Swab please.")
        )

    def template(self, kind: str) -> str:
        """A way to say that kind of line."""
        templates: list[str] = table("talk")["kinds"][kind]
        return self.rng.choice(templates)

    def stranger(self, name: str) -> Clause:
        """What a device of that name shall do that is not in the room."""
        machine = Machine(id="M00", name=name, category="absent")
        return Clause(self.rng, self.phrases, [Thing(machine, (name,))], self._action())

    def _action(self, standby: bool = True) -> Action:
        actions: tuple[Action, ...] = ("ON", "OFF", "STANDBY")
        return self.rng.choices(actions, (54, 37, 9 if standby else 0))[0]

    def clause(self, single: bool = False, need: str = "", most: int = 4, standby: bool = True) -> Clause:
        """Something that one or more machines shall do. `need`: a list that their devices must have."""
        action = self._action(standby)
        things = [thing for thing in self.room.things if not need or thing.words(need)]
        count = min(most, len(things), self.rng.choices((1, 2, 3, 4), (66, 22, 9, 3))[0])
        return Clause(self.rng, self.phrases, self.chosen(things, count, action), action, single)

    def clauses(self, number: int, single: bool = False, standby: bool = True) -> list[Clause]:
        """Clauses of different machines."""
        things = list(self.room.things)
        counts = [1 if single or self.rng.random() < 0.85 else 2 for _ in range(number)]
        if sum(counts) > len(things):
            raise NothingToSay("machines")
        clauses = []
        for count in counts:
            action = self._action(standby)
            chosen = self.chosen(things, count, action)
            things = [thing for thing in things if thing not in chosen]
            clauses.append(Clause(self.rng, self.phrases, chosen, action, single))
        return clauses

    def chosen(self, things: list[Thing], count: int, action: Action) -> list[Thing]:
        """Mostly those that are otherwise and that the phase uses, sometimes any."""
        fitting = [t for t in things if (self.machines.get(t.id) == "ON") != (action == "ON")]
        if action == "ON" and self.rng.random() < 0.5:
            fitting = [t for t in fitting if self.phase in t.machine.phase_usage] or fitting
        if len(fitting) < count or self.rng.random() < 0.25:
            fitting = things
        if len(fitting) < count:
            raise NothingToSay("machines")
        return self.rng.sample(fitting, count)
