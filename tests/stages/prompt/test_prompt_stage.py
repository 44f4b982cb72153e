"""The prompt stage: what it sends for each message, and what it knows again after a death."""

from contextlib import suppress
from typing import Any

import msgspec
import pytest
from prompt_room import SECOND, Room, job, jobs, outcome, types
from remembered import live_again

from pipeline.config import Config, InferenceSection, PromptSection, Run
from pipeline.errors import ConfigError, Rejected
from pipeline.messages import (
    Cancel,
    LLMRequest,
    LLMResponse,
    Message,
    Observation,
    Override,
    PromptJob,
    RuleOutcome,
    SessionEnd,
    SessionStart,
    Transcript,
)
from pipeline.stage import Stage
from stages.prompt.stage import create


def test_it_is_a_stage_made_from_the_configuration() -> None:
    stage: Stage = create(Config(inference=InferenceSection(model="stub"), run=Run(lockstep=True)), 3)
    assert stage.accepting
    assert stage.idle
    assert stage.wait_s() is None
    stage.close()
    stage.close()


def test_a_folder_without_surgeries_is_a_configuration_error(tmp_path: Any) -> None:
    with pytest.raises(ConfigError, match="no surgery in it"):
        create(Config(prompt=PromptSection(machines=str(tmp_path)), inference=InferenceSection(model="stub")))


def test_a_new_session_publishes_its_default_state() -> None:
    rules = outcome(Room().start(session="b"))
    assert rules.machines["M01"] == "ON"
    assert (rules.session, rules.epoch, rules.phase, rules.started_at) == ("b", 0, "Phase1", 1_700_000_000.0)
    assert outcome(Room().start(started_at=12.0)).started_at == 12.0


def test_an_unknown_surgery_is_rejected_with_the_known_ones_and_makes_no_session() -> None:
    room = Room()
    with pytest.raises(Rejected, match="'Appendectomy' is not known; known are Lobectomy, Partial Hepatectomy, PCNL"):
        room.start("Appendectomy")
    assert room.stage.counters()["sessions_open"] == 0.0
    assert room.stage.counters()["rejected.unknown_surgery"] == 1.0


def test_a_message_of_an_unknown_session_is_rejected_with_what_to_do() -> None:
    room = Room()
    room.start(session="b")
    with pytest.raises(Rejected, match=r"'zz' is not running; publish SessionStart first\. Running: b") as caught:
        room.say(1.0, "suction on", session="zz")
    assert caught.value.reason == "unknown_session"


def test_more_sessions_than_allowed_are_rejected_until_one_ends() -> None:
    room = Room(max_sessions=1)
    room.start()
    with pytest.raises(Rejected, match=r"as many as prompt\.max_sessions allows") as caught:
        room.start(session="b")
    assert caught.value.reason == "too_many_sessions"
    room.end(1.0)
    assert types(room.start(session="b")) == [RuleOutcome]


def test_a_publisher_that_comes_back_with_the_same_surgery_changes_nothing() -> None:
    room = Room()
    room.start()
    room.say(50.0, "suction on")
    room.seq = -1
    rules = outcome(room.start(t=0.0))
    assert (rules.epoch, rules.machines["M06"], rules.t, rules.seq) == (0, "ON", 50.0, 0)
    assert outcome(room.say(51.0, "suction off")).machines["M06"] == "OFF"


def test_the_question_of_what_is_over_is_taken_back_when_a_session_begins_anew() -> None:
    room = Room()
    room.start()
    asked = job(room.say(1.0, "suction on"))
    sent = room.start("Lobectomy", t=20.0)
    assert [type(message) for message in sent] == [Cancel, RuleOutcome]
    assert sent[0] == Cancel(job_id=asked.job_id)
    assert not room.stage.idle  # its verdict is still to come
    assert room.answer(asked, "expired") == []
    assert room.stage.idle


def test_the_next_question_waits_for_the_verdict_on_the_one_that_was_taken_back() -> None:
    room = Room()
    room.start()
    asked = job(room.say(1.0, "suction on"))
    room.start("Lobectomy", t=20.0)
    assert [type(message) for message in room.say(21.0, "light on")] == [RuleOutcome]
    [following] = room.answer(asked, "expired")
    assert isinstance(following, PromptJob)
    assert (following.rules.surgery, following.rules.epoch) == ("Lobectomy", 1)


