"""Lines that name machines, or what they do, and switch none of them. Used by training only."""

from typing import Final

from models.training.phrases import NothingToSay, sentence, some
from models.training.said import Kinds, Said
from models.training.speech import Speech

BYSTANDERS: Final = ("Patient", "Student", "Visitor", "Radio", "Phone")


class Idle:
    """What is asked, told, wished, for later, for another room, or about a device that is not here."""

    def __init__(self, speech: Speech) -> None:
        self._speech = speech
        self._rng = speech.rng
        self.kinds: Kinds = {
            "question": (4, lambda: self._idle("question")),
            "mention": (3, lambda: self._idle("mention", single=True)),
            "part": (2, lambda: self._idle("part", need="parts")),
            "amounts": (3, lambda: self._idle("amounts", need="amounts")),
            "story": (4, lambda: self._idle("story")),
            "elsewhere": (9, lambda: self._idle("elsewhere", single=True)),
            "deferred": (5, lambda: self._idle("deferred")),
            "unreal": (4, lambda: self._idle("unreal")),
            "near": (26, self._near),
            "unknown": (5, self._unknown),
            "unknown_too": (1, self._unknown_too),
            "bystander": (0.7, self._bystander),
        }

    def _idle(self, kind: str, single: bool = False, need: str = "") -> Said:
        clause = self._speech.clause(single=single or bool(need), need=need, most=1 if single or need else 2)
        template = self._speech.template(kind)
        if any(word in template for word in ("thing_done", "feature", "do{es}")) and clause.plural:
            raise NothingToSay("a name for one thing")
        said = self._speech.said(kind, template, clause.slots(), {}, clause)
        return Said(said.kind, said.text, {}, said.named, topic=clause.part)

    def _near(self) -> Said:
        """What a machine does or gives is talked about, and nobody wants it otherwise."""
        thing = some(self._rng, [thing for thing in self._speech.room.things if thing.words("near")])
        template = self._rng.choice(thing.words("near"))
        template = self._rng.choice((template, template, template, "{open}, " + template, "{who}, " + template))
        return Said("near", sentence(self._speech.say(template, {})), named=(thing,))

    def _unknown(self) -> Said:
        name = some(self._rng, self._speech.room.absent)
        clause = self._speech.stranger(name)
        return self._speech.said("unknown", self._speech.template("unknown"), clause.slots(), {}, topic=name)

    def _unknown_too(self) -> Said:
        """A device that is here and one that is not."""
        one, name = self._speech.clause(most=1), some(self._rng, self._speech.room.absent)
        both = (one, self._speech.stranger(name).opposite(one.action))
        first, second = self._rng.sample(both, 2)
        template = self._rng.choice(("{do1} and {M2}", "{do1}, and {M2} too", "{bare1}, {bare2}", "{do1} and {do2}"))
        return self._speech.said(
            "unknown", template, first.slots("1") | second.slots("2"), one.effects, one, topic=name
        )

    def _bystander(self) -> Said:
        clause = self._speech.clause(most=1)
        said = self._speech.said("bystander", self._speech.template("command"), clause.slots(), {}, clause)
        return Said(said.kind, said.text, {}, said.named, speaker=self._rng.choice(BYSTANDERS))
