"""What somebody says in a room, of every kind, with what it switches. Used by training only.

The truth is that of examples/understanding: a report of state counts as what it reports, a start denied as off and a stop
denied as on; what is asked, told, wished or for later switches nothing; of a correction the last word counts.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from random import Random
from typing import Final

from models.training.clauses import Clause
from models.training.phrases import sentence
from models.training.rooms import ESSENTIAL, PhaseTalk, Room, Thing, split
from models.training.vocabulary import phrases, table
from pipeline.messages import Action
from stages.surgery import Machine

BYSTANDERS: Final = ("Patient", "Student", "Visitor", "Radio", "Phone")
_OPPOSITE: Final[dict[Action, Action]] = {"ON": "OFF", "OFF": "ON", "STANDBY": "ON"}
_NO_ORDER: Final = ("dim lights", "lights adjust", "induction", "tube is in", "intubation complete", "lights on")
Slots = dict[str, Callable[[], str]]


@dataclass(frozen=True, slots=True)
class Before:
    """A line that must stand right before another, and what it switched."""

    text: str
    effects: Mapping[str, Action] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Said:
    """A line. `named`: the machines it is about; `topic`: what else it is about, for the answer's reason."""

    kind: str
    text: str
    effects: Mapping[str, Action] = field(default_factory=dict)
    named: tuple[Thing, ...] = ()
    before: tuple[Before, ...] = ()
    phase: str = ""  # that has begun
    topic: str = ""
    speaker: str = ""  # who must be the one who says it


