"""The state of one session: who may set a machine, and what an answer can still change."""

from typing import Any

import msgspec
import pytest

from pipeline.config import PromptSection, resolve
from pipeline.errors import Rejected
from pipeline.messages import Action, Observation, Override, SessionStart, Toggle, Transcript, Verdict
from stages.phases import answered
from stages.prompt import waiting
from stages.prompt.change import Change
from stages.prompt.cues import PhaseCues
from stages.prompt.language import load_language
from stages.prompt.publishers import LATE, MAX_PUBLISHERS
from stages.prompt.rules import RuleEngine
from stages.prompt.session import VOTE_S, Session
from stages.prompt.taught import UNTAUGHT, Taught
from stages.surgery import Phase, load_surgeries

SURGERIES = load_surgeries(resolve("configs/machines"))
PCNL = SURGERIES["PCNL"]
LANGUAGE = load_language()
ENGINE = RuleEngine(PCNL, SURGERIES.values(), LANGUAGE)
CUES = PhaseCues(PCNL, LANGUAGE)


def session(taught: Taught = UNTAUGHT, **section: Any) -> Session:
    start = SessionStart(session="a", seq=0, t=0.0, surgery="PCNL")
    return Session(start, PCNL, CUES, PromptSection(**section), 1000.0, taught)


def say(to: Session, t: float, text: str) -> Change:
    to.t = max(to.t, t)
    return to.hear(Transcript(session="a", seq=0, t=t, text=text), ENGINE.read(text, "", to.recent(t)))


def see(to: Session, t: float, kind: Any, label: str, value: str = "", confidence: float = 1.0) -> Change:
    return to.observe(Observation(session="a", seq=0, t=t, kind=kind, label=label, value=value, confidence=confidence))


def order(to: Session, t: float, machine: str, action: Any) -> Change:
    return to.override(Override(session="a", seq=0, t=t, machine=machine, action=action))


def verdict(
    t: float, phase: str = "", *, epoch: int = 0, outcome: Any = "ok", confidence: float = 0.0, **actions: Action
) -> Verdict:
    toggles = tuple(Toggle(machine_id=i, name=i, action=action) for i, action in actions.items())
    return Verdict(
        job_id="s/a/0/1",
        kind="session",
        session="a",
        epoch=epoch,
        outcome=outcome,
        t=t,
        phase=phase,
        evidence=answered(phase, confidence),
        toggles=toggles,
    )


def toggled(change: Change) -> list[tuple[str, str]]:
    return [(toggle.machine_id, toggle.action) for toggle in change.toggles]


def test_default_machines_are_on_and_the_first_phase_stands_from_the_start() -> None:
    new = session()
    assert [i for i, action in new.machines.items() if action == "ON"] == ["M01", "M09"]
    assert set(new.set_by.values()) == {"default"}
    assert new.phase == "Phase1"
    rules = new.snapshot(Change(), "loading", "", {})
    assert (rules.next_phase, rules.reasoning, rules.confidence) == ("Phase2", "normal", 0.0)


def test_a_command_sets_its_machine_by_rule() -> None:
    running = session()
    assert toggled(say(running, 1.0, "suction on")) == [("M06", "ON")]
    assert (running.machines["M06"], running.set_by["M06"]) == ("ON", "rule")


def test_on_and_off_within_the_debounce_time_keeps_the_off() -> None:
    running = session()
    say(running, 1.0, "suction on")
    assert toggled(say(running, 2.0, "suction off")) == [("M06", "OFF")]
    assert running.machines["M06"] == "OFF"


def test_on_again_after_an_off_is_no_repetition() -> None:
    running = session()
    for t, text in ((1.0, "suction on"), (2.0, "suction off")):
        say(running, t, text)
    assert toggled(say(running, 2.5, "suction on")) == [("M06", "ON")]
    assert running.machines["M06"] == "ON"


def test_the_same_again_is_debounced_and_does_not_extend_the_time() -> None:
    running = session()
    say(running, 1.0, "suction on")
    for t in (2.0, 3.9):
        change = say(running, t, "suction on")
        assert (change.debounced, change.toggles) == (["M06"], [])
    assert toggled(say(running, 4.0, "suction on")) == [("M06", "ON")]


def test_a_command_that_an_observation_undid_is_not_debounced() -> None:
    running = session()
    say(running, 1.0, "suction on")
    see(running, 1.5, "machine", "M06", "OFF")
    assert toggled(say(running, 2.0, "suction on")) == [("M06", "ON")]


