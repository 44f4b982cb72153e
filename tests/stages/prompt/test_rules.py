"""What the rules read in an utterance: commands switch machines, everything else does not."""

import string
from functools import cache

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.config import resolve
from pipeline.messages import Toggle
from stages.prompt.rules import Reading, RuleEngine
from stages.surgery import Machine, Phase, Surgery, load_surgeries

P, H, L = "PCNL", "Partial Hepatectomy", "Lobectomy"

COMMANDS = [
    (P, "stop the lithotripter and start the suction", "M07 OFF M06 ON"),
    (P, "turn on the suction and the irrigation", "M06 ON M05 ON"),
    (P, "turn the lights off", "M09 OFF"),
    (P, "suction on", "M06 ON"),
    (H, "argon off", "M05 OFF"),
    (P, "don't start the suction", "M06 OFF"),
    (P, "leave the suction on", "M06 ON"),
    (P, "don't stop the suction", "M06 ON"),
    (P, "put the suction on standby", "M06 STANDBY"),
    (P, "pause the irrigation", "M05 STANDBY"),
    (P, "hold the irrigation", "M05 STANDBY"),
    (P, "could you stop the suction?", "M06 OFF"),
    (P, "the tube is in", "M03 ON"),
    (P, "suction please", "M06 ON"),
    (P, "dim lights", "M09 ON"),
    (H, "pump off", "M07 OFF"),
    (L, "please drain the fluid and turn on the suction", "M07 ON"),
    (L, "insert drain", "M08 ON"),
    (P, "turn off the suction and start the irrigation", "M06 OFF M05 ON"),
    (P, "stop the suction, start the irrigation", "M06 OFF M05 ON"),
    (P, "stop the suction start the irrigation", "M06 OFF M05 ON"),
    (P, "suction on irrigation off", "M06 ON M05 OFF"),
    (P, "suction and irrigation on", "M06 ON M05 ON"),
    (P, "turn the suction and irrigation off", "M06 OFF M05 OFF"),
    (P, "stop the lithotripter and suction on", "M07 OFF M06 ON"),
    (P, "start the suction but not the irrigation", "M06 ON M05 OFF"),
    (P, "don't start the suction or the irrigation", "M06 OFF M05 OFF"),
    (P, "we need suction", "M06 ON"),
    (P, "we don't need suction", "M06 OFF"),
    (P, "no need for suction", "M06 OFF"),
    (P, "no suction please", "M06 OFF"),
    (P, "skip the irrigation", "M05 OFF"),
    (P, "hold off on the irrigation", "M05 OFF"),
    (P, "don't forget to turn on the suction", "M06 ON"),
    (P, "stop the suction now and in five minutes start the irrigation", "M06 OFF"),
    (P, "turn on the suction before you start the lithotripter", "M06 ON"),
    (P, "before you start the lithotripter, turn on the suction", "M06 ON"),
    (H, "argon beam", "M05 ON"),
    (H, "stop the argon beam", "M05 OFF"),
    (H, "turn off the suction and the argon beam", "M06 OFF M05 OFF"),
    (P, "shut the suction off", "M06 OFF"),
    (P, "shut down the C-arm", "M04 OFF"),
    (P, "bring in the c arm", "M04 ON"),
    (P, "x-ray on", "M04 ON"),
    (P, "start cutting, suction please", "M06 ON"),
    (P, "stop, suction please", "M06 ON"),
    (P, "turn off suction on the left side", "M06 OFF"),
    (P, "suction stop", "M06 OFF"),
    (P, "irrigation standby", "M05 STANDBY"),
    (P, "stand by with the irrigation", "M05 STANDBY"),
    (P, "don't pause the irrigation", "M05 ON"),
    (P, "turn the suction back on", "M06 ON"),
    (P, "Could we get the lights off, please?", "M09 OFF"),
    (P, "start the suction, okay?", "M06 ON"),
    (P, "start the suction immediately", "M06 ON"),
    (P, "no, start the suction", "M06 ON"),
    (P, "no start the suction", "M06 ON"),
    (P, "Stop suction. Start irrigation!", "M06 OFF M05 ON"),
    (P, "suction on and irrigation off", "M06 ON M05 OFF"),
    (P, "turn the suction off and the irrigation on", "M06 OFF M05 ON"),
    (P, "switch off lithotripter, irrigation and suction", "M07 OFF M05 OFF M06 OFF"),
    (P, "stop irrigation and clear field", "M05 OFF M06 ON"),
    (P, "we are done with the lithotripter", "M07 OFF"),
    (P, "start the suction, is the monitor ok?", "M06 ON"),
    (L, "one lung ventilation", "M03 ON"),
    (L, "chest tube in", "M08 ON"),
    (P, "start the suction and check the irrigation", "M06 ON"),
    (P, "go ahead and start the suction", "M06 ON"),
    (P, "lithotripter off, please", "M07 OFF"),
    (P, "keep the lights on until i say", "M09 ON"),
    (P, "never mind the suction", "M06 OFF"),
    (P, "turn on suction, stop. turn off suction", "M06 OFF"),
    (P, "if you could start the suction?", "M06 ON"),
    (P, "turn off the C-arm and suction on please", "M04 OFF M06 ON"),
]

NO_COMMANDS = [
    (P, "hold the camera steady"),
    (P, "is the suction on?"),
    (P, "is the suction on"),
    (P, "the vitals look fine"),
    (P, "in five minutes start the suction"),
    (P, "start the suction in five minutes"),
    (P, "when the tube is in, start the ventilator"),
    (P, "after the time out start the suction"),
    (P, "don't dim lights"),
    (H, "irrigation pump on"),
    (H, "start the irrigation pump"),
    (L, "drain the fluid"),
    (P, "stop the bleeding near the camera"),
    (P, "why is the suction off?"),
    (P, "start the suction and irrigation in five minutes"),
    (P, "the suction is on"),
    (P, "induction was smooth"),
    (P, "start the suction?"),
    (P, "turn it off"),
    (P, "suctions on"),
    (P, "nephrostomy tube is in"),
    (P, "should I turn on the suction"),
    (P, "can you see the camera?"),
    (P, "at the end of irrigation"),
    (P, "turn the lights down"),
    (P, "camera port placement"),
    (P, "the suction tip is clogged"),
]


@cache
def engine(surgery: str) -> RuleEngine:
    return RuleEngine(load_surgeries(resolve("configs/machines"))[surgery])


def said(reading: Reading) -> str:
    return " ".join(f"{toggle.machine_id} {toggle.action}" for toggle in reading.toggles)


def only(reading: Reading) -> Toggle:
    (toggle,) = reading.toggles
    return toggle


@pytest.mark.parametrize(("surgery", "text", "expected"), COMMANDS)
def test_a_command_switches_the_machines_that_it_names(surgery: str, text: str, expected: str) -> None:
    assert said(engine(surgery).read(text)) == expected


@pytest.mark.parametrize(("surgery", "text"), NO_COMMANDS)
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


def test_what_is_for_later_is_listed_as_deferred() -> None:
    reading = engine(P).read("stop the suction, and in five minutes start the irrigation")
    assert said(reading) == "M06 OFF"
    assert reading.deferred == ("M05",)


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


@given(st.lists(WORDS, max_size=10).map(" ".join))
def test_after_when_nothing_is_switched_now(text: str) -> None:
    reading = engine(P).read("when we are done " + text.replace(".", "").replace("?", ""))
    assert reading.toggles == ()
