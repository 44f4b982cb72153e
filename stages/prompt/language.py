"""The words that the rules know, read from a data file: configs/language/english.toml. Runs in the prompt process.

A word's kind says what it does in a sentence; grammar.py builds constructions out of kinds. Each kind is one
letter, so that a sentence is a short string and a construction a pattern over it.
"""

import re
from functools import cached_property
from pathlib import Path
from typing import Annotated, Final, NamedTuple, TypeVar

import msgspec
from msgspec import Meta
from msgspec.structs import replace

from pipeline.config import ROOT, read_toml
from pipeline.errors import ConfigError
from stages.prompt.choices import spelled_out

T = TypeVar("T")

LANGUAGE_FILE: Final = ROOT / "configs" / "language" / "english.toml"

# A phrase has a letter or a digit: hyphens and spaces alone are no word when it is compared
Words = Annotated[tuple[Annotated[str, Meta(max_length=100, pattern=r"\w")], ...], Meta(max_length=2000)]
Patterns = dict[Annotated[str, Meta(min_length=1, max_length=400)], Annotated[str, Meta(min_length=1, max_length=100)]]
Rewrites = dict[Annotated[str, Meta(min_length=1, max_length=100)], Annotated[str, Meta(min_length=1, max_length=100)]]

# Letters for what is not in the file: M machine, F machine of another surgery or none, T trigger phrase, G what a
# machine does ("ventilating"), i the same as an order ("ventilate"), D a delay, _ any other word. Until governed.py has
# read them: 6 a part of a machine, ; what it shows, $ and ~ a setting of it.
KINDS: Final[dict[str, str]] = {
    "verbs.start": "v",
    "verbs.stop": "x",
    "verbs.standby": "y",
    "verbs.hold": "h",
    "verbs.open": "s",
    "verbs.place": "=",
    "verbs.keep": "k",
    "verbs.want": "w",
    "verbs.wish": "J",
    "verbs.cancel": "c",
    "verbs.attach": "7",
    "verbs.detach": "8",
    "verbs.follow": "9",
    "states.on": "o",
    "states.off": "f",
    "states.standby": "z",
    "states.running": "r",
    "states.ended": "e",
    "moods.welcome": "2",
    "moods.closing": "N",
    "moods.negation": "n",
    "moods.refusal": "n",
    "moods.polite": "p",
    "moods.question": "q",
    "moods.tag": "g",
    "moods.future": "L",
    "moods.unreal": "j",
    "moods.obligation": "m",
    "moods.modal": "%",
    "moods.indirect": "Q",
    "moods.story": "Z",
    "moods.past": "Z",
    "moods.later": "A",
    "moods.occasion": "D",
    "moods.meanwhile": "U",
    "moods.now": "t",
    "moods.correction": "C",
    "moods.hesitation": "K",
    "moods.retraction": "R",
    "moods.no": "0",
    "moods.yet": "1",
    "glue.please": "P",
    "glue.and": "&",
    "glue.the": "d",
    "glue.adjective": "a",
    "glue.filler": "",
    "glue.be": "b",
    "glue.past": "B",
    "glue.have": "H",
    "glue.to": "u",
    "glue.subject": "I",
    "glue.it": "W",
    "glue.everything": "E",
    "glue.except": "!",
    "glue.patient": "O",
    "glue.preposition": "l",
    "things.parts": "+",
}
_PAST: Final = {"v": "V", "x": "X", "y": "Y", "s": "S", "=": "S"}
_VOWELS: Final = "aeiou"


