"""What the rules read in an utterance: commands switch machines, everything else does not."""

import random
import re
import string
import tomllib
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.config import resolve
from pipeline.messages import Toggle
from stages.prompt.language import load_language
from stages.prompt.lexicon import LONGEST, Lexicon
from stages.prompt.rules import Reading, RuleEngine
from stages.surgery import Machine, Phase, Surgery, load_surgeries

P, H, L = "PCNL", "Partial Hepatectomy", "Lobectomy"
SURGERIES = load_surgeries(resolve("configs/machines"))
SENTENCES: dict[str, list[Any]] = tomllib.loads(Path(__file__).with_name("sentences.toml").read_text())
COMMANDS = [tuple(row) for row in SENTENCES["commands"]]
LATER = [tuple(row) for row in SENTENCES["later"]]


@cache
def engine(surgery: str) -> RuleEngine:
    return RuleEngine(SURGERIES[surgery], SURGERIES.values())


def said(reading: Reading) -> str:
    return " ".join(f"{toggle.machine_id} {toggle.action}" for toggle in reading.toggles)


def only(reading: Reading) -> Toggle:
    (toggle,) = reading.toggles
    return toggle


@pytest.mark.parametrize(("surgery", "text", "expected"), COMMANDS)
def test_a_command_switches_the_machines_that_it_names(surgery: str, text: str, expected: str) -> None:
    assert said(engine(surgery).read(text)) == expected


@pytest.mark.parametrize(("surgery", "text"), SENTENCES["no_commands"])
def test_what_is_no_command_for_now_switches_nothing(surgery: str, text: str) -> None:
    assert said(engine(surgery).read(text)) == ""


@pytest.mark.parametrize(
    ("text", "confidence", "match_type", "trigger"),
    [
        ("suction please", 0.95, "trigger", "suction please"),
        ("turn off the vacuum", 0.85, "alias", "vacuum"),
        ("start the C-Arm Fluoroscopy", 0.80, "name", "c arm fluoroscopy"),
        ("don't start the vacuum", 0.75, "alias", "vacuum"),
        ("skip the vacuum", 0.75, "alias", "vacuum"),
        ("start the vacuum immediately", 0.90, "alias", "vacuum"),
        ("suction on, stat", 1.0, "trigger", "suction on"),
        ("don't start the vacuum now", 0.80, "alias", "vacuum"),
    ],
)
def test_confidence_says_how_a_machine_was_named(text: str, confidence: float, match_type: str, trigger: str) -> None:
    toggle = only(engine(P).read(text))
    assert (toggle.confidence, toggle.match_type, toggle.trigger) == (confidence, match_type, trigger)


def test_the_confidence_of_a_reading_is_that_of_its_weakest_toggle() -> None:
    assert engine(P).read("suction on and start the vitals monitor").confidence == 0.85
    assert engine(P).read("good morning").confidence == 0.0


def test_a_negation_is_named_by_its_word() -> None:
    assert engine(P).read("don't start the suction").negations == ("don't",)
    assert engine(P).read("start the suction").negations == ()


def test_keywords_are_listed_even_if_nothing_is_commanded() -> None:
    reading = engine(P).read("the vitals look fine and the scope is clean")
    assert reading.matched_keywords == ("vitals", "scope")
    assert reading.toggles == ()


def later(reading: Reading) -> str:
    return " ".join(f"{one.toggle.machine_id} {one.toggle.action}" for one in reading.deferred)


@pytest.mark.parametrize(("surgery", "text", "now", "deferred"), LATER)
def test_what_is_for_later_is_deferred_and_not_done(surgery: str, text: str, now: str, deferred: str) -> None:
    reading = engine(surgery).read(text)
    assert (said(reading), later(reading)) == (now, deferred)


@pytest.mark.parametrize(("surgery", "text", "device"), SENTENCES["unknown"])
def test_a_device_that_the_surgery_does_not_have_is_named_and_not_switched(
    surgery: str, text: str, device: str
) -> None:
    reading = engine(surgery).read(text)
    assert (said(reading), reading.unknown) == ("", (device,))


