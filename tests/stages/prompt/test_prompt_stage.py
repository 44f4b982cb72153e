"""The prompt stage: what it sends for each message, and when the model is asked."""

from collections.abc import Iterable
from contextlib import suppress
from typing import Any

import msgspec
import pytest
from remembered import live_again

from pipeline.config import Config, InferenceSection, PromptSection, Run, resolve
from pipeline.errors import ConfigError, Rejected
from pipeline.messages import (
    Cancel,
    Completion,
    JobLost,
    Learned,
    LLMRequest,
    LLMResponse,
    Message,
    ModelChanged,
    Observation,
    Override,
    PromptJob,
    RuleOutcome,
    SessionEnd,
    SessionStart,
    Toggle,
    Transcript,
    Verdict,
)
from pipeline.stage import Stage
from stages.phases import answered
from stages.prompt.prompts import shared_part
from stages.prompt.stage import PromptStage, create
from stages.prompt.taught import Taught
from stages.surgery import load_surgeries

SURGERIES = load_surgeries(resolve("configs/machines"))
SECOND = 1_000_000_000


class Room:
    """A prompt stage with a clock that stands until it is moved, and publishers that count."""

    def __init__(self, *, ready: bool = True, lockstep: bool = False, incarnation: int = 0, **section: Any) -> None:
        self.now = 5 * SECOND
        self.seq = 0
        self.stage = PromptStage(
            PromptSection(**section),
            SURGERIES,
            "completion",
            "small",
            lockstep=lockstep,
            incarnation=incarnation,
            clock=lambda: self.now,
            wall=lambda: 1_700_000_000.0,
        )
        if ready:
            self.model("ready")

    def send(self, message: Message) -> list[Message]:
        return list(self.stage.handle(message))

    def start(self, surgery: str = "PCNL", session: str = "a", t: float = 0.0, **more: Any) -> list[Message]:
        self.seq += 1
        return self.send(SessionStart(session=session, seq=self.seq, t=t, surgery=surgery, **more))

    def say(self, t: float, text: str, session: str = "a", **more: Any) -> list[Message]:
        self.seq += 1
        return self.send(Transcript(session=session, seq=self.seq, t=t, text=text, **more))

    def see(self, t: float, kind: Any, label: str, value: str = "") -> list[Message]:
        self.seq += 1
        return self.send(Observation(session="a", seq=self.seq, t=t, kind=kind, label=label, value=value))

    def end(self, t: float) -> list[Message]:
        self.seq += 1
        return self.send(SessionEnd(session="a", seq=self.seq, t=t))

    def model(self, state: Any, error: str = "") -> list[Message]:
        return self.send(ModelChanged(state=state, error=error))

    def answer(self, job: PromptJob, outcome: Any = "ok", **more: Any) -> list[Message]:
        """A verdict; what is sent on, the record for the journal apart."""
        rules = job.rules
        sent = self.send(
            Verdict(
                job_id=job.job_id,
                kind=job.kind,
                session=rules.session,
                epoch=rules.epoch,
                outcome=outcome,
                t=rules.t,
                **more,
            )
        )
        return [message for message in sent if not isinstance(message, Learned)]


def jobs(sent: Iterable[Message]) -> list[PromptJob]:
    return [message for message in sent if isinstance(message, PromptJob)]


def job(sent: Iterable[Message]) -> PromptJob:
    (only,) = jobs(sent)
    return only


def outcome(sent: Iterable[Message]) -> RuleOutcome:
    (only,) = (message for message in sent if isinstance(message, RuleOutcome))
    return only


def given_up(sent: Iterable[Message]) -> Completion:
    (only,) = sent
    assert isinstance(only, Completion)
    return only


def request(request_id: str = "q1", **more: Any) -> LLMRequest:
    return LLMRequest(**{"request_id": request_id, "surgery": "PCNL", **more})


def response(sent: Iterable[Message]) -> LLMResponse:
    (only,) = sent
    assert isinstance(only, LLMResponse)
    return only


def types(sent: Iterable[Message]) -> list[type]:
    return [type(message) for message in sent]


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


# --- sessions ---------------------------------------------------------------------------------------------


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


# --- questions --------------------------------------------------------------------------------------------