def test_an_override_holds_against_rules_observations_and_model_until_it_is_released() -> None:
    running = session()
    order(running, 1.0, "M06", "OFF")
    change = say(running, 2.0, "suction on and irrigation on")
    assert toggled(change) == [("M05", "ON")]
    assert "1 toggle(s) not applied, overridden: M06" in change.reasoning()
    see(running, 3.0, "machine", "M06", "ON")
    running.learn(verdict(9.0, M06="ON"))
    assert (running.machines["M06"], running.set_by["M06"]) == ("OFF", "override")
    assert running.snapshot(Change(), "ready", "", {}).overrides_applied == 1
    assert running.snapshot(Change(), "ready", "", {}).held == ("M06",)
    order(running, 10.0, "M06", "RELEASE")
    assert running.machines["M06"] == "OFF"
    assert running.snapshot(Change(), "ready", "", {}).overrides_applied == 0
    assert running.snapshot(Change(), "ready", "", {}).held == ()
    assert toggled(say(running, 11.0, "suction on")) == [("M06", "ON")]


def test_what_was_spoken_of_is_told_until_the_model_is_asked_about_it() -> None:
    running = session()
    say(running, 1.0, "is the camera here?")
    line = Transcript(session="a", seq=0, t=2.0, text="suction on, it is dark")
    running.hear(line, ENGINE.read(line.text), ["M09"])
    rules = running.snapshot(Change(), "ready", "", {})
    assert (rules.mentioned, rules.hinted) == (("M08", "M06"), ("M09",))
    running.asked()
    rules = running.snapshot(Change(), "ready", "", {})
    assert (rules.mentioned, rules.hinted) == ((), ())


@pytest.mark.parametrize("label", ["M05", "m05", "Irrigation Pump", "irrigation pump", "SALINE"])
def test_an_observed_machine_may_be_named_by_id_name_or_alias(label: str) -> None:
    running = session()
    assert toggled(see(running, 1.0, "machine", label, "on")) == [("M05", "ON")]
    assert running.set_by["M05"] == "observation"


@pytest.mark.parametrize(
    ("value", "action"),
    [("on", "ON"), ("True", "ON"), ("1", "ON"), ("OFF", "OFF"), ("false", "OFF"), ("0", "OFF"), ("StandBy", "STANDBY")],
)
def test_an_observed_value_may_be_written_in_several_ways(value: str, action: str) -> None:
    running = session()
    see(running, 1.0, "machine", "M06", value)
    assert running.machines["M06"] == action


def test_an_observation_of_what_is_known_toggles_nothing() -> None:
    assert toggled(see(session(), 1.0, "machine", "M01", "ON")) == []


@pytest.mark.parametrize(
    ("kind", "label", "value", "reason", "said"),
    [
        ("machine", "robot", "ON", "unknown_machine", r"no machine 'robot'; its machines are M01 \(Patient Monitor\)"),
        ("machine", "M05", "maybe", "bad_observation", "M05 cannot be 'maybe'; value is ON, OFF, STANDBY"),
        ("phase", "Phase7", "", "bad_observation", r"no phase 'Phase7'; its phases are Phase1 \(Patient"),
    ],
)
def test_an_observation_of_what_does_not_exist_is_rejected_with_what_does(
    kind: str, label: str, value: str, reason: str, said: str
) -> None:
    with pytest.raises(Rejected, match=said) as caught:
        see(session(), 1.0, kind, label, value)
    assert caught.value.reason == reason


def test_an_override_of_a_machine_that_does_not_exist_is_rejected() -> None:
    with pytest.raises(Rejected, match="no machine 'M77'") as caught:
        order(session(), 1.0, "M77", "ON")
    assert caught.value.reason == "unknown_machine"


def test_an_unsure_observation_moves_nothing_and_is_told_to_the_model() -> None:
    running = session()
    see(running, 12.3, "machine", "saline", "on", 0.4)
    see(running, 13.0, "phase", "stone management", "", 0.3)
    assert (running.machines["M05"], running.phase) == ("OFF", "Phase1")
    assert running.window.transcript == "[12.3s] (video) machine M05 ON 0.4\n[13.0s] (video) phase Phase4 0.3\n"


def test_instruments_and_events_are_told_to_the_model_only() -> None:
    running = session()
    see(running, 1.0, "instrument", "nephroscope", "in", 0.9)
    see(running, 2.0, "event", "bleeding\nJSON:{}")
    assert (
        running.window.transcript
        == "[1.0s] (video) instrument nephroscope in 0.9\n[2.0s] (video) event bleeding JSON:{} 1\n"
    )
    assert len(running.window) == 0


