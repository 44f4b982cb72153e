"""A clause that tells machines what to do, said in any way. Used by training only."""

from collections.abc import Callable
from random import Random
from typing import Final

from models.training.phrases import NothingToSay, Phrases, some, tidy
from models.training.rooms import Thing
from models.training.vocabulary import table
from pipeline.messages import Action

SECTION: Final[dict[Action, str]] = {"ON": "on", "OFF": "off", "STANDBY": "standby"}
STATE: Final[dict[Action, str]] = {"ON": "on", "OFF": "off", "STANDBY": "on standby"}
_JOINS: Final = (
    "{} and {}",
    "{} and {}",
    "{} and {}",
    "both {} and {}",
    "{} plus {}",
    "{} as well as {}",
    "{} and also {}",
)
_PLURAL: Final = {"that": "those", "this": "these", "that damn": "those damn"}
_FORMS: Final = ("do", "doing", "bare", "want", "keep", "fact")


class Clause:
    """Machines and what they shall do. Their names are chosen once, so that verb and pronoun agree."""

    def __init__(
        self, rng: Random, phrases: Phrases, things: list[Thing], action: Action, single: bool = False
    ) -> None:
        """`single`: by names that take "is"; Raises NothingToSay if a thing has none."""
        self.things = things
        self.action = action
        self._rng = rng
        self._phrases = phrases
        self._names = [self._name(thing, single) for thing in things]
        self.plural = len(things) > 1 or things[0].is_plural(self._names[0])
        self.part = ""

    @property
    def effects(self) -> dict[str, Action]:
        return {thing.id: self.action for thing in self.things}

    def opposite(self, action: Action) -> "Clause":
        """The same machines by the same names, with another thing to do."""
        other = Clause(self._rng, self._phrases, self.things, action)
        other._names, other.plural = self._names, self.plural
        return other

    def slots(self, number: str = "") -> dict[str, Callable[[], str]]:
        """What templates may say of it; `number` is put behind the name of each slot."""
        is_ = "are" if self.plural else "is"
        words: dict[str, Callable[[], str]] = {
            "M": self.group,
            "A": self.group,
            "m": self.bare_names,
            "a": self.bare_names,
            "it": lambda: "them" if self.plural else "it",
            "is": lambda: is_,
            "m_is": lambda: f"{self._names[0]}'s" if not self.plural else f"{self.bare_names()} are",
            "was": lambda: "were" if self.plural else "was",
            "has": lambda: "have" if self.plural else "has",
            "s": lambda: "" if self.plural else "s",
            "es": lambda: "" if self.plural else "es",
            "state": lambda: STATE[self.action],
            "do_reason": lambda: self._list(f"do_reason_{SECTION[self.action]}"),
            "reason": lambda: self._list(f"do_reason_{SECTION[self.action]}"),
            "doing_off": lambda: self._phrases.say(
                self._rng.choice(table("talk")["off"]["doing"]), self._rng, self.slots()
            ),
            "done": lambda: "started" if self.action == "ON" else "stopped",
            "amount_of": lambda: some(self._rng, self.things[0].words("amounts")),
            "part": self._part,
        }
        words |= {form: self._form(form) for form in _FORMS}
        for name in ("feature", "thing_done", "part_talk", "set_talk", "story", "set_plain"):
            words[name] = self._talk(name)
        return {f"{name}{number}": say for name, say in words.items()}

    def group(self) -> str:
        """The machines with their articles."""
        return self._join(
            [self._with_article(thing, name) for thing, name in zip(self.things, self._names, strict=True)]
        )

    def bare_names(self) -> str:
        return self._join(self._names, _JOINS[:3])

    def _form(self, form: str) -> Callable[[], str]:
        def say() -> str:
            templates = table("talk")[SECTION[self.action]][form]
            own = self._own(form)
            if form == "keep" and self._rng.random() < 0.3:
                return self._denied()
            if form == "bare" and len(self.things) > 2 and self._rng.random() < 0.3:
                templates = table("talk")[SECTION[self.action]]["together"]
            if own and self._rng.random() < 0.25:
                templates = own
            return self._phrases.say(self._rng.choice(templates), self._rng, self.slots())

        return say

    def _own(self, form: str) -> tuple[str, ...]:
        """What is said of this device alone."""
        if len(self.things) > 1:
            return ()
        name = {"do": SECTION[self.action], "bare": f"bare_{SECTION[self.action]}"}.get(form, "")
        return self.things[0].words(name)

    def _denied(self) -> str:
        """That the opposite shall not be done."""
        opposite = self.opposite("OFF" if self.action == "ON" else "ON")
        template = self._rng.choice(table("talk")["lists"]["denied"])
        return self._phrases.say(template, self._rng, {"do": opposite._form("do"), "doing": opposite._form("doing")})

    def _talk(self, name: str) -> Callable[[], str]:
        def say() -> str:
            lists = table("talk")
            templates = lists["lists"].get(name) or lists["kinds"][name]
            return self._phrases.say(self._rng.choice(templates), self._rng, self._talk_slots())

        return say

    def _talk_slots(self) -> dict[str, Callable[[], str]]:
        return self.slots() | {"chatter": lambda: self._phrases.say("{clause}", self._rng, {})}

    def _part(self) -> str:
        part = some(self._rng, self.things[0].words("parts"))
        self.part = f"{self._names[0]} {part}"
        return self.part

    def _list(self, name: str) -> str:
        return self._phrases.say(f"{{{name}}}", self._rng, {})

    def _name(self, thing: Thing, single: bool) -> str:
        names = thing.spoken
        if single:
            names = tuple(name for name in names if not thing.is_plural(name))
        if not names:
            raise NothingToSay(thing.machine.name)
        return self._rng.choice(names)

    def _with_article(self, thing: Thing, name: str) -> str:
        chance = self._rng.random()
        if name in thing.device.get("mass", ()):
            return f"the {name}" if chance < 0.5 else name
        for limit, article in (
            (0.8, "the"),
            (0.86, "that"),
            (0.9, "our"),
            (0.93, "my"),
            (0.95, "your"),
            (0.97, "this"),
            (0.975, "that damn"),
        ):
            if chance < limit:
                article = _PLURAL.get(article, article) if thing.is_plural(name) else article
                return f"{article} {name}{self._more(name)}"
        return name

    def _more(self, name: str) -> str:
        """What may stand behind a name: what kind of thing it is, or where it stands."""
        chance = self._rng.random()
        if chance < 0.03 and " " not in name and not name.endswith(("s", "pump", "er", "or")):
            return self._rng.choice((" machine", " unit", " system"))
        if chance < 0.06:
            return self._rng.choice((" over there", " here", " in the corner", " on my side", " behind you"))
        return ""

    def _join(self, names: list[str], joins: tuple[str, ...] = _JOINS) -> str:
        if len(names) == 1:
            return names[0]
        if len(names) == 2:
            return self._rng.choice(joins).format(*names)
        last = self._rng.choice((" and ", ", and ", " and ", ", "))
        return tidy(", ".join(names[:-1]) + last + names[-1])