def test_the_question_shows_the_lines_and_the_state_after_the_rules() -> None:
    room = Room()
    room.start()
    asked = job(room.say(1.0, "suction on", speaker="Surgeon"))
    assert asked.prompt.transcript == "[1.0s] Surgeon: suction on\n"
    assert "On: M01 M06 M09." in asked.prompt.tail
    assert (asked.kind, asked.answer, asked.deadline_ns) == ("session", "small", 125 * SECOND)


def test_one_question_is_in_flight_and_what_came_meanwhile_is_asked_after_its_verdict() -> None:
    room = Room()
    room.start()
    first = job(room.say(1.0, "one"))
    assert jobs(room.say(10.0, "two")) == []
    assert jobs(room.say(20.0, "three")) == []
    second = job(room.answer(first))
    assert second.prompt.transcript.count("\n") == 3
    assert second.job_id != first.job_id
    assert (second.rules.t, second.rules.machines) == (20.0, second.rules.machines)
    assert room.answer(second) == []


def test_questions_keep_their_distance_on_message_time() -> None:
    room = Room(min_interval_s=2.0)
    room.start()
    first = job(room.say(1.0, "one"))
    room.say(2.0, "two")
    assert room.answer(first) == []
    assert jobs(room.see(2.9, "event", "cut")) == []
    assert jobs(room.see(3.0, "event", "cut")) != []


def test_without_new_final_text_nothing_is_asked() -> None:
    room = Room()
    room.start()
    assert jobs(room.see(5.0, "phase", "Phase2")) == []
    room.answer(job(room.say(10.0, "hello")))
    assert jobs(room.see(20.0, "machine", "M05", "ON")) == []
    assert jobs(room.say(30.0, "   ")) == []


def test_while_the_model_is_not_ready_nothing_is_asked_and_the_outcome_says_so() -> None:
    room = Room(ready=False)
    assert outcome(room.start()).model == "loading"
    sent = room.say(1.0, "suction on")
    assert types(sent) == [RuleOutcome]
    assert outcome(room.model("down", "signal 9")).model_error == "signal 9"
    assert outcome(room.model("ready")).model == "ready"
    assert job(room.see(2.0, "event", "cut")).prompt.transcript.startswith("[1.0s] suction on\n")


def test_a_change_of_the_model_is_told_for_every_live_session_once() -> None:
    room = Room()
    room.start()
    room.start(session="b")
    newest = outcome(room.say(1.0, "suction on", session="b"))
    told = room.model("down", "signal 9")
    assert [m.session for m in told if isinstance(m, RuleOutcome)] == ["a", "b"]
    again = told[1]
    assert isinstance(again, RuleOutcome)
    assert (again.seq, again.t, again.machines) == (newest.seq, newest.t, newest.machines)
    assert room.model("down", "signal 9") == []


def test_a_question_stays_in_flight_while_the_model_is_down() -> None:
    room = Room()
    room.start()
    first = job(room.say(1.0, "one"))
    room.model("down")
    room.model("ready")
    assert jobs(room.say(10.0, "two")) == []
    assert jobs(room.answer(first)) != []


def test_questions_are_given_up_when_the_model_will_not_come_back() -> None:
    room = Room(lockstep=True)
    room.start()
    asked = job(room.say(1.0, "one"))
    completion, rules = room.model("unavailable", "no file")
    assert isinstance(completion, Completion)
    assert (completion.job_id, completion.outcome, completion.error) == (asked.job_id, "model_unavailable", "no file")
    assert isinstance(rules, RuleOutcome)
    assert not room.stage.accepting
    room.answer(asked, "model_unavailable")
    assert room.stage.accepting


def test_the_session_learns_phase_and_toggles_from_the_verdict() -> None:
    room = Room()
    room.start()
    asked = job(room.say(1.0, "hello"))
    more = {"evidence": answered("Phase2", 1.0), "toggles": (Toggle(machine_id="M08", name="Camera", action="ON"),)}
    room.answer(asked, phase="Phase2", **more)
    rules = outcome(room.see(2.0, "event", "cut"))
    assert (rules.phase, rules.next_phase, rules.machines["M08"], rules.set_by["M08"]) == (
        "Phase2",
        "Phase3",
        "ON",
        "model",
    )


def test_a_second_verdict_is_counted_and_dropped() -> None:
    room = Room()
    room.start()
    asked = job(room.say(1.0, "hello"))
    room.answer(asked, "timeout")
    assert room.answer(asked, phase="Phase3") == []
    assert outcome(room.see(2.0, "event", "cut")).phase == "Phase1"
    assert room.stage.counters()["dropped.late_verdict"] == 1.0


