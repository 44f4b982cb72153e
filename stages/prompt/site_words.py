"""What a hospital calls its machines, and phrases of its own, from its own file (prompt.site_words). Prompt process.

[machines.PCNL.M04]              # a surgery's name, and a machine's id
aliases = ["big eye"]
triggers = ["shoot"]             # phrases that start it
hints = ["lead apron"]           # what speaks of it without being its name

[words.verbs]                    # a table of configs/language/english.toml
stop = ["knock off"]
"""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

import msgspec

from pipeline.config import PromptSection, read_toml, resolve
from pipeline.errors import ConfigError
from pipeline.messages.fields import check_text
from stages.prompt.choices import spelled_out
from stages.prompt.language import KINDS, Language, Table, Words, load_language, plain
from stages.surgery import Surgery, find_surgery, load_surgeries, unknown_surgery

# Kinds of words that a machine may be called by: "saw" is then the saw, and nobody "saw" anything.
_GIVEN_UP: Final = frozenset(
    KINDS[kind]
    for kind in (
        "things.parts",
        "glue.adjective",
        "moods.indirect",
        "moods.story",
        "verbs.attach",
        "verbs.detach",
        "verbs.follow",
    )
)
_LISTS: Final = ("verbs", "states", "moods", "glue", "things", "speakers")


class MachineWords(Table, frozen=True, kw_only=True):
    """More words for one machine."""

    aliases: Words = ()
    triggers: Words = ()
    hints: Words = ()

    def __post_init__(self) -> None:
        check_text(aliases=" ".join(self.aliases), triggers=" ".join(self.triggers), hints=" ".join(self.hints))


class SiteWords(Table, frozen=True, kw_only=True):
    """The whole file."""

    machines: dict[str, dict[str, MachineWords]] = msgspec.field(default_factory=dict)
    words: dict[str, dict[str, Words]] = msgspec.field(default_factory=dict)


class Vocabulary(NamedTuple):
    """The surgeries and the language, with what the site adds."""

    surgeries: dict[str, Surgery]
    language: Language


def load_vocabulary(section: PromptSection) -> Vocabulary:
    """All words that the configuration names. Raises ConfigError for a file that is wrong, and for clashes."""
    surgeries = load_surgeries(resolve(section.machines))
    plain_words = Vocabulary(surgeries, load_language(resolve(section.language)))
    if section.site_words:
        return with_site_words(plain_words, resolve(section.site_words))
    return _without_clashes(plain_words, section.machines)


def with_site_words(words: Vocabulary, file: Path) -> Vocabulary:
    """The words with those of a site's file. Raises ConfigError for a file that is wrong, and for clashes."""
    site, (surgeries, language) = _load(file), words
    added = {name: _with_machine_words(surgery, site, surgeries, file) for name, surgery in surgeries.items()}
    return _without_clashes(Vocabulary(added, _with_phrases(language, site.words, file)), str(file))


def _without_clashes(words: Vocabulary, where: str) -> Vocabulary:
    if found := list(clashes(words.surgeries.values(), words.language)):
        raise ConfigError(f"{where}: {'; '.join(found)}; keep each phrase in one place")
    return words


def clashes(surgeries: Iterable[Surgery], language: Language) -> Iterable[str]:
    """Phrases that mean two machines of one surgery, or a machine and a word that the grammar cannot do without."""
    for surgery in surgeries:
        owner: dict[str, str] = {}
        for machine in surgery.machines:
            for phrase in dict.fromkeys(map(plain, (*machine.aliases, *machine.triggers))):
                if (other := owner.setdefault(phrase, machine.id)) != machine.id:
                    yield f"{surgery.surgery}: {phrase!r} is {other} and {machine.id}"
            for alias in map(plain, machine.aliases):
                if (entry := language.phrases.get(alias)) is not None and entry.letter not in _GIVEN_UP:
                    yield f"{surgery.surgery}: {alias!r} of {machine.id} is a word of the grammar too"


def _load(file: Path) -> SiteWords:
    try:
        return msgspec.convert(spelled_out(read_toml(file)), SiteWords)
    except (msgspec.ValidationError, ValueError) as error:
        raise ConfigError(f"{file}: {error}") from error


def _with_machine_words(surgery: Surgery, site: SiteWords, surgeries: Mapping[str, Surgery], file: Path) -> Surgery:
    machines = {machine.id: machine for machine in surgery.machines}
    for name, added in site.machines.items():
        found = find_surgery(surgeries, name)
        if found is None:
            raise ConfigError(f"{file}: machines.{name}: {unknown_surgery(surgeries, name)}")
        if found.surgery != surgery.surgery:
            continue
        for machine_id, words in added.items():
            if machine_id not in machines:
                known = ", ".join(surgery.machine_ids)
                raise ConfigError(f"{file}: machines.{name}.{machine_id}: {name} has no such machine; it has {known}")
            machine = machines[machine_id]
            machines[machine_id] = msgspec.structs.replace(
                machine,
                aliases=(*machine.aliases, *words.aliases),
                triggers=(*machine.triggers, *words.triggers),
                hints=(*machine.hints, *words.hints),
            )
    return msgspec.structs.replace(surgery, machines=tuple(machines.values()))


def _with_phrases(language: Language, added: Mapping[str, Mapping[str, Words]], file: Path) -> Language:
    tables: dict[str, Any] = msgspec.to_builtins(language)
    for table, lists in added.items():
        if table not in _LISTS:
            raise ConfigError(f"{file}: words.{table}: there is no such table; there are {', '.join(_LISTS)}")
        for key, words in lists.items():
            if key not in tables[table]:
                raise ConfigError(
                    f"{file}: words.{table}.{key}: there is no such list; there are {', '.join(tables[table])}"
                )
            tables[table][key] = [*tables[table][key], *words]
    try:
        merged = msgspec.convert(tables, Language)
        merged.phrases  # noqa: B018  a phrase under two kinds is found here
    except (msgspec.ValidationError, ConfigError) as error:
        raise ConfigError(f"{file}: {error}") from error
    return merged
