"""The words of the rules: what is shipped, and the errors of files that are wrong."""

from collections import Counter
from pathlib import Path

import pytest

from pipeline.config import PromptSection
from pipeline.errors import ConfigError
from stages.prompt.hearing import Ear, sound_of
from stages.prompt.hints import Hints
from stages.prompt.language import LANGUAGE_FILE, Device, ing, load_language, past_of, plain
from stages.prompt.rules import RuleEngine
from stages.prompt.site_words import load_vocabulary

SITE = """
[machines.PCNL.M04]
aliases = ["big eye"]
triggers = ["shoot now"]
hints = ["lead apron"]

[words.verbs]
stop = ["shelve"]
"""


def changed(folder: Path, old: str, new: str) -> Path:
    text = LANGUAGE_FILE.read_text(encoding="utf-8")
    assert old in text
    path = folder / "words.toml"
    path.write_text(text.replace(old, new, 1), encoding="utf-8")
    return path


def site(folder: Path, text: str) -> PromptSection:
    path = folder / "site.toml"
    path.write_text(text, encoding="utf-8")
    return PromptSection(site_words=str(path))


def test_verbs_are_known_in_all_their_forms() -> None:
    phrases = load_language().phrases
    for form in ("stop", "stopping", "stopped", "turn", "turning", "turned", "begun", "shutting down", "switching to"):
        assert form in phrases
    assert [ing(verb) for verb in ("cut", "activate", "begin", "enable", "turn")] == [
        "cutting",
        "activating",
        "beginning",
        "enabling",
        "turning",
    ]
    assert [past_of(verb) for verb in ("stop", "pause", "carry", "halt")] == ["stopped", "paused", "carried", "halted"]


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("[verbs]", "[verbs", "no TOML"),
        ('hold = ["hold"]', "", r"missing required field `hold` - at `\$.verbs`"),
        ('hold = ["hold"]', 'hold = ["hold", 3]', r"Expected `str`, got `int` - at `\$.verbs.hold\[1\]`"),
        ('hold = ["hold"]', 'hold = ["hold"]\nhodl = []', "contains unknown field `hodl`"),
        ('hold = ["hold"]', 'hold = ["stop"]', "verbs.hold: 'stop' stands under verbs.stop already"),
        ('hold = ["hold"]', 'hold = ["-"]', r"matching regex .* - at `\$.verbs.hold\[0\]`"),
        ("(on|off) (?:its )+", "(on|off (?:its )+", r"patterns: .*missing \), unterminated subpattern .*; correct the"),
        ("'stop \\1'", "'stop \\7'", r"patterns: .*invalid group reference 7 .*; correct the regular expression"),
        ("minute = 60", "minute = -60", r"Expected `float` > 0.0 - at `\$.units"),
    ],
)
def test_a_file_that_is_wrong_is_named_with_its_key(tmp_path: Path, old: str, new: str, said: str) -> None:
    path = changed(tmp_path, old, new)
    with pytest.raises(ConfigError, match=said) as caught:
        load_language(path)
    assert str(caught.value).startswith(f"{path}: ")


def test_a_file_that_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"none\.toml: cannot be read: No such file"):
        load_language(tmp_path / "none.toml")


def test_a_hospital_adds_aliases_triggers_and_phrases_in_its_own_file(tmp_path: Path) -> None:
    words = load_vocabulary(site(tmp_path, SITE))
    engine = RuleEngine(words.surgeries["PCNL"], words.surgeries.values(), words.language)

    def said(text: str) -> list[tuple[str, str]]:
        return [(toggle.machine_id, toggle.action) for toggle in engine.read(text).toggles]

    assert said("turn on the big eye") == [("M04", "ON")]
    assert said("shoot now") == [("M04", "ON")]
    assert said("shelve the suction") == [("M06", "OFF")]
    assert [ids for *_, ids in Hints(words.surgeries["PCNL"], words.language).places(["a", "lead", "apron"])] == [
        ["M04"]
    ]
    assert RuleEngine(load_vocabulary(PromptSection()).surgeries["PCNL"]).read("shelve the suction").toggles == ()