def test_an_overdue_question_is_given_up_once_with_what_the_rules_knew() -> None:
    room = Room(request_timeout_s=10.0)
    room.start()
    asked = job(room.say(1.0, "suction on"))
    assert room.stage.wait_s() == 10.0
    room.now += 10 * SECOND - 1
    assert list(room.stage.step()) == []
    room.now += 1
    completion = given_up(room.stage.step())
    assert (completion.job_id, completion.outcome, completion.rules) == (asked.job_id, "timeout", asked.rules)
    assert list(room.stage.step()) == []
    assert room.stage.wait_s() is None
    assert not room.stage.idle
    room.answer(asked, "timeout")
    assert room.stage.idle


def test_a_lost_question_is_given_up_and_the_next_one_is_asked_after_its_verdict() -> None:
    room = Room()
    room.start()
    asked = job(room.say(1.0, "one"))
    room.say(10.0, "two")
    completion = given_up(room.send(JobLost(job=asked, error="killed it twice")))
    assert (completion.outcome, completion.error) == ("stage_crashed", "killed it twice")
    assert jobs(room.answer(asked, "stage_crashed")) != []


def lose(room: Room, lost: PromptJob, *, alone: bool) -> list[PromptJob]:
    """The inference process died of that job; what is asked after its verdict."""
    room.send(JobLost(job=msgspec.structs.replace(lost, alone=alone), error="it died"))
    return jobs(room.answer(lost, "stage_crashed"))


def test_what_killed_the_model_is_not_shown_again_and_what_came_after_it_is_asked_alone() -> None:
    room = Room()
    room.start()
    asked = job(room.say(1.0, "deadly words"))
    room.see(2.0, "event", "seen after it was asked")
    room.say(10.0, "harmless words")
    [again] = lose(room, asked, alone=True)
    assert again.alone
    assert "deadly" in asked.prompt.transcript
    assert again.prompt.transcript.splitlines() == [
        "[2.0s] (video) event seen after it was asked 1",
        "[10.0s] harmless words",
    ]
    asking = room.stage._sessions.find("a")
    assert asking is not None
    assert len(asking.session.window) == 2  # the rules look back as before
    room.answer(again)
    later = job(room.say(20.0, "more"))
    assert not later.alone
    assert "deadly" not in later.prompt.transcript


def test_a_question_that_may_only_have_been_near_is_asked_again_alone_with_all_its_words() -> None:
    room = Room()
    room.start()
    asked = job(room.say(1.0, "perhaps"))
    assert lose(room, asked, alone=False) == []
    again = job(room.say(10.0, "more"))
    assert again.alone
    assert again.prompt.transcript.startswith("[1.0s] perhaps\n")


def test_a_timeout_acquits_nobody() -> None:
    room = Room()
    room.start()
    lose(room, job(room.say(1.0, "perhaps")), alone=False)
    room.answer(job(room.say(10.0, "more")), "timeout")
    assert job(room.say(20.0, "still more")).alone


def test_a_session_whose_questions_go_on_killing_the_model_rests_longer_each_time() -> None:
    room = Room()
    room.start()
    t, pauses = 1.0, []
    asked = job(room.say(t, "deadly"))
    for number in range(5):
        crashed_at = t
        if number == 4:
            room.answer(asked)
        else:
            lose(room, asked, alone=True)
        while not (due := jobs(room.say(t := t + 2.0, "deadly"))):
            pass
        asked, pauses = due[0], [*pauses, t - crashed_at]
    assert pauses == [2.0, 60.0, 120.0, 240.0, 2.0]


def test_a_session_that_begins_anew_does_not_rest() -> None:
    room = Room()
    room.start()
    asked = job(room.say(1.0, "deadly"))
    for t in (4.0, 100.0):
        lose(room, asked, alone=True)
        asked = (jobs(room.say(t, "deadly")) or [asked])[0]
    lose(room, asked, alone=True)
    assert jobs(room.say(110.0, "harmless")) == []
    room.start("Lobectomy")
    assert job(room.say(1.0, "harmless")).alone