class Talker:
    """Says things in one room. `machines` and `phase` of a call are how it is there before."""

    def __init__(self, rng: Random, room: Room) -> None:
        self._rng = rng
        self._room = room
        self._phrases = phrases()
        self.kinds: dict[str, tuple[float, Callable[[], Said]]] = {
            "command": (9, lambda: self._ordered("command")),
            "bare": (6, lambda: self._ordered("bare")),
            "want": (5, lambda: self._ordered("want")),
            "long": (5, lambda: self._ordered("long")),
            "courtesy": (2.5, lambda: self._ordered("courtesy")),
            "numbers": (3, self._numbers),
            "fact": (5, lambda: self._ordered("fact")),
            "keep": (9, lambda: self._ordered("keep")),
            "mixed": (6, self._mixed),
            "three": (2, self._three),
            "first": (3, lambda: self._half("first")),
            "last": (3, lambda: self._half("last")),
            "correction": (5, self._correction),
            "back": (2, self._taken_back),
            "across": (1, self._across),
            "trigger": (1.5, self._trigger),
            "reference": (6, self._reference),
            "answered": (2, self._answered),
            "agreed": (1, self._agreed),
            "too": (2, self._too),
            "all": (1, self._all),
            "indirect": (4, self._indirect),
            "question": (5, lambda: self._idle("question")),
            "mention": (4, lambda: self._idle("mention", single=True)),
            "part": (2, lambda: self._idle("part", need="parts")),
            "amounts": (3, lambda: self._idle("amounts", need="amounts")),
            "story": (4, lambda: self._idle("story")),
            "elsewhere": (2, lambda: self._idle("elsewhere", single=True)),
            "deferred": (7, lambda: self._idle("deferred")),
            "unreal": (2.5, lambda: self._idle("unreal")),
            "unknown": (4, self._unknown),
            "unknown_too": (1, self._unknown_too),
            "bystander": (0.7, self._bystander),
            "chatter": (9, self._chatter),
            "begins": (6, self._begins),
            "implied": (9, self._implied),
            "work": (5, self._work),
            "decoy": (3, self._decoy),
            "phase_back": (0.5, self._phase_back),
        }
        self._names = list(self.kinds)
        self._machine_words = {word for thing in room.things for name in thing.spoken for word in split(name)}
        self._weights = [weight for weight, _ in self.kinds.values()]
        self._machines: Mapping[str, Action] = {}
        self._phase = ""

    def say(self, machines: Mapping[str, Action], phase: str, kind: str = "") -> Said:
        """A line of that kind, or of any."""
        self._machines, self._phase = machines, phase
        while True:
            name = kind or self._rng.choices(self._names, self._weights)[0]
            try:
                return self.kinds[name][1]()
            except LookupError:  # this room has nothing that can be said so
                kind = ""

    def chatter(self) -> str:
        """A line that is only talk."""
        lines = table("chatter")["says"]["line"]
        return sentence(self._phrases.say(self._rng.choice(lines), self._rng, {}))

    # --- orders -------------------------------------------------------------------------------------------

    def _ordered(self, kind: str) -> Said:
        clause = self._clause(single=kind == "fact" and self._rng.random() < 0.5)
        if kind == "keep" and clause.action == "STANDBY":
            clause = clause.opposite("OFF")
        return self._said(kind, self._template(kind), clause.slots(), clause.effects, clause)

    def _numbers(self) -> Said:
        clause = self._clause(need="amounts", most=1)
        return self._said("numbers", self._template("numbers"), clause.slots(), clause.effects, clause)

    def _mixed(self) -> Said:
        one, other = self._clauses(2)
        if self._rng.random() < 0.7 and one.action == other.action:
            other = other.opposite(_OPPOSITE[one.action])
        return self._compound("mixed", one, other)

    def _three(self) -> Said:
        return self._compound("three", *self._clauses(3))

    def _compound(self, kind: str, *clauses: Clause) -> Said:
        """All of them count. What is kept on standby has no words of its own."""
        template = self._rng.choice(table("compound")["mixed"]["says" if kind == "mixed" else kind])
        slots: Slots = {}
        effects: dict[str, Action] = {}
        kept = []
        for number, clause in enumerate(clauses, 1):
            if clause.action == "STANDBY" and f"{{keep{number}}}" in template:
                clause = clause.opposite("OFF")
            kept.append(clause)
            slots |= clause.slots(str(number))
            effects |= clause.effects
        return self._said(kind, template, slots, effects, *kept)

    def _half(self, kind: str) -> Said:
        one, other = self._clauses(2, single=True)
        counts = one if kind == "first" else other
        template = self._rng.choice(table("compound")["mixed"][kind])
        for number, clause in (("1", one), ("2", other)):
            for slot, need in ((f"part_talk{number}", "parts"), (f"set_talk{number}", "amounts")):
                if slot in template and not clause.things[0].words(need):
                    raise LookupError(need)
        slots = one.slots("1") | other.slots("2") | counts.slots()
        return self._said(kind, template, slots, counts.effects, counts)

    def _indirect(self) -> Said:
        name = self._rng.choice(("need", "need", "need", "rest"))
        things = [t for t in self._room.needing(name) if (self._machines[t.id] == "ON") == (name == "rest")]
        thing = self._rng.choice(things or self._room.needing(name))
        action: Action = "ON" if name == "need" else "OFF"
        clause = Clause(self._rng, self._phrases, [thing], action)
        template = self._rng.choice(thing.words(name))
        template = self._rng.choice((template, template, "{open}, " + template, "{who}, " + template))
        return self._said("indirect", template, clause.slots(), clause.effects, clause)

    def _trigger(self) -> Said:
        """A phrase by which the dictionary says that a machine starts. A few are no order out of their place."""
        pairs = [
            (thing, phrase)
            for thing in self._room.things
            for phrase in thing.machine.triggers
            if phrase not in _NO_ORDER
        ]
        thing, phrase = self._rng.choice(pairs)
        template = self._rng.choice(
            (phrase, "{open}, " + phrase, phrase + " please", "{who}, " + phrase, phrase + " now")
        )
        clause = Clause(self._rng, self._phrases, [thing], "ON")
        return self._said("trigger", template, clause.slots(), clause.effects, clause)

    def _all(self) -> Said:
        others = [t for t in self._room.things if t.machine.category not in ESSENTIAL]
        if len(others) < 2:
            raise LookupError("all")
        kept = self._clause(most=1).opposite("ON")
        name = self._rng.choice(("all", "all", "all_but"))
        effects: dict[str, Action] = {t.id: "OFF" for t in others if name == "all" or t not in kept.things}
        template = self._rng.choice(table("compound")["reference"][name])
        return self._said("all", template, kept.slots(), effects)

    # --- corrections and references -----------------------------------------------------------------------

    def _correction(self) -> Said:
        one, other = self._clauses(2)
        other = other.opposite(one.action)
        template = self._rng.choice(table("compound")["correction"]["other"])
        return self._said("correction", template, one.slots("1") | other.slots("2"), other.effects, other)

    def _taken_back(self) -> Said:
        one = self._clause(most=1, standby=False)
        other = one.opposite(_OPPOSITE[one.action])
        template = self._rng.choice(table("compound")["correction"]["back"])
        slots = one.slots("1") | other.slots("2")
        if self._rng.random() < 0.5:
            slots["keep2"] = lambda: f"leave {slots['it2']()} {slots['state2']()}"
        return self._said("correction", template, slots, other.effects, other)

    def _across(self) -> Said:
        one, other = self._clauses(2, standby=False)
        other = other.opposite(one.action)
        before = self._before(self._template(self._rng.choice(("command", "bare"))), one)
        template = self._rng.choice(table("compound")["correction"]["across"])
        effects = {thing.id: _OPPOSITE[one.action] for thing in one.things} | other.effects
        return self._said("correction", template, one.slots("1") | other.slots("2"), effects, other, before=(before,))

    def _reference(self) -> Said:
        one = self._clause(standby=False)
        before = [self._before(self._template(self._rng.choice(("command", "bare", "want", "fact"))), one)]
        if self._rng.random() < 0.3:
            before.append(Before(self._plain_chatter()))
        other = one.opposite(_OPPOSITE[one.action])
        name = "on" if other.action == "ON" else "off"
        template = self._rng.choice(table("compound")["reference"][name])
        slots = other.slots()
        if other.plural:
            slots["it"] = lambda: self._rng.choice(
                ("them", "them", "them both" if len(other.things) == 2 else "them all")
            )
        else:
            slots["it"] = lambda: self._rng.choice(("it", "it", "it", "that", "that one"))
        slots["they"] = lambda: self._rng.choice(
            ("they", "those", "both" if len(other.things) == 2 else "they all")
            if other.plural
            else ("it", "that", "that one")
        )
        return self._said("reference", template, slots, other.effects, other, before=tuple(before))

    def _answered(self) -> Said:
        """Somebody asked, somebody said no or yes, and so it is switched."""
        words = table("compound")["reference"]
        clause = self._clause(most=1, standby=False)
        now = "no" if clause.action == "ON" else "yes"
        asked = Before(sentence(self._phrases.say(self._rng.choice(words["asked"]), self._rng, clause.slots())))
        reply = Before(self._phrases.say(self._rng.choice(words[now]), self._rng, {}))
        template = self._rng.choice(words["answered_on" if clause.action == "ON" else "answered_off"])
        return self._said("reference", template, clause.slots(), clause.effects, clause, before=(asked, reply))

    def _agreed(self) -> Said:
        words = table("compound")["reference"]
        clause = self._clause()
        offered = Before(sentence(self._phrases.say(self._rng.choice(words["offered"]), self._rng, clause.slots())))
        return self._said("reference", self._rng.choice(words["agreed"]), {}, clause.effects, clause, before=(offered,))

    def _too(self) -> Said:
        one, other = self._clauses(2)
        other = other.opposite(one.action)
        before = self._before(self._template(self._rng.choice(("command", "bare"))), one)
        template = self._rng.choice(table("compound")["reference"]["too"])
        return self._said("reference", template, other.slots("2"), other.effects, other, before=(before,))

    # --- what switches nothing ----------------------------------------------------------------------------

    def _idle(self, kind: str, single: bool = False, need: str = "") -> Said:
        clause = self._clause(single=single or bool(need), need=need, most=1 if single or need else 2)
        template = self._template(kind)
        if any(word in template for word in ("thing_done", "feature", "do{es}")) and clause.plural:
            raise LookupError("a name for one thing")
        said = self._said(kind, template, clause.slots(), {}, clause)
        return Said(said.kind, said.text, {}, said.named, topic=clause.part)

    def _unknown(self) -> Said:
        name = self._rng.choice(self._room.absent)
        clause = self._stranger(name)
        return self._said("unknown", self._template("unknown"), clause.slots(), {}, topic=name)

    def _unknown_too(self) -> Said:
        """A device that is here and one that is not."""
        one, name = self._clause(most=1), self._rng.choice(self._room.absent)
        both = (one, self._stranger(name).opposite(one.action))
        first, second = self._rng.sample(both, 2)
        template = self._rng.choice(("{do1} and {M2}", "{do1}, and {M2} too", "{bare1}, {bare2}", "{do1} and {do2}"))
        return self._said("unknown", template, first.slots("1") | second.slots("2"), one.effects, one, topic=name)

    def _bystander(self) -> Said:
        clause = self._clause(most=1)
        said = self._said("bystander", self._template("command"), clause.slots(), {}, clause)
        return Said(said.kind, said.text, {}, said.named, speaker=self._rng.choice(BYSTANDERS))

    def _chatter(self) -> Said:
        return Said("chatter", self.chatter())

    # --- phases -------------------------------------------------------------------------------------------

    def _begins(self) -> Said:
        """Somebody says that a phase begins, mostly the next one."""
        talk = self._later_phase()
        template = self._rng.choice(table("compound")["phase"]["begins"])
        return Said(
            "phase",
            sentence(self._phrases.say(template, self._rng, self._phase_slots(talk.phase.id))),
            phase=talk.phase.id,
        )

    def _implied(self) -> Said:
        """What is said is said in another phase, so that one has come."""
        talk = self._later_phase()
        return Said("phase", self._of_phase(talk.said), phase=talk.phase.id)

    def _work(self) -> Said:
        return Said("work", self._of_phase(self._room.phase_talk(self._phase).said), phase=self._phase)

    def _of_phase(self, lines: tuple[str, ...]) -> str:
        template = self._rng.choice(lines)
        wrapped = self._rng.choice(
            (template, template, template, "{open}, " + template, "{who}, " + template, template + ", {clause}")
        )
        return sentence(self._phrases.say(wrapped, self._rng, {}))

    def _decoy(self) -> Said:
        """Another phase is spoken of, but it is not now."""
        others = [talk for talk in self._room.phases if talk.phase.id != self._phase]
        talk = self._rng.choice(others)
        template = self._rng.choice(table("compound")["phase"]["decoy"])
        text = sentence(self._phrases.say(template, self._rng, self._phase_slots(talk.phase.id)))
        return Said("decoy", text, topic=talk.phase.id)

    def _phase_back(self) -> Said:
        at = self._at(self._phase)
        talk = self._room.phases[self._rng.randrange(at)] if at else self._rng.choice(())
        template = self._rng.choice(table("compound")["phase"]["back"])
        text = sentence(self._phrases.say(template, self._rng, self._phase_slots(talk.phase.id)))
        return Said("phase", text, phase=talk.phase.id)

    def _later_phase(self) -> PhaseTalk:
        at = self._at(self._phase)
        later = self._room.phases[at + 1 :]
        return later[0] if later and self._rng.random() < 0.7 else self._rng.choice(later)

    def _phase_slots(self, phase_id: str) -> Slots:
        at = self._at(phase_id)
        before = self._room.phases[max(0, at - 1)].phase.id
        numbers = table("compound")["phase"]["numbers"]
        return {
            "phase": lambda: self._phase_name(phase_id),
            "before": lambda: self._phase_name(before) if at else "the briefing",
            "number": lambda: numbers[at],
        }

    def _phase_name(self, phase_id: str) -> str:
        """As people speak of it: by a noun, by its name, or by a part of its description."""
        talk = self._room.phase_talk(phase_id)
        name = talk.phase.name.lower().replace("&", "and")
        described = [part.strip().lower() for part in talk.phase.description.split(",") if part.strip()]
        names = [*talk.nouns, f"the {name}", f"the {name}", name, *described[:1]]
        return self._rng.choice([name for name in names if not self._ambiguous(name)])

    def _ambiguous(self, name: str) -> bool:
        """Whether it may be another phase, or a machine: to begin the anesthesia is an order."""
        words = {word for word in split(name) if word not in ("the", "and")}
        return sum(name in talk.nouns for talk in self._room.phases) > 1 or not words.isdisjoint(self._machine_words)

    def _at(self, phase_id: str) -> int:
        return self._room.surgery.phase_ids.index(phase_id)

    # --- parts of sentences -------------------------------------------------------------------------------

    def _said(
        self,
        kind: str,
        template: str,
        slots: Slots,
        effects: Mapping[str, Action],
        *clauses: Clause,
        before: tuple[Before, ...] = (),
        topic: str = "",
    ) -> Said:
        slots = self._shared_slots() | slots
        text = sentence(self._phrases.say(template, self._rng, slots))
        named = tuple(thing for clause in clauses for thing in clause.things)
        return Said(kind, text, dict(effects), named, before, topic=topic)

    def _shared_slots(self) -> Slots:
        return {"chatter": lambda: self._phrases.say("{clause}", self._rng, {})}

    def _before(self, template: str, clause: Clause) -> Before:
        said = self._said("", template, clause.slots(), {})
        return Before(said.text, clause.effects)

    def _plain_chatter(self) -> str:
        """Talk in between that names no machine and holds no `it` of its own."""
        return self._rng.choice(
            ("Okay.", "Good.", "Thanks.", "Mhm.", "There it is.", "Lovely, thank you.", "Let me look.", "Swab please.")
        )

    def _template(self, kind: str) -> str:
        return self._rng.choice(table("talk")["kinds"][kind])

    def _stranger(self, name: str) -> Clause:
        machine = Machine(id="M00", name=name, category="absent")
        return Clause(self._rng, self._phrases, [Thing(machine, (name,))], self._action())

    def _action(self, standby: bool = True) -> Action:
        return self._rng.choices(("ON", "OFF", "STANDBY"), (55, 38, 7 if standby else 0))[0]  # type: ignore[return-value]

    def _clause(self, single: bool = False, need: str = "", most: int = 4, standby: bool = True) -> Clause:
        action = self._action(standby)
        things = [thing for thing in self._room.things if not need or thing.words(need)]
        count = min(most, len(things), self._rng.choices((1, 2, 3, 4), (72, 19, 7, 2))[0])
        return Clause(self._rng, self._phrases, self._chosen(things, count, action), action, single)

    def _clauses(self, number: int, single: bool = False, standby: bool = True) -> list[Clause]:
        """Clauses of different machines."""
        things = list(self._room.things)
        counts = [1 if single or self._rng.random() < 0.85 else 2 for _ in range(number)]
        if sum(counts) > len(things):
            raise LookupError("machines")
        clauses = []
        for count in counts:
            action = self._action(standby)
            chosen = self._chosen(things, count, action)
            things = [thing for thing in things if thing not in chosen]
            clauses.append(Clause(self._rng, self._phrases, chosen, action, single))
        return clauses

    def _chosen(self, things: list[Thing], count: int, action: Action) -> list[Thing]:
        """Mostly those that are otherwise and that the phase uses, sometimes any."""
        fitting = [t for t in things if (self._machines.get(t.id) == "ON") != (action == "ON")]
        if action == "ON" and self._rng.random() < 0.5:
            fitting = [t for t in fitting if self._phase in t.machine.phase_usage] or fitting
        if len(fitting) < count or self._rng.random() < 0.25:
            fitting = things
        if len(fitting) < count:
            raise LookupError("machines")
        return self._rng.sample(fitting, count)