def test_the_same_thing_seen_at_every_frame_is_told_to_the_model_once_in_a_while() -> None:
    running = session()
    for frame in range(1, 1000):
        running.t = frame / 25
        see(running, frame / 25, "instrument", "grasper", "", 0.9)
    assert running.window.transcript.count("grasper") == 2


def test_a_phase_that_was_seen_is_the_phase() -> None:
    running = session()
    see(running, 5.0, "phase", "Access & Tract Creation")
    assert running.phase == "Phase3"
    see(running, 4.0, "phase", "Phase2")
    assert running.phase == "Phase3"


def test_a_sure_model_moves_the_phase_on_unless_one_was_seen_after_its_question() -> None:
    running = session()
    running.learn(verdict(3.0, "Phase2", confidence=1.0))
    assert running.phase == "Phase2"
    see(running, 5.0, "phase", "Phase3")
    running.learn(verdict(4.0, "Phase1", confidence=1.0))
    assert running.phase == "Phase3"
    running.learn(verdict(5.0, "Phase4", confidence=0.1))
    assert running.phase == "Phase3"


def test_where_the_rules_read_nothing_the_answers_of_the_model_add_up_and_stay() -> None:
    running = session(rules=False)
    running.learn(verdict(1.0, "Phase3", confidence=1.0))
    assert running.phase == "Phase1"
    for t in (2.0, 3.0):
        running.learn(verdict(t, "Phase3", confidence=1.0))
    assert running.phase == "Phase3"
    say(running, 4.0 + VOTE_S, "all right")
    assert running.phase == "Phase3"
    running.learn(verdict(5.0 + VOTE_S, "Phase1", confidence=0.9))
    assert running.phase == "Phase3"


def test_without_rules_an_answer_that_agrees_with_what_it_was_told_says_nothing() -> None:
    once, often = session(rules=False), session(rules=False)
    for t in range(1, 50):
        often.learn(verdict(float(t), "Phase1", confidence=1.0))
    for running in (once, often):
        running.learn(verdict(60.0, "Phase2", confidence=0.9))
    assert (once.phase, often.phase) == ("Phase2", "Phase2")
    beliefs = [running.snapshot(Change(), "ready", "", {}).phase_belief for running in (once, often)]
    assert beliefs[0] == beliefs[1]


@pytest.mark.parametrize(
    ("rules", "own_phase", "told"),
    [(True, True, "Phase1"), (True, False, "Phase1"), (False, True, "Phase1"), (False, False, "")],
)
def test_a_model_is_not_told_the_phase_that_only_itself_has_found_if_it_was_taught_so(
    rules: bool, own_phase: bool, told: str
) -> None:
    running = session(Taught(own_phase=own_phase), rules=rules)
    assert running.moment().phase == told
    assert running.snapshot(Change(), "ready", "", {}).phase == "Phase1"


def test_without_rules_an_answer_of_a_model_that_was_told_no_phase_counts_where_it_agrees_too() -> None:
    once, often = (session(Taught(own_phase=False), rules=False) for _ in range(2))
    for t in range(1, 50):
        often.learn(verdict(float(t), "Phase1", confidence=1.0))
    beliefs = [running.snapshot(Change(), "ready", "", {}).phase_belief for running in (once, often)]
    assert beliefs[1]["Phase1"] > beliefs[0]["Phase1"]


def test_the_models_vote_does_not_add_up_and_ends_with_its_time() -> None:
    running = session()
    for t in range(1, 50):
        running.learn(verdict(float(t), "Phase3", confidence=1.0))
    assert running.phase == "Phase1"
    running.learn(verdict(50.0, "Phase2", confidence=1.0))
    assert running.phase == "Phase2"
    running.t = 50.0 + VOTE_S + 1
    assert running.phase == "Phase1"


def test_the_phase_follows_from_what_is_said_and_switched() -> None:
    running = session()
    passed = []
    for t, text in enumerate(
        (
            "Time out please, allergies none.",
            "Propofol is in, she is asleep.",
            "The tube is in, start the ventilator.",
            "Needle is in, guide wire please.",
            "Activate the lithotripter, let's fragment it.",
            "Nephrostomy tube is in, closing the skin.",
            "She is extubated, off to recovery.",
        )
    ):
        say(running, 100.0 * t, text)
        passed.append(running.phase)
    assert passed == ["Phase1", "Phase2", "Phase2", "Phase3", "Phase4", "Phase5", "Phase6"]