def test_a_request_that_killed_the_model_is_refused_under_another_id_and_asked_again_later() -> None:
    room = Room()
    asked = job(room.send(request("q1", transcript_context="deadly")))
    lost = given_up(room.send(JobLost(job=msgspec.structs.replace(asked, alone=True), error="it died twice")))
    assert (lost.job_id, lost.outcome) == (asked.job_id, "stage_crashed")
    refused = given_up(room.send(request("q2", transcript_context="deadly")))
    assert (refused.outcome, "under another id" in refused.error) == ("stage_crashed", True)
    assert not job(room.send(request("q3", transcript_context="harmless"))).alone
    room.now += 601 * SECOND
    assert not job(room.send(request("q4", transcript_context="deadly"))).alone


def test_a_request_that_may_have_killed_the_model_is_asked_alone_under_another_id() -> None:
    room = Room()
    asked = job(room.send(request("q1", transcript_context="perhaps")))
    room.send(JobLost(job=asked, error="it died, and the deadline had passed"))
    assert job(room.send(request("q2", transcript_context="perhaps"))).alone


def test_in_lockstep_inputs_wait_for_every_answer_and_time_does_not_run_out() -> None:
    room = Room(lockstep=True)
    room.start()
    asked = job(room.say(1.0, "one"))
    assert not room.stage.accepting
    assert (asked.deadline_ns, room.stage.wait_s()) == (None, None)
    room.answer(asked)
    assert room.stage.accepting


def test_in_lockstep_a_model_that_is_not_ready_holds_nothing_up() -> None:
    room = Room(lockstep=True, ready=False)
    room.start()
    room.say(1.0, "one")
    assert room.stage.accepting


def test_out_of_lockstep_inputs_never_wait() -> None:
    room = Room()
    room.start()
    room.say(1.0, "one")
    assert room.stage.accepting


def test_the_ids_of_questions_do_not_come_again() -> None:
    ids = []
    for incarnation in (0, 1):
        room = Room(incarnation=incarnation)
        for _ in range(2):
            room.start()
            asked = job(room.say(1.0, "one"))
            ids.append(asked.job_id)
            room.answer(asked)
            room.end(2.0)
    assert ids == ["s/a/0/1", "s/a/0/2", "s/a/0/1.1", "s/a/0/1.2"]


def test_at_the_end_unasked_text_is_asked_and_the_session_is_forgotten_after_the_answer() -> None:
    room = Room(min_interval_s=60.0)
    room.start()
    room.answer(job(room.say(1.0, "one")))
    room.say(2.0, "two")
    last = job(room.end(3.0))
    with pytest.raises(Rejected, match="'a' is not running"):
        room.say(4.0, "three")
    room.answer(last)
    assert room.stage.counters()["sessions_open"] == 0.0
    assert room.stage.idle


def test_at_the_end_text_that_came_during_a_question_is_asked_after_it() -> None:
    room = Room(min_interval_s=60.0)
    room.start()
    first = job(room.say(1.0, "one"))
    room.say(2.0, "two")
    assert types(room.end(3.0)) == [RuleOutcome]
    last = job(room.answer(first))
    assert room.stage.counters()["sessions_open"] == 1.0
    room.answer(last)
    assert room.stage.counters()["sessions_open"] == 0.0


def test_a_session_that_ends_and_starts_again_before_its_last_answer_is_clean_and_stays() -> None:
    room = Room()
    room.start()
    last = job(room.say(1.0, "suction on"))
    room.end(2.0)
    rules = outcome(room.start())
    assert (rules.epoch, rules.machines["M06"], rules.t) == (1, "OFF", 0.0)
    room.answer(last, phase="Phase4")
    assert outcome(room.say(1.0, "hello")).phase == "Phase1"


# --- explicit requests ------------------------------------------------------------------------------------


def test_a_request_brings_its_own_state_and_the_rules_read_every_line() -> None:
    context = "[1.0s] Surgeon: start the suction\nirrigation on\n[3.0s] Nurse: stop the suction\nhello: turn it"
    asked = job(
        Room().send(
            request(
                transcript_context=context,
                current_phase="Phase4",
                session_time_s=65.0,
                current_machines={"1": ["M07", "M06"], "0": ["M09"]},
            )
        )
    )
    rules = asked.rules
    assert rules.machines == {
        **{"M01": "ON", "M02": "OFF", "M03": "OFF", "M04": "OFF", "M05": "ON"},
        **{"M06": "OFF", "M07": "ON", "M08": "OFF", "M09": "OFF"},
    }
    assert (rules.phase, rules.next_phase, rules.t) == ("Phase4", "Phase5", 65.0)
    assert [(t.machine_id, t.action) for t in rules.toggles] == [("M06", "OFF"), ("M05", "ON")]
    assert asked.prompt.transcript.startswith("[1.0s] Surgeon: start the suction\n[65.0s] irrigation on\n")
    assert (asked.kind, asked.job_id, asked.deadline_ns) == ("request", "r/1/q1", 35 * SECOND)