class Table(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A table of the file."""


class Verbs(Table, frozen=True, kw_only=True):
    """In their base form. `open` and `place` ones wait for "on" or "off".

    `attach`, `detach` and `follow` are of parts of machines, and of what they show.
    """

    start: Words
    stop: Words
    standby: Words
    hold: Words
    open: Words
    place: Words
    keep: Words
    want: Words
    wish: Words
    cancel: Words
    attach: Words
    detach: Words
    follow: Words


class States(Table, frozen=True, kw_only=True):
    """What a machine can be said to be."""

    on: Words
    off: Words
    standby: Words
    running: Words
    ended: Words


class Moods(Table, frozen=True, kw_only=True):
    """What turns a construction round, makes it a question or a story, or puts it off."""

    welcome: Words
    closing: Words
    negation: Words
    refusal: Words
    polite: Words
    question: Words
    tag: Words
    future: Words
    unreal: Words
    obligation: Words
    modal: Words
    indirect: Words
    story: Words
    past: Words
    later: Words
    courtesy: Words
    occasion: Words
    meanwhile: Words
    now: Words
    correction: Words
    hesitation: Words
    retraction: Words
    no: Words
    yet: Words


class Glue(Table, frozen=True, kw_only=True):
    """The small words."""

    please: Words
    and_: Words = msgspec.field(name="and")
    the: Words
    adjective: Words
    sound: Words
    filler: Words
    be: Words
    past: Words
    have: Words
    to: Words
    subject: Words
    it: Words
    everything: Words
    except_: Words = msgspec.field(name="except")
    patient: Words
    preposition: Words
    vocative: Words
    thanks: Words
    resuming: Words
    titles: Words


class Things(Table, frozen=True, kw_only=True):
    """Nouns: see the comments in the file."""

    lamps: Words
    some: Words
    held: Words
    by_hand: Words
    hand: Words
    manual: Words
    worked_on: Words
    parts: Words
    kinds: Words
    heads: Words
    habits: Words
    devices: Words
    ordinary: Words
    adjust: Words
    pointing: Words
    announced: Words
    plural: Words
    also: Words
    too: Words
    less: Words
    elsewhere: Words
    halted: Words
    particles: Words
    device_endings: Words
    sole: Words
    measures: Words
    quantities: Words
    essential: Words


class Times(Table, frozen=True, kw_only=True):
    """What is said around a time: see the comments in the file."""

    waits: Words
    roughly: Words
    about: Words
    correcting: Words
    small: Words
    long: Words
    from_now: Words
    closing: Words


class Speakers(Table, frozen=True, kw_only=True):
    """Who speaks, where that counts."""

    bystanders: Words
    askers: Words


class UsualPhase(Table, frozen=True, kw_only=True):
    """A phase that every operation has: words of its name, what is said in it, and in the phase behind it."""

    names: Words
    cues: Words
    then: Words = ()


class Cues(Table, frozen=True, kw_only=True):
    """For the phase model: words of names and descriptions that say nothing, and endings that do not count.

    `inflections`: those that do not count in a hint, where "emergency" is no "emergence".
    """

    silent: Words
    endings: Words
    inflections: Words
    usual: dict[str, UsualPhase]


class Device(Table, frozen=True, kw_only=True):
    """A kind of device: names that tell of a machine that it is one, and what speaks of it without them.

    `gives`: what it gives or works with, which stands for it in an order. `does`: verbs, in their base form, for what
    it does to what is worked on. `asked_on`, `asked_off`: whole orders. `parts`, `shows`: governed.py. `settings`:
    settings.py.
    """

    names: Words
    hints: Words
    gives: Words = ()
    does: Words = ()
    asked_on: Words = ()
    asked_off: Words = ()
    parts: Words = ()
    shows: Words = ()
    settings: Words = ()


class Entry(NamedTuple):
    """What a phrase is: the letter of its kind, and whether it is a form in -ing."""

    letter: str
    ing: bool = False


class Language(Table, frozen=True, kw_only=True, dict=True):
    """The whole file, and that of the devices."""

    verbs: Verbs
    irregular: dict[str, Words]
    states: States
    moods: Moods
    glue: Glue
    things: Things
    times: Times
    speakers: Speakers
    cues: Cues
    numbers: dict[str, float]
    units: dict[str, Annotated[float, Meta(gt=0)]]
    patterns: Patterns
    rewrites: Rewrites
    devices: dict[str, Device] = {}

    @cached_property
    def phrases(self) -> dict[str, Entry]:
        """Every phrase with its kind, verbs in all their forms.

        Raises ConfigError for a phrase that stands under two kinds.
        """
        found: dict[str, Entry] = {}
        origin: dict[str, str] = {}
        for kind, letter in KINDS.items():
            table, key = kind.split(".")
            for phrase in getattr(getattr(self, table), key + "_" * (key in ("and", "except"))):
                words = plain(phrase)
                if words in origin:
                    raise ConfigError(f"{kind}: {phrase!r} stands under {origin[words]} already; keep one of the two")
                origin[words], found[words] = kind, Entry(letter)
        for phrase, entry in list(found.items()):
            if origin[phrase].startswith("verbs."):
                for form, made in self._forms(phrase, entry.letter):
                    found.setdefault(form, made)
        return found

    @cached_property
    def compiled_patterns(self) -> list[tuple[re.Pattern[str], str]]:
        """What is written otherwise, in this order, and how. Raises ConfigError for what is no regular expression."""
        lists = {"{thanks}": self.glue.thanks, "{retraction}": self.moods.retraction}
        found: list[tuple[re.Pattern[str], str]] = []
        for pattern, instead in self.patterns.items():
            written = pattern
            for name, phrases in lists.items():
                written = written.replace(name, f"(?:{'|'.join(map(re.escape, phrases))})")
            try:
                found.append((re.compile(written), instead))
                found[-1][0].sub(instead, "")
            except re.error as error:
                raise ConfigError(f"patterns: {pattern!r}: {error}; correct the regular expression") from error
        return found

    @cached_property
    def habits(self) -> frozenset[str]:
        """Verbs that tell a habit, in both forms."""
        return frozenset(form for verb in self.things.habits for form in (verb, ing(verb)))

    @cached_property
    def courtesies(self) -> re.Pattern[str]:
        """Finds the words of a condition that is only good manners."""
        return re.compile(rf"\b(?:{'|'.join(map(re.escape, self.moods.courtesy))})\b")

    @cached_property
    def too(self) -> tuple[str, ...]:
        """Words that say the same of what stands before them, each ended by a space."""
        return tuple(f"{words} " for words in self.things.too)

    @cached_property
    def less(self) -> tuple[str, ...]:
        """Words that turn what is wanted into less of it, each ended by a space."""
        return tuple(f"{words} " for words in self.things.less)

    @cached_property
    def elsewhere(self) -> tuple[str, ...]:
        """Words for other places than this room, each ended by a space."""
        return tuple(f"{words} " for words in self.things.elsewhere)

    def _forms(self, phrase: str, letter: str) -> list[tuple[str, Entry]]:
        verb, _, rest = phrase.partition(" ")
        rest = " " * bool(rest) + rest
        forms = [(ing(verb) + rest, Entry(letter, ing=True))]
        if letter in _PAST:
            past = (*self.irregular.get(verb, (past_of(verb),)),)
            forms += [(form + rest, Entry(_PAST[letter])) for form in past if form != verb]
        return forms


def load_language(file: Path = LANGUAGE_FILE) -> Language:
    """The language in `file`, with the devices in the file beside it, NAME.devices.toml, if there is one.

    Raises ConfigError, which names file and key.
    """
    language, beside = _load(file, Language), file.with_suffix(".devices.toml")
    if beside.exists():
        language = replace(language, devices=_load(beside, dict[str, Device]))
    try:
        language.phrases, language.compiled_patterns  # noqa: B018  what is wrong is found here and not at the first word
    except ConfigError as error:
        raise ConfigError(f"{file}: {error}") from error
    return language


def _load(file: Path, form: type[T]) -> T:
    try:
        return msgspec.convert(spelled_out(read_toml(file)), form)
    except (msgspec.ValidationError, ValueError) as error:
        raise ConfigError(f"{file}: {error}") from error


def plain(phrase: str) -> str:
    """A phrase as it is compared: lower case, single spaces, a hyphen as a space."""
    return " ".join(phrase.lower().replace("’", "'").replace("-", " ").split())


def ing(verb: str) -> str:
    """The form in -ing of an English verb."""
    if verb.endswith("e") and not verb.endswith("ee"):
        return f"{verb[:-1]}ing"
    return f"{verb}{verb[-1] * _doubles(verb)}ing"


def past_of(verb: str) -> str:
    """The regular form in -ed of an English verb."""
    if verb.endswith("e"):
        return f"{verb}d"
    if verb.endswith("y") and verb[-2:-1] not in _VOWELS:
        return f"{verb[:-1]}ied"
    return f"{verb}{verb[-1] * _doubles(verb)}ed"


def _doubles(verb: str) -> bool:
    """stop, cut, begin: one vowel, one consonant at the end, and the stress on it (two of more syllables do)."""
    if len(verb) < 3 or verb[-1] in "aeiouwxy" or verb[-2] not in _VOWELS or verb[-3] in _VOWELS:
        return False
    return sum(c in _VOWELS for c in verb) == 1 or verb in ("begin", "forget", "omit", "abort")
