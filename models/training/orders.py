"""Lines that switch machines: orders, reports of state, and what asks for a machine without its name. Training only."""

from typing import Final

from models.training.clauses import Clause
from models.training.phrases import NothingToSay, some
from models.training.rooms import ESSENTIAL
from models.training.said import Kinds, Said
from models.training.speech import OPPOSITE, Slots, Speech
from models.training.vocabulary import table
from pipeline.messages import Action

_NO_ORDER: Final = ("dim lights", "lights adjust", "induction", "tube is in", "intubation complete", "lights on")


class Orders:
    """What switches machines that it names or means."""

    def __init__(self, speech: Speech) -> None:
        self._speech = speech
        self._rng = speech.rng
        self.kinds: Kinds = {
            "command": (15, lambda: self._ordered("command")),
            "bare": (11, lambda: self._ordered("bare")),
            "want": (8, lambda: self._ordered("want")),
            "long": (8, lambda: self._ordered("long")),
            "courtesy": (4, lambda: self._ordered("courtesy")),
            "numbers": (5, self._numbers),
            "fact": (7, lambda: self._ordered("fact")),
            "keep": (10, lambda: self._ordered("keep")),
            "mixed": (12, self._mixed),
            "three": (8, self._three),
            "first": (4, lambda: self._half("first")),
            "last": (4, lambda: self._half("last")),
            "trigger": (1.5, self._trigger),
            "all": (1, self._all),
            "beside": (16, self._beside),
            "indirect": (14, self._indirect),
            "indirect_too": (6, self._indirect_too),
        }

    def _ordered(self, kind: str) -> Said:
        clause = self._speech.clause(single=kind == "fact" and self._rng.random() < 0.5)
        if kind == "keep" and clause.action == "STANDBY":
            clause = clause.opposite("OFF")
        return self._speech.said(kind, self._speech.template(kind), clause.slots(), clause.effects, clause)

    def _numbers(self) -> Said:
        clause = self._speech.clause(need="amounts", most=1)
        return self._speech.said("numbers", self._speech.template("numbers"), clause.slots(), clause.effects, clause)

    def _mixed(self) -> Said:
        one, other = self._speech.clauses(2)
        if self._rng.random() < 0.7 and one.action == other.action:
            other = other.opposite(OPPOSITE[one.action])
        return self._compound("mixed", one, other)

    def _three(self) -> Said:
        return self._compound("three", *self._speech.clauses(3))

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
        return self._speech.said(kind, template, slots, effects, *kept)

    def _half(self, kind: str) -> Said:
        one, other = self._speech.clauses(2, single=True)
        counts = one if kind == "first" else other
        template = self._rng.choice(table("compound")["mixed"][kind])
        for number, clause in (("1", one), ("2", other)):
            for slot, need in ((f"part_talk{number}", "parts"), (f"set_talk{number}", "amounts")):
                if slot in template and not clause.things[0].words(need):
                    raise NothingToSay(need)
        slots = one.slots("1") | other.slots("2") | counts.slots()
        return self._speech.said(kind, template, slots, counts.effects, counts)

    def _beside(self) -> Said:
        """An order, and talk of what another machine does: "the lung is not down enough, insufflator on"."""
        talked = some(self._rng, [thing for thing in self._speech.room.things if thing.words("near")])
        clause = self._speech.clause(most=1)
        if talked.id in clause.effects:
            raise NothingToSay("another machine")
        order = self._rng.choice(("{do}", "{bare}", "{polite} {do}", "{want}", "{bare} please", "{do}, {who}"))
        near = self._rng.choice(talked.words("near")).rstrip(".!")
        text = self._rng.choice((f"{near}. {order}", f"{near}, {order}", f"{near}, so {order}", f"{order}. {near}"))
        return self._speech.said("beside", text, clause.slots(), clause.effects, clause)

    def _indirect(self) -> Said:
        template, clause = self._unnamed()
        template = self._rng.choice((template, template, "{open}, " + template, "{who}, " + template))
        return self._speech.said("indirect", template, clause.slots(), clause.effects, clause)

    def _indirect_too(self) -> Said:
        """A machine without its name, and another one with it or without."""
        template, one = self._unnamed()
        if self._rng.random() < 0.5:
            more, other = self._unnamed()
        else:
            more, other = "{do2}", self._speech.clause(most=1)
        if not one.effects.keys().isdisjoint(other.effects):
            raise NothingToSay("another machine")
        parts = self._rng.sample(((template, one), (more, other)), 2)
        text = self._rng.choice(("{}. {}", "{}, and {}", "{}. And {}", "{}, {}")).format(*(part for part, _ in parts))
        effects = {i: action for _, clause in parts for i, action in clause.effects.items()}
        return self._speech.said(
            "indirect", text, one.slots("1") | other.slots("2"), effects, *(clause for _, clause in parts)
        )

    def _unnamed(self) -> tuple[str, Clause]:
        """A way to ask for a machine, or to end it, without its name; mostly for one that is otherwise."""
        name = self._rng.choice(("need", "need", "rest"))
        things = [
            t for t in self._speech.room.needing(name) if (self._speech.machines[t.id] == "ON") == (name == "rest")
        ]
        thing = some(self._rng, things or self._speech.room.needing(name))
        clause = Clause(self._rng, self._speech.phrases, [thing], "ON" if name == "need" else "OFF")
        return self._rng.choice(thing.words(name)), clause

    def _trigger(self) -> Said:
        """A phrase by which the dictionary says that a machine starts. A few are no order out of their place."""
        pairs = [
            (thing, phrase)
            for thing in self._speech.room.things
            for phrase in thing.machine.triggers
            if phrase not in _NO_ORDER
        ]
        thing, phrase = some(self._rng, pairs)
        template = self._rng.choice(
            (phrase, "{open}, " + phrase, phrase + " please", "{who}, " + phrase, phrase + " now")
        )
        clause = Clause(self._rng, self._speech.phrases, [thing], "ON")
        return self._speech.said("trigger", template, clause.slots(), clause.effects, clause)

    def _all(self) -> Said:
        others = [t for t in self._speech.room.things if t.machine.category not in ESSENTIAL]
        if len(others) < 2:
            raise NothingToSay("all")
        kept = self._speech.clause(most=1).opposite("ON")
        name = self._rng.choice(("all", "all", "all_but"))
        effects: dict[str, Action] = {t.id: "OFF" for t in others if name == "all" or t not in kept.things}
        template = self._rng.choice(table("compound")["reference"][name])
        return self._speech.said("all", template, kept.slots(), effects)