def test_a_request_touches_no_session() -> None:
    room = Room()
    room.start()
    room.send(request(session="a", transcript_context="suction on"))
    assert outcome(room.see(1.0, "event", "cut")).machines["M06"] == "OFF"


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"surgery": "Appendectomy"}, "surgery 'Appendectomy' is not known; known are Lobectomy"),
        ({"current_phase": "Phase7"}, "PCNL has no phase 'Phase7'; its phases are Phase1"),
        ({"current_machines": {"1": ["M10"]}}, "PCNL has no machine 'M10'; its machines are M01"),
        ({"current_machines": {"1": ["M05"], "0": ["M05"]}}, "machine 'M05' stands in both"),
    ],
)
def test_a_request_for_what_does_not_exist_is_answered_as_rejected(wrong: dict[str, Any], said: str) -> None:
    room = Room()
    answer = response(room.send(request(**wrong)))
    assert (answer.outcome, answer.success, answer.degraded, answer.output) == ("rejected", False, True, None)
    assert said in answer.error
    assert room.stage.idle


def test_a_request_sent_again_is_answered_once_and_then_the_same() -> None:
    room = Room()
    asked = job(room.send(request()))
    assert room.send(request()) == []
    given = LLMResponse(request_id="q1", outcome="ok", success=True, degraded=False)
    assert room.answer(asked, response=given) == [given]
    assert room.answer(asked, response=given) == []
    assert room.send(request()) == [given]
    assert room.stage.idle


@pytest.mark.parametrize(
    ("state", "expected"),
    [("loading", "model_unavailable"), ("unavailable", "model_unavailable"), ("down", "stage_crashed")],
)
def test_a_request_without_a_model_is_given_to_parse_at_once_with_the_reason(state: Any, expected: str) -> None:
    room = Room(ready=False)
    room.model(state, "no such file")
    completion = given_up(room.send(request(transcript_context="suction on")))
    assert (completion.outcome, completion.error, completion.kind) == (expected, "no such file", "request")
    assert completion.rules.machines["M06"] == "ON"
    assert list(room.stage.step()) == []


def test_an_overdue_request_is_given_up_at_its_own_deadline_in_lockstep_too() -> None:
    room = Room(lockstep=True)
    room.send(request(deadline_ms=250))
    assert room.stage.wait_s() == 0.25
    room.now += SECOND // 4
    assert given_up(room.stage.step()).outcome == "timeout"
    assert room.stage.wait_s() is None


def test_more_requests_than_allowed_are_rejected_and_may_be_sent_again_later() -> None:
    room = Room(max_requests=1)
    asked = job(room.send(request("q1")))
    assert "as many as prompt.max_requests allows" in response(room.send(request("q2"))).error
    room.answer(asked, response=LLMResponse(request_id="q1", outcome="ok", success=True, degraded=False))
    assert types(room.send(request("q2"))) == [PromptJob]


def test_an_answered_request_is_remembered_for_a_bounded_time() -> None:
    room = Room()
    for n in range(4097):
        asked = job(room.send(request(f"q{n}")))
        given = LLMResponse(request_id=f"q{n}", outcome="ok", success=True, degraded=False)
        room.answer(asked, response=given)
    assert types(room.send(request("q1"))) == [LLMResponse]
    assert types(room.send(request("q0"))) == [PromptJob]


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


def test_the_prompt_shows_as_many_examples_as_the_configuration_says() -> None:
    def shown(**section: Any) -> int:
        room = Room(**section)
        room.start()
        return job(room.say(1.0, "suction on")).prompt.shared.count("Transcript:\n")

    assert 1 == shown(examples="none") < shown(examples="few") < shown(examples="many")


