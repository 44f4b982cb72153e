"""Orders without a machine's name: by what it gives, what it does, in words of their own, and "it" by a hint."""

import tomllib
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from pipeline.config import resolve
from stages.prompt.language import load_language
from stages.prompt.rules import Reading, RuleEngine
from stages.prompt.unnamed import unnamed
from stages.surgery import Surgery, load_surgeries

SURGERIES = load_surgeries(resolve("configs/machines"))
SENTENCES: dict[str, list[Any]] = tomllib.loads(Path(__file__).with_name("unnamed.toml").read_text())


@cache
def engine(surgery: str) -> RuleEngine:
    return RuleEngine(SURGERIES[surgery], SURGERIES.values())


def said(reading: Reading) -> str:
    return " ".join(f"{toggle.machine_id} {toggle.action}" for toggle in reading.toggles)


def meant(surgery: Surgery) -> dict[str, str]:
    return {words: machine.id for words, _, machine, _ in unnamed(surgery, load_language())}


def without(surgery: Surgery, machine_id: str) -> Surgery:
    return replace(surgery, machines=tuple(m for m in surgery.machines if m.id != machine_id))


@pytest.mark.parametrize(("surgery", "text", "expected"), SENTENCES["commands"])
def test_an_order_without_a_name_switches_what_is_meant(surgery: str, text: str, expected: str) -> None:
    assert said(engine(surgery).read(text)) == expected


@pytest.mark.parametrize(("surgery", "text"), SENTENCES["no_commands"])
def test_the_same_words_order_nothing_elsewhere(surgery: str, text: str) -> None:
    reading = engine(surgery).read(text)
    assert (said(reading), reading.deferred) == ("", ())


@pytest.mark.parametrize(("surgery", "text", "expected"), SENTENCES["later"])
def test_an_order_without_a_name_may_be_for_later(surgery: str, text: str, expected: str) -> None:
    reading = engine(surgery).read(text)
    assert said(reading) == ""
    assert " ".join(f"{later.toggle.machine_id} {later.toggle.action}" for later in reading.deferred) == expected


def test_what_two_machines_give_means_neither() -> None:
    room = SURGERIES["Lobectomy"]
    assert "gas" not in meant(room)
    assert meant(without(room, "M05"))["gas"] == "M02"
    assert meant(without(room, "M02"))["gas"] == "M05"


def test_what_a_surgery_has_no_machine_for_means_nothing() -> None:
    assert "doppler" in meant(SURGERIES["Partial Hepatectomy"])
    assert "doppler" not in meant(SURGERIES["PCNL"])


def test_a_name_of_the_dictionary_is_none_of_these_words() -> None:
    assert "saline" in SURGERIES["PCNL"].machines[4].aliases
    (toggle,) = engine("PCNL").read("Switch the saline off.").toggles
    assert (toggle.machine_id, toggle.rule, toggle.confidence) == ("M05", "split verb", 0.85)


def test_what_is_ordered_without_a_name_is_less_sure_and_says_so() -> None:
    by_name, without_one = engine("PCNL").read("Irrigation on."), engine("PCNL").read("Water on.")
    assert (without_one.confidence, without_one.toggles[0].rule) == (0.7, "state, unnamed")
    assert by_name.confidence > without_one.confidence


def test_what_was_said_by_name_too_is_told_by_its_name() -> None:
    (toggle,) = RuleEngine(SURGERIES["Lobectomy"]).read("Stop the insufflation and let the gas out.").toggles
    assert (toggle.machine_id, toggle.action, toggle.trigger, toggle.rule) == ("M05", "OFF", "insufflation", "stop")


def test_what_is_only_hinted_at_is_not_mentioned() -> None:
    assert engine("PCNL").read("The water is warm.").mentioned == ()
    assert engine("PCNL").read("Switch the water off.").mentioned == ("M05",)


def test_it_is_what_was_named_before_rather_than_a_hint() -> None:
    before = engine("PCNL").read("Suction on.")
    assert said(engine("PCNL").read("The picture is fine. Switch it off.", before=before)) == "M06 OFF"
    assert said(engine("PCNL").read("The picture is fine. Switch it off.")) == "M08 OFF"
