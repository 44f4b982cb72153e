"""Lines that need another one to be understood, and corrections. Used by training only."""

from models.training.phrases import NothingToSay, sentence
from models.training.said import Before, Kinds, Said
from models.training.speech import OPPOSITE, Speech
from models.training.vocabulary import table


class References:
    """What takes its machine, or what to do with it, from what was said before."""

    def __init__(self, speech: Speech) -> None:
        self._speech = speech
        self._rng = speech.rng
        self.kinds: Kinds = {
            "correction": (5, self._correction),
            "back": (2, self._taken_back),
            "across": (1, self._across),
            "reference": (8, self._reference),
            "answered": (2, self._answered),
            "agreed": (1, self._agreed),
            "too": (2, self._too),
        }

    def _correction(self) -> Said:
        one, other = self._speech.clauses(2)
        other = other.opposite(one.action)
        template = self._rng.choice(table("compound")["correction"]["other"])
        return self._speech.said("correction", template, one.slots("1") | other.slots("2"), other.effects, other)

    def _taken_back(self) -> Said:
        one = self._speech.clause(most=1, standby=False)
        other = one.opposite(OPPOSITE[one.action])
        template = self._rng.choice(table("compound")["correction"]["back"])
        slots = one.slots("1") | other.slots("2")
        if self._rng.random() < 0.5:
            slots["keep2"] = lambda: f"leave {slots['it2']()} {slots['state2']()}"
        return self._speech.said("correction", template, slots, other.effects, other)

    def _across(self) -> Said:
        one, other = self._speech.clauses(2, standby=False)
        if any(self._speech.machines[thing.id] != OPPOSITE[one.action] for thing in one.things):
            raise NothingToSay("what was meant wrongly was so already, and stays so")
        other = other.opposite(one.action)
        before = self._speech.before(self._speech.template(self._rng.choice(("command", "bare"))), one)
        template = self._rng.choice(table("compound")["correction"]["across"])
        effects = {thing.id: OPPOSITE[one.action] for thing in one.things} | other.effects
        return self._speech.said(
            "correction", template, one.slots("1") | other.slots("2"), effects, other, before=(before,)
        )

    def _reference(self) -> Said:
        one = self._speech.clause(standby=False)
        before = [
            self._speech.before(self._speech.template(self._rng.choice(("command", "bare", "want", "fact"))), one)
        ]
        if self._rng.random() < 0.3:
            before.append(Before(self._speech.between()))
        other = one.opposite(OPPOSITE[one.action])
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
        return self._speech.said("reference", template, slots, other.effects, other, before=tuple(before))

    def _answered(self) -> Said:
        """Somebody asked, somebody said no or yes, and so it is switched."""
        words = table("compound")["reference"]
        clause = self._speech.clause(most=1, standby=False)
        now = "no" if clause.action == "ON" else "yes"
        asked = Before(sentence(self._speech.say(self._rng.choice(words["asked"]), clause.slots())))
        reply = Before(self._speech.say(self._rng.choice(words[now]), {}))
        template = self._rng.choice(words["answered_on" if clause.action == "ON" else "answered_off"])
        return self._speech.said("reference", template, clause.slots(), clause.effects, clause, before=(asked, reply))

    def _agreed(self) -> Said:
        words = table("compound")["reference"]
        clause = self._speech.clause()
        offered = Before(sentence(self._speech.say(self._rng.choice(words["offered"]), clause.slots())))
        return self._speech.said(
            "reference", self._rng.choice(words["agreed"]), {}, clause.effects, clause, before=(offered,)
        )

    def _too(self) -> Said:
        one, other = self._speech.clauses(2)
        other = other.opposite(one.action)
        before = self._speech.before(self._speech.template(self._rng.choice(("command", "bare"))), one)
        template = self._rng.choice(table("compound")["reference"]["too"])
        return self._speech.said("reference", template, other.slots("2"), other.effects, other, before=(before,))