def test_one_word_of_an_earlier_phase_does_not_bring_it_back_and_more_do() -> None:
    running = session()
    for t, text in ((1.0, "the stone is fragmenting"), (2.0, "basket please"), (3.0, "stone fragments everywhere")):
        say(running, t, text)
    assert running.phase == "Phase4"
    say(running, 4.0, "dilating a bit more")
    assert running.phase == "Phase4"
    for t, text in ((5.0, "new puncture, needle please"), (6.0, "guide wire is in the calyx"), (7.0, "dilator")):
        say(running, t, text)
    assert running.phase == "Phase3"


@pytest.mark.parametrize(
    "text",
    ["are we closing?", "not closing yet", "later we close the skin", "when we are closing", "we are going to close"],
)
def test_what_is_asked_denied_or_for_later_is_no_cue(text: str) -> None:
    running = session()
    before = running.snapshot(Change(), "ready", "", {}).phase_belief
    say(running, 1.0, text)
    assert running.snapshot(Change(), "ready", "", {}).phase_belief == before


def test_a_seen_phase_that_is_not_sure_needs_to_be_seen_again() -> None:
    running = session()
    see(running, 1.0, "phase", "Phase2", "", 0.51)
    assert running.phase == "Phase1"
    see(running, 2.0, "phase", "Phase2", "", 0.51)
    assert running.phase == "Phase2"


def test_the_phase_never_swallows_a_toggle_and_an_unusual_one_is_less_sure() -> None:
    running = session()
    change = say(running, 1.0, "start the lithotripter")
    assert toggled(change) == [("M07", "ON")]
    assert change.toggles[0].confidence == 0.75
    assert change.suggestions == ["Check Lithotripter: it is not usual in Phase1 Patient Preparation"]


def test_what_is_for_a_time_waits_and_is_suggested_when_it_comes() -> None:
    running = session()
    assert toggled(say(running, 10.0, "in five minutes start the irrigation")) == []
    (told,) = running.snapshot(Change(), "ready", "", {}).deferred
    assert (told.machine_id, told.action, told.waits_for, told.due_t) == (
        "M05",
        "ON",
        "in five minutes",
        310.0,
    )
    assert say(running, 309.0, "all good").suggestions == []
    assert say(running, 310.0, "all good").suggestions == [
        "Consider switching on Irrigation Pump: what it was to wait for has come"
    ]
    assert running.snapshot(Change(), "ready", "", {}).deferred == ()
    assert running.machines["M05"] == "OFF"


@pytest.mark.parametrize(
    ("order", "meanwhile", "come"),
    [
        ("when the sheath is in, start the irrigation", "is the sheath in?", "okay the sheath is in"),
        ("start the irrigation once the wire is through", "the wire is not through", "wire is through now"),
        ("after dilation start the irrigation", "dilating now", "dilation is done"),
    ],
)
def test_what_waits_for_an_event_is_suggested_when_it_is_said_to_be_so(order: str, meanwhile: str, come: str) -> None:
    running = session()
    assert toggled(say(running, 1.0, order)) == []
    assert say(running, 2.0, meanwhile).suggestions == []
    assert "Consider switching on Irrigation Pump" in " ".join(say(running, 3.0, come).suggestions)


def test_what_waits_for_the_end_of_a_phase_is_suggested_when_the_next_one_begins() -> None:
    running = session()
    see(running, 0.5, "phase", "Phase3")
    say(running, 1.0, "after dilation we will need the lithotripter")
    change = see(running, 2.0, "phase", "Phase4")
    assert change.suggestions[0] == "Consider switching on Lithotripter: what it was to wait for has come"


def test_more_than_may_wait_forgets_the_oldest_and_counts_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(waiting, "MOST", 1)
    running = session()
    say(running, 1.0, "in five minutes start the irrigation")
    say(running, 2.0, "in five minutes start the suction")
    (left,) = running.snapshot(Change(), "ready", "", {}).deferred
    assert left.machine_id == "M06"
    assert running.dropped() == {"gap": 0, "deferred": 1}


def test_what_waits_is_forgotten_when_the_machine_is_switched_so() -> None:
    running = session()
    say(running, 1.0, "in five minutes start the irrigation")
    say(running, 2.0, "irrigation on")
    assert running.snapshot(Change(), "ready", "", {}).deferred == ()


