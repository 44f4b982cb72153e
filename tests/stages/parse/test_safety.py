"""Texts that read as control, an interface or a clinical order are found, wherever they stand."""

import re
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from parse_builders import PCNL, make_completion, small_answer

from stages.parse.judge import judge
from stages.parse.safety import PATTERNS, find_violations, may_violate, not_advisory

BANNED = {
    "execute_command": ["execute command", "Execute the action now", "EXECUTING INSTRUCTIONS"],
    "run_command": ["run command", "run the script", "run this program"],
    "send_to_device": [
        "send signal to device",
        "send a stop command to the pump machine",
        "sends signals to equipment",
    ],
    "auto_activate": ["auto-activate", "auto activate the pump", "autoactivation"],
    "auto_toggle": ["auto-toggle", "auto_toggles"],
    "directly_control": ["directly control", "Directly  controls the laser"],
    "force_state": ["force on", "force-off", "force shutdown", "force the pump restart", "forcing it off"],
    "override_safety": ["override safety", "override the safety"],
    "bypass_safety": ["bypass safety", "bypass confirmation", "bypass the human"],
    "without_confirmation": ["without human confirmation", "without operator approval", "without any human approval"],
    "api_call": ["api.send", "call api.post(x)", "API.put", "api.delete"],
    "control_url": ["http://pump/control", "https://10.0.0.1:80/v1/control"],
    "serial_write": ["serial.write(b)", "Serial.Write"],
    "gpio": ["gpio.output", "GPIO.set"],
    "administer_dose": ["administer 5 mg", "administer 2.5ml", "administer cefazolin 10 units", "administer 3 cc"],
    "inject_amount": ["inject 5", "inject lidocaine 10"],
    "prescribe": ["prescribe", "Prescribes antibiotics"],
    "diagnosis": ["diagnosis: sepsis", "Diagnose: bleeding"],
}

HARMLESS = [
    "Consider starting the suction",
    "Check the irrigation flow",
    "The drug was injected slowly",
    "Consider cardiopulmonary bypass with care",
    "Excessive force may be needed on the sheath",
    "Review the diagnosis with the team",
    "The program runs late",
    "See https://example.org/controls",
    "Prepare the automatic stapler",
    "Confirm with the operator before activation",
]


def test_there_are_18_patterns_and_each_has_its_example() -> None:
    assert len(PATTERNS) == 18
    assert set(BANNED) == set(PATTERNS)


@pytest.mark.parametrize(("pattern", "text"), [(name, text) for name, texts in BANNED.items() for text in texts])
def test_a_banned_text_is_found_in_any_letter_case(pattern: str, text: str) -> None:
    for written in (text, text.upper(), text.lower(), f"Then please {text}, doctor."):
        assert [violation.pattern for violation in find_violations(written)] == [pattern]


@pytest.mark.parametrize("text", HARMLESS)
def test_a_harmless_text_is_let_through(text: str) -> None:
    assert find_violations(text) == ()


@given(
    st.recursive(
        st.just("Then inject 5"), lambda inner: st.lists(inner, min_size=1) | st.fixed_dictionaries({"a": inner})
    )
)
def test_a_banned_text_is_found_however_deep_it_stands(value: Any) -> None:
    assert {violation.pattern for violation in find_violations(value)} == {"inject_amount"}


def test_a_violation_names_its_place() -> None:
    value = {"suggestions": ["Check", "run the script"], "details": {"toggles": [{"trigger": "gpio.set"}]}}
    assert [str(violation) for violation in find_violations(value)] == [
        "gpio in answer.details.toggles[0].trigger",
        "run_command in answer.suggestions[1]",
    ]


def test_a_place_does_not_repeat_a_key_that_is_no_plain_name() -> None:
    (violation,) = find_violations({"execute the command": {"\x00": "gpio.set"}})
    assert violation.where == "answer.*.*"


def test_characters_that_cannot_be_seen_hide_nothing() -> None:
    for text in ("ex\u200becute\ncommand", "execute\x00 \u00a0 command", "exe\u00adcute\u2028command"):
        assert [violation.pattern for violation in find_violations(text)] == ["execute_command"]


def test_a_value_that_is_nested_deeper_than_python_goes_is_searched_to_its_end() -> None:
    value: Any = "prescribe"
    for _ in range(50_000):
        value = [value]
    assert len(find_violations(value)) == 1


@pytest.mark.parametrize(
    "changes",
    [
        {"why": "So execute the command."},
        {"tips": ["Check", "Administer 5 mg of morphine"]},
        {"next": "execute the command"},
        {"details": {"toggles": [{"machine_id": "M05", "action": "ON", "trigger": "auto-activate"}]}},
        {"details": {"note": {"deep": ["http://pump/control"]}}},
        {"tips": [f"Check {n}" for n in range(20)] + ["prescribe"]},
    ],
)
def test_an_answer_with_a_banned_text_anywhere_is_unsafe(changes: dict[str, Any]) -> None:
    judgement = judge(make_completion(small_answer(**changes)), PCNL)
    assert (judgement.outcome, judgement.answer) == ("unsafe", None)
    assert judgement.violations


def test_a_suggestion_that_does_not_begin_as_advice_is_a_warning_only() -> None:
    tips = ["Consider suction", "Start the pump", "should consider a pause", "Verification is due"]
    assert not_advisory(tips) == ("Start the pump", "Verification is due")
    judgement = judge(make_completion(small_answer(tips=tips)), PCNL)
    assert (judgement.outcome, judgement.warnings) == ("ok", 2)


def test_a_plain_text_need_not_be_looked_at_by_any_pattern() -> None:
    assert not may_violate("Consider preparing for the next phase; the surgeon asks for suction.")


@pytest.mark.parametrize("text", ["pre\u017fcribe it", "admini\u017fter 5 mg", "API.\u017fend"])
def test_a_letter_that_only_folds_to_a_plain_one_hides_nothing(text: str) -> None:
    assert find_violations(text)


@given(st.text(max_size=80) | st.text(st.characters(max_codepoint=127), max_size=80))
def test_every_pattern_needs_one_of_the_stems(text: str) -> None:
    assert may_violate(text) or not any(re.search(form, text, re.IGNORECASE) for form in PATTERNS.values())


@pytest.mark.parametrize("form", PATTERNS.values(), ids=PATTERNS)
def test_what_a_pattern_matches_has_a_stem(form: str) -> None:
    @given(st.from_regex(re.compile(form, re.IGNORECASE)))
    @settings(max_examples=50, suppress_health_check=list(HealthCheck))
    def check(text: str) -> None:
        assert may_violate(text)

    check()