@pytest.mark.parametrize(
    ("text", "waits_for", "delay_s"),
    [
        ("when the tube is in, start the suction", "when the tube is in", None),
        ("start the suction as soon as I say so", "as soon as i say", None),
        ("after dilation we will need the suction", "after dilation", None),
        ("in five minutes start the suction", "in five minutes", 300.0),
        ("suction off in about thirty seconds", "in about thirty seconds", 30.0),
        ("in half an hour turn off the suction", "in half an hour", 1800.0),
        ("suction off in, uh, thirty seconds", "in , thirty seconds", 30.0),
        ("the suction can go off in, let me think, ten minutes", "in , let me think , ten minutes", 600.0),
        ("in two, maybe three minutes start the suction", "in two , maybe three minutes", 120.0),
        ("count to sixty for me and after that stop the suction", "count to sixty", 60.0),
        ("start the suction on my signal", "on my signal", None),
        ("we are going to start the suction", "", None),
    ],
)
def test_what_is_deferred_says_what_it_waits_for(text: str, waits_for: str, delay_s: float | None) -> None:
    (one,) = engine(P).read(text).deferred
    assert (one.waits_for, one.delay_s) == (waits_for, delay_s)


@pytest.mark.parametrize(
    "text",
    [
        "In, Anna, start the suction.",
        "Come in, Ben, two minutes late again, start the suction.",
        "Suction on, and count to ten.",
    ],
)
def test_what_only_sounds_like_a_delay_puts_nothing_off(text: str) -> None:
    assert (said(engine(P).read(text)), engine(P).read(text).deferred) == ("M06 ON", ())


@pytest.mark.parametrize("line", SENTENCES["chatter"])
@pytest.mark.parametrize("surgery", [P, H, L])
def test_talk_switches_nothing(surgery: str, line: str) -> None:
    reading = engine(surgery).read(line)
    assert (reading.toggles, reading.deferred) == ((), ())


@pytest.mark.parametrize(
    ("text", "rule", "words"),
    [
        ("could you turn on the suction please", "particle verb", "turn on the suction"),
        ("turn the suction off", "split verb", "turn the suction off"),
        ("the suction is on", "state", "the suction is on"),
        ("no need for suction", "cancel", "no need for suction"),
        ("turn on the succion", "particle verb, misheard", "turn on the succion"),
        ("start the suction, no sorry, the irrigation", "start, corrected", "no sorry , the irrigation"),
    ],
)
def test_a_toggle_says_which_words_and_which_rule(text: str, rule: str, words: str) -> None:
    toggle = only(engine(P).read(text))
    assert (toggle.rule, toggle.words) == (rule, words)


def test_what_is_misheard_is_less_sure() -> None:
    assert only(engine(P).read("turn off the vaccuum")).confidence == 0.70


@pytest.mark.parametrize("speaker", ["Patient", "Medical student", "visitor"])
def test_a_bystander_switches_nothing(speaker: str) -> None:
    assert engine(P).read("turn off the lights", speaker).toggles == ()


def test_a_bare_name_is_a_request_only_of_a_surgeon() -> None:
    assert said(engine(P).read("Suction.", "Surgeon")) == "M06 ON"
    assert said(engine(P).read("Suction!")) == ""
    assert said(engine(P).read("Suction.", "Nurse")) == ""
    assert said(engine(P).read("Suction?", "Surgeon")) == ""


def test_it_and_a_correction_may_speak_of_the_utterance_before() -> None:
    before = engine(P).read("turn on the camera")
    assert said(engine(P).read("turn it off", "", before)) == "M08 OFF"
    assert said(engine(P).read("no sorry, the suction", "", before)) == "M08 OFF M06 ON"
    assert said(engine(P).read("no sorry, the suction")) == ""


def test_what_is_no_device_is_not_named_as_one() -> None:
    assert engine(P).read("start the operation, stop the bleeding, start the doctor").unknown == ()


@pytest.mark.parametrize(("surgery", "before", "text", "expected"), SENTENCES["references"])
def test_what_points_back_is_of_the_machines_that_were_switched_last(
    surgery: str, before: str, text: str, expected: str
) -> None:
    rules = engine(surgery)
    assert said(rules.read(text, "", rules.read(before))) == expected


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        (["Fluoro on.", "And the suction on too.", "Turn them both off."], "M04 OFF M06 OFF"),
        (["Fluoro on.", "Suction and irrigation on.", "Turn them both off."], "M06 OFF M05 OFF"),
        (["Fluoro on.", "Suction on.", "Turn that off."], "M06 OFF"),
        (["Fluoro on.", "Suction on.", "Camera on.", "All three off, please."], "M04 OFF M06 OFF M08 OFF"),
        (["Start the fluoro.", "It's going.", "Stop it there."], "M04 OFF"),
        (["Suction on.", "I need both hands now."], ""),
        (["Suction on.", "Turn it off.", "It stopped."], ""),
    ],
)
def test_what_points_back_may_be_of_several_lines(lines: list[str], expected: str) -> None:
    reading = None
    for line in lines:
        reading = engine(P).read(line, "", reading)
    assert reading is not None
    assert said(reading) == expected