def test_an_older_line_does_not_undo_what_a_newer_one_said() -> None:
    running = session()
    say(running, 5.0, "suction off")
    change = say(running, 4.0, "suction on")
    assert (toggled(change), change.late, running.machines["M06"]) == ([], ["M06"], "OFF")
    assert "older than what is known: M06" in change.reasoning()


def test_an_older_observation_or_override_does_not_undo_a_newer_one() -> None:
    running = session()
    say(running, 5.0, "suction off")
    assert see(running, 4.0, "machine", "M06", "ON").late == ["M06"]
    order(running, 8.0, "M06", "ON")
    assert order(running, 7.0, "M06", "OFF").late == ["M06"]
    assert running.machines["M06"] == "ON"


def test_who_set_a_machine_is_told_with_the_time() -> None:
    running = session()
    say(running, 5.0, "suction on")
    rules = running.snapshot(Change(), "ready", "", {})
    assert (rules.set_by["M06"], rules.set_at) == ("rule", {"M06": 5.0})


def test_it_means_what_was_named_shortly_before() -> None:
    running = session()
    say(running, 1.0, "suction on")
    assert toggled(say(running, 9.0, "turn it off again")) == [("M06", "OFF")]
    assert toggled(say(running, 60.0, "turn it on")) == []


def test_a_correction_in_the_next_line_takes_the_machine_back() -> None:
    running = session()
    say(running, 1.0, "turn on the camera")
    assert toggled(say(running, 4.0, "no sorry, the suction")) == [("M08", "OFF"), ("M06", "ON")]


def test_unknown_devices_are_named_and_switch_nothing() -> None:
    change = say(session(), 1.0, "turn on the argon")
    assert (toggled(change), change.unknown) == ([], ("argon",))


@pytest.mark.parametrize(
    "answer",
    [
        verdict(3.0, "Phase2", epoch=7, M06="ON"),
        verdict(3.0, "Phase2", outcome="parse_failed", M06="ON"),
        verdict(3.0, "", M99="ON"),
    ],
)
def test_an_answer_of_another_epoch_or_outcome_or_machine_changes_nothing(answer: Verdict) -> None:
    running = session()
    before = running.snapshot(Change(), "ready", "", {})
    running.learn(answer)
    assert running.snapshot(Change(), "ready", "", {}) == before


def test_the_model_sets_only_what_nobody_set_after_its_question() -> None:
    running = session()
    say(running, 5.0, "irrigation on")
    running.learn(verdict(4.0, M05="OFF", M06="ON"))
    assert (running.machines["M05"], running.machines["M06"]) == ("ON", "ON")
    assert running.set_by["M06"] == "model"


def test_a_repeated_number_is_rejected_and_gaps_are_counted_for_each_publisher() -> None:
    running = session()
    for publisher, seq in (("mic", 1), ("mic", 4), ("camera", 7), ("mic", 5)):
        running.take(Transcript(session="a", publisher=publisher, seq=seq, t=0.0, text=""))
    assert running.publishers.gaps == 2
    for seq in (5, 4):
        with pytest.raises(Rejected, match=f"'mic': seq {seq} was taken already") as caught:
            running.take(Transcript(session="a", publisher="mic", seq=seq, t=0.0, text=""))
        assert caught.value.reason == "repeated_message"


def test_a_message_that_was_overtaken_is_taken_late_and_once_and_is_no_gap() -> None:
    running = session()
    for seq in (1, 4, 3, 2):
        running.take(Transcript(session="a", publisher="mic", seq=seq, t=0.0, text=""))
    assert running.publishers.gaps == 0
    with pytest.raises(Rejected, match="seq 3 was taken already"):
        running.take(Transcript(session="a", publisher="mic", seq=3, t=0.0, text=""))


def test_a_number_that_was_left_out_is_waited_for_only_so_long() -> None:
    running = session()
    for seq in (1, 3, 5 + LATE):
        running.take(Transcript(session="a", publisher="mic", seq=seq, t=0.0, text=""))
    for seq in (2, 4):
        with pytest.raises(Rejected, match=f"seq {seq} was taken already or is too far behind {5 + LATE}"):
            running.take(Transcript(session="a", publisher="mic", seq=seq, t=0.0, text=""))
    assert running.publishers.gaps == LATE + 2


START = SessionStart(session="a", seq=0, t=0.0, surgery="PCNL")


def said(seq: int, text: str) -> Transcript:
    return Transcript(session="a", seq=seq, t=float(seq), text=text)