@pytest.mark.parametrize(("linked", "shown"), [(True, "Suction (M06) on."), (False, "Suction on.")])
def test_names_have_ids_behind_them_for_a_model_that_was_taught_so(linked: bool, shown: str) -> None:
    stage = PromptStage(PromptSection(), SURGERIES, "completion", "small", taught=Taught(links=linked))
    list(stage.handle(ModelChanged(state="ready", error="")))
    list(stage.handle(SessionStart(session="s1", seq=1, t=0.0, surgery="PCNL")))
    asked = job(list(stage.handle(Transcript(session="s1", seq=2, t=1.0, text="Suction on."))))
    assert asked.prompt.transcript == f"[1.0s] {shown}\n"
    assert asked.rules.toggles[0].machine_id == "M06"
    request = LLMRequest(request_id="r1", surgery="PCNL", transcript_context="Suction on.", session_time_s=3.0)
    assert shown in job(list(stage.handle(request))).prompt.transcript


@pytest.mark.parametrize(
    ("taught", "shown"),
    [
        (Taught(links=True, hints=True), "Suction (M06) on, it is dark (M09?)."),
        (Taught(links=True), "Suction (M06) on, it is dark."),
        (Taught(hints=True), "Suction on, it is dark."),
    ],
)
def test_hints_have_ids_too_for_a_model_that_was_taught_so(taught: Taught, shown: str) -> None:
    stage = PromptStage(PromptSection(), SURGERIES, "completion", "small", taught=taught)
    list(stage.handle(ModelChanged(state="ready", error="")))
    request = LLMRequest(
        request_id="r1", surgery="PCNL", transcript_context="Suction on, it is dark.", session_time_s=3.0
    )
    asked = job(list(stage.handle(request)))
    assert asked.prompt.transcript == f"[3.0s] {shown}\n"
    hinted = ("M09",) if taught.links and taught.hints else ()
    assert asked.rules.hinted == hinted
    list(stage.handle(SessionStart(session="s1", seq=1, t=0.0, surgery="PCNL")))
    asked = job(list(stage.handle(Transcript(session="s1", seq=2, t=1.0, text="It is dark."))))
    assert asked.rules.hinted == hinted


@pytest.mark.parametrize(("model", "shown"), [("gemma-3-270m-taught", "(M06)"), ("gemma-3-270m", "Suction on")])
def test_the_manifest_says_whether_names_have_ids_behind_them(model: str, shown: str) -> None:
    stage = create(Config(inference=InferenceSection(model=model)))
    list(stage.handle(ModelChanged(state="ready", error="")))
    request = LLMRequest(request_id="r1", surgery="PCNL", transcript_context="Suction on.", session_time_s=3.0)
    assert shown in job(list(stage.handle(request))).prompt.transcript


@pytest.mark.parametrize("examples", ["none", "few", "many"])
def test_the_prompt_shows_what_the_model_needs_where_the_configuration_leaves_it_to_the_model(examples: Any) -> None:
    def shared(section: PromptSection) -> str:
        stage = PromptStage(section, SURGERIES, "completion", "small", taught=Taught(examples))
        list(stage.handle(ModelChanged(state="ready", error="")))
        list(stage.handle(SessionStart(session="s1", seq=1, t=0.0, surgery="PCNL")))
        return job(list(stage.handle(Transcript(session="s1", seq=2, t=1.0, text="suction on")))).prompt.shared

    assert shared(PromptSection()) == shared_part(SURGERIES["PCNL"], "completion", "small", examples)
    assert "Transcript:" in shared(PromptSection(examples="few"))


def test_the_prompt_shows_as_many_lines_as_the_model_was_taught_on_unless_the_configuration_says_how_many() -> None:
    def shown(section: PromptSection) -> list[str]:
        stage = PromptStage(section, SURGERIES, "completion", "small", taught=Taught(window_lines=4))
        list(stage.handle(SessionStart(session="s1", seq=1, t=0.0, surgery="PCNL")))
        said = [Transcript(session="s1", seq=at, t=float(at), text=f"line {at}") for at in range(2, 9)]
        for line in said[:-1]:
            list(stage.handle(line))
        list(stage.handle(ModelChanged(state="ready", error="")))
        asked = job(list(stage.handle(said[-1])))
        return [line.split("s] ")[1] for line in asked.prompt.transcript.splitlines()]

    assert shown(PromptSection()) == ["line 5", "line 6", "line 7", "line 8"]  # cut at one go when line 6 came
    assert len(shown(PromptSection(window_lines=60))) == 7


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