def test_nothing_is_taken_back_where_no_question_is_open_or_the_surgery_goes_on() -> None:
    room = Room()
    room.start()
    asked = job(room.say(1.0, "suction on"))
    assert [type(message) for message in room.start(t=5.0)] == [RuleOutcome]  # the same surgery came back
    room.answer(asked)
    assert [type(message) for message in room.start("Lobectomy", t=20.0)] == [RuleOutcome]


def test_the_question_of_a_session_that_ended_is_taken_back_when_it_begins_again() -> None:
    room = Room()
    room.start()
    asked = job(room.say(1.0, "suction on"))
    room.end(2.0)
    assert room.start(t=0.0)[0] == Cancel(job_id=asked.job_id)


def test_another_surgery_in_a_running_session_is_a_clean_start_of_a_new_epoch() -> None:
    room = Room()
    room.start()
    old = job(room.say(1.0, "suction on"))
    rules = outcome(room.start("Lobectomy", t=2.0))
    assert (rules.epoch, rules.surgery, rules.machines["M06"]) == (1, "Lobectomy", "OFF")
    room.answer(old, phase="Phase5")
    assert outcome(room.see(3.0, "event", "cut")).phase == "Phase1"


def test_sessions_do_not_touch_each_other() -> None:
    room = Room()
    room.start()
    room.start("Lobectomy", session="b")
    room.say(1.0, "suction on")
    assert outcome(room.say(1.0, "hello", session="b")).machines["M07"] == "OFF"


def test_every_accepted_input_gives_one_outcome_before_the_question() -> None:
    room = Room()
    assert types(room.start()) == [RuleOutcome]
    sent = room.say(1.0, "suction on")
    assert types(sent) == [RuleOutcome, PromptJob]
    assert job(sent).rules == outcome(sent)
    assert types(room.see(2.0, "machine", "M05", "ON")) == [RuleOutcome]
    assert types(room.send(Override(session="a", seq=99, t=3.0, machine="M05", action="OFF"))) == [RuleOutcome]
    assert outcome(room.send(SessionEnd(session="a", seq=100, t=4.0))).machines["M05"] == "OFF"


def test_a_partial_line_is_counted_and_moves_nothing() -> None:
    room = Room()
    room.start()
    assert room.say(1.0, "suction on", is_final=False) == []
    rules = outcome(room.say(2.0, "hello"))
    assert (rules.machines["M06"], rules.buffer_entries) == ("OFF", 1)
    assert room.stage.counters()["partials"] == 1.0


def test_outcome_and_question_say_when_they_were_received_and_asked() -> None:
    room = Room()
    room.start()
    sent = room.say(1.0, "suction on")
    assert outcome(sent).stamps == {"received": 5 * SECOND}
    assert job(sent).stamps == {"received": 5 * SECOND, "asked": 5 * SECOND}


def test_a_sessions_outcomes_are_numbered_upwards_also_over_its_end_and_restarts() -> None:
    numbers = []
    for incarnation in (0, 1):
        room = Room(ready=False, incarnation=incarnation)
        sent = [*room.start(), *room.start(session="b"), *room.say(1.0, "hello"), *room.model("down")]
        sent += [*room.end(2.0), *room.start(t=0.0)]
        numbers += [rules.number for rules in sent if isinstance(rules, RuleOutcome) and rules.session == "a"]
    assert len(numbers) == 10
    assert numbers == sorted(set(numbers))


def test_repeated_messages_and_gaps_are_counted() -> None:
    room = Room()
    room.start()
    room.seq += 3
    room.say(1.0, "hello")
    room.seq -= 1
    with pytest.raises(Rejected):
        room.say(1.0, "hello")
    counters = room.stage.counters()
    assert (counters["dropped.gap"], counters["accepted.Transcript"]) == (3.0, 1.0)
    assert counters["rejected.repeated_message"] == 1.0
    room.end(2.0)
    assert room.stage.counters()["dropped.gap"] == 3.0


def test_a_message_that_is_not_for_this_stage_is_rejected() -> None:
    with pytest.raises(Rejected, match="does not take LLMResponse messages"):
        Room().send(LLMResponse(request_id="x", outcome="ok", success=True, degraded=False))