def test_a_hospital_may_write_its_verbs_with_capitals_and_hyphens(tmp_path: Path) -> None:
    words = load_vocabulary(site(tmp_path, '[words.verbs]\nstop = ["Wrap-up"]\nstart = ["Ignite"]'))
    engine = RuleEngine(words.surgeries["PCNL"], words.surgeries.values(), words.language)
    for text, action in (("ignite the suction", "ON"), ("wrap up the suction", "OFF")):
        assert [(t.machine_id, t.action) for t in engine.read(text).toggles] == [("M06", action)]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('[machines.PCNL.M04]\naliases = ["vacuum"]', "PCNL: 'vacuum' is M04 and M06"),
        ('[machines.PCNL.M04]\naliases = ["stop"]', "PCNL: 'stop' of M04 is a word of the grammar too"),
        ('[machines.PCNL.M04]\naliases = [" -"]', r"matching regex .* - at `\$.machines"),
        ('[machines.PCNL.M04]\naliases = ["eye\\u0007"]', "aliases has the control character U.0007 at position 3"),
        ('[machines.PCNL.M44]\naliases = ["eye"]', "machines.PCNL.M44: PCNL has no such machine; it has M01, M02"),
        ('[machines.Cataract.M04]\naliases = ["eye"]', "machines.Cataract: surgery 'Cataract' is not known"),
        ('[machines.PCNL.M04]\nalias = ["eye"]', "contains unknown field `alias`"),
        ('[words.verbs]\nstop = ["start"]', "verbs.stop: 'start' stands under verbs.start already"),
        ('[words.verbs]\nhalt = ["freeze"]', "words.verbs.halt: there is no such list; there are start, stop"),
        ('[words.nouns]\nhalt = ["freeze"]', "words.nouns: there is no such table; there are verbs, states"),
    ],
)
def test_clashes_and_mistakes_of_site_words_are_found(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said) as caught:
        load_vocabulary(site(tmp_path, text))
    assert str(caught.value).startswith(f"{tmp_path / 'site.toml'}: ")


@pytest.mark.parametrize("name", ["saw", "recovery", "spare", "tower"])
def test_a_machine_may_be_called_by_a_word_that_the_grammar_can_do_without(tmp_path: Path, name: str) -> None:
    words = load_vocabulary(site(tmp_path, f'[machines.PCNL.M04]\naliases = ["{name}"]'))
    engine = RuleEngine(words.surgeries["PCNL"], words.surgeries.values(), words.language)
    for text, action in ((f"start the {name}", "ON"), (f"{name} off, please", "OFF"), (f"the {name} is on", "ON")):
        assert [(t.machine_id, t.action) for t in engine.read(text).toggles] == [("M04", action)]


NAMES = ("fluoro", "suction", "carm", "bovie", "lithotripter", "irrigation", "vent", "lights")


@pytest.mark.parametrize(
    ("heard", "name"),
    [
        ("floro", "fluoro"),
        ("succion", "suction"),
        ("bovey", "bovie"),
        ("lithotriptor", "lithotripter"),
        ("irrigashun", "irrigation"),
        ("lites", "lights"),
    ],
)
def test_a_misspelt_name_is_known_by_its_letters_or_its_sound(heard: str, name: str) -> None:
    assert Ear(NAMES, ()).near(heard) == name


@pytest.mark.parametrize("heard", ["section", "went", "bow", "sanction", "flow", "station", "curtain", "12345"])
def test_other_words_are_not_taken_for_a_name(heard: str) -> None:
    assert Ear(NAMES, ("section", "sanction")).near(heard) == ""


def test_words_that_sound_alike_have_one_sound() -> None:
    assert sound_of("phloro") == sound_of("floro")
    assert sound_of("kautery") == sound_of("cautery")


def test_every_device_has_names_of_its_own_and_hints_that_are_none_of_its_names() -> None:
    devices = load_language().devices
    owner = Counter(plain(name) for device in devices.values() for name in device.names)
    for key, device in devices.items():
        own = {plain(name) for name in device.names}
        assert any(owner[name] == 1 for name in own), key
        assert own.isdisjoint(map(plain, device.hints)), key


def test_devices_stand_in_a_file_beside_the_language_if_it_has_any(tmp_path: Path) -> None:
    file = tmp_path / "klingon.toml"
    file.write_bytes(LANGUAGE_FILE.read_bytes())
    assert load_language(file).devices == {}
    beside = tmp_path / "klingon.devices.toml"
    beside.write_text('[lamp]\nnames = ["lamp"]\nhints = ["dark"]\n')
    assert load_language(file).devices == {"lamp": Device(names=("lamp",), hints=("dark",))}
    beside.write_text('[lamp]\nnames = ["lamp"]\nhint = ["dark"]\n')
    with pytest.raises(ConfigError, match=r"klingon\.devices\.toml: .*hint"):
        load_language(file)