@pytest.mark.parametrize("text", ["Off again.", "Turn that off.", "Stop that now.", "Both on please."])
def test_what_points_back_at_nothing_switches_nothing(text: str) -> None:
    assert said(engine(P).read(text)) == ""


@pytest.mark.parametrize(
    ("text", "temporal"),
    [
        ("start the suction right now", "immediately"),
        ("start the suction after the incision", "after"),
        ("when I say so, start the suction", "when"),
        ("start the suction in 30 seconds", "in_time"),
        ("start the suction before the incision", "before"),
        ("keep the suction on during the transection", "during"),
        ("start the suction", "none"),
    ],
)
def test_time_words_are_told_apart(text: str, temporal: str) -> None:
    assert engine(P).read(text).temporal == temporal


def test_the_last_word_on_a_machine_counts() -> None:
    assert said(engine(P).read("suction on. stop the suction")) == "M06 OFF"


@pytest.mark.parametrize("text", ["start imaging once more", "once again, start imaging", "start imaging again"])
def test_to_do_it_once_more_is_to_do_it_now(text: str) -> None:
    assert said(engine(P).read(text)) == "M04 ON"


def test_a_word_inside_another_word_is_no_match() -> None:
    assert engine(P).read("the suctioned fluid, cameraman").matched_keywords == ()


def test_the_longest_phrase_wins() -> None:
    assert only(engine(L).read("turn on the vats camera")).trigger == "vats camera"


def test_spelling_with_hyphens_curly_quotes_capitals_and_spaces_makes_no_difference() -> None:
    assert said(engine(P).read("DON’T   start the X-Ray")) == "M04 OFF"
    assert said(engine(P).read("start the x ray")) == "M04 ON"


def test_a_surgery_that_no_code_knows_is_read_by_its_own_words() -> None:
    laser = Machine(id="M07", name="Holmium Laser (Ho:YAG)", category="Energy", triggers=("laser ready",), aliases=())
    surgery = Surgery("Ureteroscopy", "Ureteroscopy", "OR", (Phase("A", "Only"),), (laser,))
    assert said(RuleEngine(surgery).read("laser ready")) == "M07 ON"
    assert said(RuleEngine(surgery).read("stop the holmium laser")) == "M07 OFF"


VERBS = ["turn", "switch", "start", "stop", "pause", "hold", "don't", "not", "no", "could", "you", "is", "please"]
THINGS = ["the", "suction", "irrigation", "lights", "camera", "lithotripter", "tube", "scope", "needle"]
SMALL = ["on", "off", "and", "then", ",", ".", "?", "when", "before", "now", "in", "five", "minutes"]
WORDS = st.sampled_from(VERBS + THINGS + SMALL)
AMOUNTS = st.one_of(
    st.sampled_from(["at", "for", "in", "a", "half", "past", "mark", "o'clock", "more", "ago", "mg", "bar", "½", "²"]),
    st.builds(
        str.__add__, st.from_regex(r"[0-9]{1,3}(\.[0-9])?", fullmatch=True), st.sampled_from(["", "mg", "pm", "²"])
    ),
)


@given(st.lists(WORDS, max_size=14).map(" ".join))
def test_any_order_of_words_gives_each_machine_at_most_one_toggle_and_the_same_every_time(text: str) -> None:
    reading = engine(P).read(text)
    ids = [toggle.machine_id for toggle in reading.toggles]
    assert len(ids) == len(set(ids))
    assert all(0.0 <= toggle.confidence <= 1.0 for toggle in reading.toggles)
    assert engine(P).read(text) == reading


@given(st.text(alphabet=string.printable + "äß’—\u4e2d", max_size=200))
def test_any_text_can_be_read(text: str) -> None:
    assert isinstance(engine(H).read(text), Reading)


@given(st.lists(st.one_of(WORDS, AMOUNTS), max_size=10).map(" ".join))
def test_amounts_of_any_form_can_be_read(text: str) -> None:
    assert isinstance(engine(P).read(f"suction on {text}"), Reading)


@pytest.mark.parametrize("amount", ["at 5mm", "for 5mm", "at 3x", "at 5²", "at 40 percent", "at sixty"])
def test_how_much_changes_nothing_however_it_is_written(amount: str) -> None:
    assert said(engine(P).read(f"suction on {amount}")) == "M06 ON"


@given(st.lists(WORDS.filter(lambda word: word != "now"), max_size=10).map(" ".join))
def test_after_when_nothing_is_switched_but_what_is_told_for_now(text: str) -> None:
    reading = engine(P).read("when we are done " + text.translate({ord(mark): None for mark in ".?,"}))
    assert reading.toggles == ()


