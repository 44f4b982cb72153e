"""When the model is asked, and what becomes of a question."""

import msgspec
import pytest
from prompt_room import SECOND, Room, given_up, job, jobs, outcome, request, types

from pipeline.errors import Rejected
from pipeline.messages import Completion, JobLost, PromptJob, RuleOutcome, Toggle
from stages.phases import answered


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