def test_two_rooms_that_hear_the_same_send_the_same() -> None:
    def play() -> list[Message]:
        room = Room(lockstep=True)
        sent = [*room.start(), *room.see(0.5, "instrument", "scope")]
        for t, text in enumerate(["suction on", "turn the lights off and start the c-arm", "no", "stop irrigation"]):
            heard = room.say(t * 3.0, text)
            sent += heard
            for asked in jobs(heard):
                sent += room.answer(asked, phase=f"Phase{t + 1}")
        return [*sent, *room.end(20.0)]

    assert play() == play()


def test_without_rules_nothing_is_switched_by_words_and_the_model_is_asked_all_the_same() -> None:
    room = Room(rules=False)
    room.start()
    rules, job = room.say(4.0, "Turn on the suction.")
    assert isinstance(rules, RuleOutcome)
    assert (rules.toggles, rules.machines["M06"]) == ((), "OFF")
    assert isinstance(job, PromptJob)
    assert "Turn on the suction." in job.prompt.transcript


# --- after a death ----------------------------------------------------------------------------------------


def known(room: Room) -> list[RuleOutcome]:
    """What the stage knows of its sessions, but for what counts processes and snapshots."""
    told = [outcome([message]) for message in room.model("down", "so that it tells")]
    return [msgspec.structs.replace(rules, number=0, stamps={}) for rules in told]


def test_a_process_started_again_knows_its_sessions_from_the_journal_and_tells_them() -> None:
    room, inputs = Room(ready=False), list[Message]()
    for message in (
        SessionStart(session="a", seq=1, t=0.0, surgery="PCNL"),
        Transcript(session="a", seq=2, t=1.0, text="turn on the suction"),
        SessionStart(session="b", seq=1, t=0.0, surgery="Lobectomy"),
        Transcript(session="a", seq=5, t=9.0, text="in a minute turn on the laser"),
        Transcript(session="a", seq=2, t=9.5, text="turn off the suction"),  # rejected then, and now
        Override(session="a", seq=6, t=10.0, machine="M05", action="ON"),
        Observation(session="b", seq=2, t=3.0, kind="phase", label="Phase2", value="", confidence=0.9),
        SessionStart(session="over", seq=1, t=0.0, surgery="PCNL"),
        SessionEnd(session="over", seq=2, t=1.0),
    ):
        inputs.append(message)
        with suppress(Rejected):
            room.send(message)
    again = Room(ready=False, incarnation=1)
    told = [rules for rules in live_again(again.stage, inputs) if isinstance(rules, RuleOutcome)]
    assert [(rules.session, rules.seq, rules.place) for rules in told if rules.again] == [
        ("a", 1, 1),
        ("a", 2, 2),
        ("b", 1, 1),
        ("a", 5, 3),
        ("a", 6, 4),
        ("b", 2, 2),
        ("over", 1, 1),
        ("over", 2, 2),
    ]
    assert known(again) == known(room)
    counters = again.stage.counters()
    assert (counters["dropped.gap"], counters["sessions_open"]) == (0.0, 2.0)
    assert "rejected.repeated_message" not in counters
    again.send(Transcript(session="a", seq=8, t=12.0, text="camera on"))
    assert again.stage.counters()["dropped.gap"] == 1.0


def test_a_session_that_did_not_say_when_it_began_began_when_that_was_journalled() -> None:
    again = Room(ready=False, incarnation=1)
    [told] = live_again(again.stage, [SessionStart(session="a", seq=1, t=0.0, surgery="PCNL")], 1_600_000_000.0)
    assert outcome([told]).started_at == 1_600_000_000.0
    assert outcome(again.start(session="new")).started_at == 1_700_000_000.0


def test_an_answer_of_before_is_the_answer_still_and_a_refusal_is_not() -> None:
    answered, refused = (
        LLMResponse(request_id=name, outcome=how, success=how == "ok", degraded=how != "ok")
        for name, how in (("q1", "ok"), ("q2", "rejected"))
    )
    again = Room(incarnation=1)
    live_again(again.stage, [answered, refused])
    assert again.send(LLMRequest(request_id="q1", surgery="PCNL")) == [answered]
    assert [type(message) for message in again.send(LLMRequest(request_id="q2", surgery="PCNL"))] == [PromptJob]