def test_a_start_that_comes_twice_takes_nothing_that_came_before_again() -> None:
    running = session()
    for message in (said(1, "one"), said(2, "two"), said(3, "three")):
        running.take(message)
    with pytest.raises(Rejected, match=r"this SessionStart .* came before"):
        running.come_back(START)
    for message in (said(1, "one"), said(2, "two")):
        with pytest.raises(Rejected, match="was taken already"):
            running.take(message)
    running.take(said(4, "four"))
    assert running.publishers.gaps == 0


def test_a_publisher_that_begins_again_as_it_began_is_heard_from_its_first_new_message_on() -> None:
    running = session()
    for message in (said(1, "one"), said(2, "two"), said(3, "three")):
        running.take(message)
    with pytest.raises(Rejected):
        running.come_back(START)
    running.take(Transcript(session="a", seq=1, t=4.0, text="four"))
    running.take(Transcript(session="a", seq=2, t=5.0, text="five"))
    assert running.publishers.gaps == 0


def test_more_publishers_than_can_be_remembered_are_rejected() -> None:
    running = session()
    for n in range(MAX_PUBLISHERS - 1):  # one is known by its SessionStart
        running.take(Transcript(session="a", publisher=f"p{n}", seq=1, t=0.0, text=""))
    one_more = Transcript(session="a", publisher="more", seq=1, t=0.0, text="")
    with pytest.raises(Rejected, match="256 publishers are known, 'more' is one more") as caught:
        running.take(one_more)
    assert caught.value.reason == "too_many_publishers"


def test_time_may_lie_a_little_back_and_not_more() -> None:
    running = session(backwards_s=5.0)
    running.take(Transcript(session="a", seq=1, t=100.0, text=""))
    running.take(Transcript(session="a", seq=2, t=95.0, text=""))
    assert running.t == 100.0
    with pytest.raises(
        Rejected, match=r"t=94 is 6 s behind the newest t=100, more than prompt\.backwards_s=5"
    ) as caught:
        running.take(Transcript(session="a", seq=3, t=94.0, text=""))
    assert caught.value.reason == "time_backwards"


def test_another_surgery_is_a_clean_start() -> None:
    running = session()
    say(running, 1.0, "suction on")
    order(running, 2.0, "M07", "ON")
    see(running, 3.0, "phase", "Phase4")
    running.window.append(4.0, "Surgeon", "suction on")
    running.begin(
        SessionStart(session="a", seq=9, t=2.0, surgery="Lobectomy", started_at=7.0),
        SURGERIES["Lobectomy"],
        PhaseCues(SURGERIES["Lobectomy"], LANGUAGE),
        0.0,
    )
    rules = running.snapshot(Change(), "ready", "", {})
    assert [i for i, action in rules.machines.items() if action == "ON"] == ["M01", "M09"]
    assert (rules.epoch, rules.phase, rules.overrides_applied, rules.buffer_entries) == (1, "Phase1", 0, 0)
    assert (rules.t, rules.started_at, running.window.transcript) == (2.0, 7.0, "")


@pytest.mark.parametrize(
    ("cue", "phase"),
    [
        ("the propofol is going in", "Phase1"),
        ("knife to skin", "Phase2"),
        ("skin staples please", "Phase3"),
        ("extubating now", "Phase4"),
    ],
)
def test_phases_that_every_operation_has_are_known_without_cues_of_their_own(cue: str, phase: str) -> None:
    names = ("Anesthesia Induction", "Resection", "Wound Closure", "Emergence")
    phases = tuple(Phase(f"Phase{at}", name) for at, name in enumerate(names, 1))
    surgery = msgspec.structs.replace(PCNL, phases=phases, machines=())
    evidence = PhaseCues(surgery, LANGUAGE).read(cue.split())
    assert evidence[phase] == max(evidence.values()) >= 15.0


def test_a_cue_of_one_phase_is_none_of_another_that_only_mentions_it() -> None:
    lobectomy = PhaseCues(SURGERIES["Lobectomy"], LANGUAGE)
    assert lobectomy.read(["double", "lumen", "tube", "is", "down"]) == {"Phase2": 15.0}  # "double-lumen tube prep"


def test_of_cues_that_overlap_the_longer_one_is_heard() -> None:
    evidence = CUES.read(["the", "nephrostomy", "tube", "is", "in"])
    assert "Phase2" not in evidence
    assert evidence["Phase5"] > 1.0


def test_eyes_that_are_closed_close_no_wound() -> None:
    assert max(CUES.read(["face", "is", "free", ",", "eyes", "are", "closed"]).values(), default=1.0) < 15.0