ORDERS = ["turn on the {}", "turn the {} off", "start the {}", "stop the {}", "{} off", "{} on please", "skip the {}"]
NAMES = ["suction", "irrigation", "lithotripter", "lights", "camera", "c-arm", "ventilator"]
ORDER = st.builds(lambda order, name: (order, name), st.sampled_from(ORDERS), st.sampled_from(NAMES))
FILLERS = st.sampled_from(["uh", "um", "er", "okay", "well", "so"])


def said_of(text: str) -> set[str]:
    return {f"{toggle.machine_id} {toggle.action}" for toggle in engine(P).read(text).toggles}


# But for who is called behind what switches: a capital tells a name there from a part of the machine
CALLED = re.compile(r" (?:on|off|please|now|standby) [A-Z]\w")


@given(st.sampled_from([c for c in COMMANDS if c[0] == P and not CALLED.search(c[1])]), st.data())
def test_letter_case_never_changes_a_toggle(case: tuple[str, str, str], data: st.DataObject) -> None:
    upper = data.draw(st.lists(st.booleans(), min_size=len(case[1]), max_size=len(case[1])))
    text = "".join(c.upper() if u else c for c, u in zip(case[1], upper, strict=True))
    assert said(engine(P).read(text)) == case[2]


@given(st.sampled_from([c for c in COMMANDS if "?" not in c[1]]), st.sampled_from(["", ".", "!", " .", "...", ","]))
def test_a_mark_at_the_end_never_changes_a_toggle(case: tuple[str, str, str], mark: str) -> None:
    assert said(engine(case[0]).read(case[1].rstrip(".!,") + mark)) == case[2]


@given(st.sampled_from([*COMMANDS, *(case[:3] for case in LATER)]), st.data())
def test_sounds_between_words_never_change_a_toggle(case: tuple[str, str, str], data: st.DataObject) -> None:
    words = case[1].split()
    at = data.draw(st.integers(0, len(words)))
    sound = data.draw(st.sampled_from(["uh", "um", "er", "hmm"]))
    assert said(engine(case[0]).read(" ".join([*words[:at], sound, *words[at:]]))) == case[2]


@given(ORDER, st.data())
def test_fillers_never_change_a_toggle(order: tuple[str, str], data: st.DataObject) -> None:
    words = order[0].format(order[1]).split()
    at = data.draw(st.integers(0, len(words)))
    filled = " ".join([*words[:at], data.draw(FILLERS), *words[at:]])
    assert said_of(filled) == said_of(" ".join(words)) != set()


@given(
    st.lists(ORDER, min_size=2, max_size=4, unique_by=lambda order: order[1]),
    st.sampled_from([" and ", ", ", ". ", "; ", ", and ", ", then "]),
    st.randoms(use_true_random=False),
)
def test_the_order_of_independent_clauses_never_changes_a_toggle(
    orders: list[tuple[str, str]], joint: str, draw: random.Random
) -> None:
    clauses = [order.format(name) for order, name in orders]
    expected = set[str]().union(*map(said_of, clauses))
    draw.shuffle(clauses)
    assert said_of(joint.join(clauses)) == expected


@given(st.sampled_from(["is", "are", "why is", "when was", "who says that"]), st.sampled_from(NAMES))
def test_questions_switch_nothing(opener: str, name: str) -> None:
    assert said_of(f"{opener} the {name} on") == said_of(f"{opener} the {name} off?") == set()


@pytest.mark.parametrize("unit", ["c-arm", "lights low", "c-arm lights and", "suction off, ", "do not"])
def test_a_sentence_without_an_end_is_cut_so_that_no_text_takes_the_square_of_its_length(unit: str) -> None:
    lexicon = Lexicon(SURGERIES[P], SURGERIES.values(), load_language())
    words = lexicon.words(f"{unit} " * 1000)
    sentences = list(lexicon.sentences(words))
    assert max(len(sentence.tokens) for sentence in sentences) <= LONGEST
    starts = [token.start for sentence in sentences for token in sentence.tokens]
    assert starts == sorted(set(starts))  # nothing comes twice
    assert starts[-1] >= len(words) - 3  # and nothing is lost


def test_what_is_said_behind_long_chatter_is_not_cut_in_two() -> None:
    chatter = "and then we went home " * 60
    for said_last, expected in (("turn on the suction", "M06 ON"), ("do not turn on the suction", "M06 OFF")):
        assert said(engine(P).read(f"{chatter}, {said_last}")) == expected
