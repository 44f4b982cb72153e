"""The parse stage from messages to messages."""

from typing import Any

import msgspec
import pytest
from parse_builders import (
    HEPATECTOMY,
    MS,
    PCNL,
    Clock,
    make_completion,
    make_rules,
    make_stage,
    publish,
    respond,
    settle,
    small_answer,
    with_machine,
)
from remembered import Remembered

from pipeline.config import Config, InferenceSection, ParseSection, PromptSection
from pipeline.errors import ConfigError, Rejected
from pipeline.messages import Certainty, Message, ModelChanged, SurgeryState, Verdict
from pipeline.stage import Stage
from stages.parse.contract import ContractError
from stages.parse.stage import create
from stages.surgery import load_surgeries


def metadata(state: Any) -> dict[str, Any]:
    result: dict[str, Any] = state.state["metadata"]
    return result


# --- rule outcomes -----------------------------------------------------------------------------------------


def test_a_rule_outcome_is_published_at_once_and_is_not_degraded() -> None:
    state = publish(make_stage(), make_rules(seq=4, t=12.0))
    assert (state.session, state.t, state.based_on) == ("or-1", 12.0, 4)
    assert (state.outcome, state.degraded, state.state["source"]) == ("ok", False, "rule")


@pytest.mark.parametrize(
    ("model", "error", "outcome", "reason"),
    [
        ("loading", "", "model_unavailable", "the model is still loading"),
        ("unavailable", "no file /models/x.gguf", "model_unavailable", "no file /models/x.gguf"),
        ("down", "killed by signal 9", "stage_crashed", "killed by signal 9"),
        ("down", "", "stage_crashed", "the inference process is down"),
    ],
)
def test_while_the_model_cannot_be_asked_every_state_is_degraded_and_says_why(
    model: Any, error: str, outcome: str, reason: str
) -> None:
    state = publish(make_stage(), make_rules(model=model, model_error=error))
    assert (state.outcome, state.degraded, state.state["source"]) == (outcome, True, "rule")
    assert metadata(state)["degraded"] is True
    assert metadata(state)["reasoning"] == f"{outcome}: {reason}. Rules: normal"


def test_each_session_counts_its_own_states_without_gaps() -> None:
    stage = make_stage()
    asked = make_rules()
    assert [publish(stage, rules).seq for rules in (asked, make_rules(), make_rules())] == [1, 2, 3]
    assert publish(stage, make_rules(session="or-2")).seq == 1
    assert settle(stage, make_completion(small_answer(), asked))[0].seq == 4


def test_a_rule_outcome_that_comes_again_says_nothing_and_is_counted() -> None:
    stage = make_stage()
    first, second = make_rules(), make_rules()
    assert [publish(stage, rules).seq for rules in (first, second)] == [1, 2]
    assert [list(stage.handle(rules)) for rules in (second, first)] == [[], []]
    assert stage.counters()["dropped.repeated_outcome"] == 2


def test_an_unknown_surgery_is_rejected_with_the_known_ones_named() -> None:
    with pytest.raises(Rejected, match="no surgery 'Cataract'; known: Lobectomy, Partial Hepatectomy, PCNL"):
        make_stage().handle(msgspec.structs.replace(make_rules(), surgery="Cataract"))


def test_a_state_of_the_rules_that_is_not_valid_is_not_published() -> None:
    stage = make_stage()
    with pytest.raises(ContractError, match="Phase9"):
        stage.handle(make_rules(phase="Phase9"))
    with pytest.raises(ContractError, match="M09 of PCNL stands in no list"):
        stage.handle(make_rules(machines={k: v for k, v in make_rules().machines.items() if k != "M09"}))
    assert publish(stage, make_rules()).seq == 1


def test_another_message_is_rejected() -> None:
    with pytest.raises(Rejected, match="not ModelChanged"):
        make_stage().handle(ModelChanged(state="ready"))


# --- answers in a session ----------------------------------------------------------------------------------


def test_an_answer_is_merged_with_the_newest_the_rules_know() -> None:
    stage = make_stage()
    asked = make_rules(seq=3, t=10.0)
    publish(stage, asked)
    publish(stage, with_machine(make_rules(seq=5, t=13.0), "M06", "ON", "rule"))
    state, verdict = settle(stage, make_completion(small_answer(), asked))
    assert state.state["machines"]["1"] == ["M01", "M06", "M09"]
    assert (state.t, state.based_on, metadata(state)["based_on_seq"], metadata(state)["age_s"]) == (13.0, 5, 3, 3.0)
    assert (metadata(state)["phase"], state.state["source"]) == ("Phase4", "rule+gemma")
    assert (verdict.outcome, verdict.phase, verdict.t, verdict.epoch) == ("ok", "Phase4", 10.0, 0)


def test_an_answer_that_overtook_its_rule_outcome_waits_for_it() -> None:
    stage = make_stage()
    publish(stage, make_rules(seq=7, t=19.0))
    asked = make_rules(seq=8, t=20.0)
    assert list(stage.handle(make_completion(small_answer(), asked))) == []
    known, state, verdict = stage.handle(asked)
    assert isinstance(known, SurgeryState)
    assert isinstance(state, SurgeryState)
    assert isinstance(verdict, Verdict)
    assert [(known.seq, known.state["source"]), (state.seq, state.state["source"])] == [(2, "rule"), (3, "rule+gemma")]
    assert (state.based_on, verdict.outcome) == (8, "ok")
    assert list(stage.handle(asked)) == []


def test_an_answer_that_is_the_first_of_its_session_waits_for_all_its_rules_in_a_first_process() -> None:
    stage = make_stage()
    began, asked = make_rules(seq=1, t=0.0), with_machine(make_rules(seq=2, t=1.0), "M06", "ON", "rule")
    assert list(stage.handle(make_completion(small_answer(), asked))) == []
    (known,) = stage.handle(began)
    assert isinstance(known, SurgeryState)
    states = [message for message in stage.handle(asked) if isinstance(message, SurgeryState)]
    assert [(known.based_on, known.seq), *((state.based_on, state.seq) for state in states)] == [(1, 1), (2, 2), (2, 3)]
    assert [state.state["source"] for state in states] == ["rule", "rule+gemma"]


def test_an_answer_of_a_session_not_known_here_waits_for_the_rules() -> None:
    stage = make_stage()
    asked = make_rules(seq=8, t=20.0)
    assert list(stage.handle(make_completion(small_answer(), asked))) == []
    known, state, _ = stage.handle(with_machine(make_rules(seq=9, t=21.0), "M06", "ON", "rule"))
    assert isinstance(known, SurgeryState)
    assert isinstance(state, SurgeryState)
    assert (known.seq, known.based_on, known.state["source"]) == (1, 9, "rule")
    assert (state.seq, state.based_on, state.state["source"]) == (2, 9, "rule+gemma")
    assert "M06" in state.state["machines"]["1"]


def test_what_a_prompt_process_of_before_may_have_sent_is_published_if_it_was_not() -> None:
    stage = make_stage()
    first, second, third = (make_rules(seq=n, t=float(n), place=n) for n in (1, 2, 3))
    publish(stage, first)
    publish(stage, second)
    sent_again = [
        msgspec.structs.replace(rules, number=rules.number + (1 << 48), again=True) for rules in (first, second, third)
    ]
    states = [list(stage.handle(rules)) for rules in sent_again]
    assert [len(state) for state in states] == [0, 0, 1]
    assert states[2][0].based_on == 3
    assert stage.counters()["dropped.repeated_outcome"] == 2


def test_a_prompt_process_without_its_journal_is_heard_all_the_same() -> None:
    stage = make_stage()
    publish(stage, make_rules(seq=5, t=9.0, place=5))
    assert publish(stage, make_rules(seq=6, t=10.0, place=1, number=1 << 48)).based_on == 6


@pytest.mark.parametrize(
    ("changes", "outcome", "reason"),
    [
        ({"text": ""}, "parse_failed", "the answer is empty"),
        ({"text": "I cannot say."}, "parse_failed", "no JSON object"),
        ({"text": '[{"phase": "Phase2"}]'}, "parse_failed", "an array"),
        ({"text": '{"on": ["M05"'}, "parse_failed", "cut off after 13 characters"),
        ({"text": '{"on": ["M05"', "truncated": True, "answer_tokens": 48}, "truncated", "the limit of 48 tokens"),
        ({"text": "", "truncated": True, "answer_tokens": 16}, "truncated", "limit of 16 tokens before it was whole"),
        ({"text": "{}"}, "schema_failed", "neither a phase nor machine lists"),
        ({"text": '{"phase": "Phase77"}'}, "schema_failed", "phase 'Phase77' is none of PCNL"),
        ({"text": '{"phase": "Phase2", "tips": ["Inject 5 ml"]}'}, "unsafe", "inject_amount in answer.tips"),
        ({"outcome": "timeout"}, "timeout", "no answer before the deadline"),
        ({"outcome": "timeout", "error": "120 s are over"}, "timeout", "120 s are over"),
        ({"outcome": "model_unavailable"}, "model_unavailable", "could not be asked"),
        ({"outcome": "stage_crashed"}, "stage_crashed", "died with this question"),
        ({"outcome": "expired"}, "expired", "no longer stood"),
    ],
)
def test_what_is_no_answer_leaves_what_the_rules_know_degraded_and_said(
    changes: dict[str, Any], outcome: str, reason: str
) -> None:
    stage = make_stage(apply_model_toggles=True)
    rules = with_machine(make_rules(phase="Phase3", next_phase="Phase4", confidence=0.95), "M05", "ON", "rule")
    publish(stage, rules)
    state, verdict = settle(stage, make_completion(small_answer(off=["M05"]), rules, **changes))
    assert (state.outcome, state.degraded, state.state["source"]) == (outcome, True, "rule")
    assert metadata(state)["outcome"] == outcome
    assert metadata(state)["reasoning"].startswith(f"{outcome}: ")
    assert reason in metadata(state)["reasoning"]
    assert (metadata(state)["phase"], state.state["confidence"]) == ("Phase3", 0.95)
    assert state.state["machines"]["1"] == ["M01", "M05", "M09"]
    assert state.state["suggestions"] == []
    assert (verdict.outcome, verdict.phase, verdict.toggles) == (outcome, "", ())


def test_an_unsafe_answer_is_listed_by_pattern_and_place_and_none_of_its_words_are_published() -> None:
    stage = make_stage()
    state, _ = settle(stage, make_completion(small_answer(why="Prescribe zyx.", tips=["Call gpio.set zyx"])))
    assert metadata(state)["safety_violations"] == ["gpio in answer.tips[0]", "prescribe in answer.why"]
    assert "zyx" not in msgspec.json.encode(state).decode()
    assert stage.counters()["safety_violations"] == 2


def test_an_answer_older_than_the_limit_has_expired() -> None:
    stage = make_stage(expire_s=30.0)
    asked = make_rules(t=10.0)
    publish(stage, make_rules(t=40.0))
    assert settle(stage, make_completion(small_answer(), asked))[1].outcome == "ok"
    publish(stage, make_rules(seq=9, t=40.1))
    state, verdict = settle(stage, make_completion(small_answer(), asked, job_id="s/or-1/0/2"))
    assert (state.outcome, verdict.outcome, metadata(state)["phase"]) == ("expired", "expired", "Phase1")
    assert "parse.expire_s=30" in metadata(state)["reasoning"]
    assert metadata(state)["based_on_seq"] == 9


def test_an_answer_about_the_former_surgery_leaves_the_new_ones_machines_alone() -> None:
    stage = make_stage(apply_model_toggles=True)
    asked = make_rules(PCNL, t=100.0)
    publish(stage, asked)
    publish(stage, make_rules(HEPATECTOMY, epoch=1, seq=2, t=101.0))
    state, verdict = settle(stage, make_completion(small_answer(on=["M05"], off=["M07"]), asked))
    assert (state.outcome, metadata(state)["surgery"]) == ("expired", "Partial Hepatectomy")
    assert state.state["machines"]["1"] == ["M01", "M07", "M09"]
    assert (verdict.outcome, verdict.epoch, verdict.toggles) == ("expired", 0, ())


def test_an_answer_from_before_the_prompt_process_counted_anew_has_expired() -> None:
    stage = make_stage()
    asked = make_rules(PCNL, epoch=3)
    publish(stage, make_rules(HEPATECTOMY, epoch=0))
    assert settle(stage, make_completion(small_answer(on=["M05"]), asked))[1].outcome == "expired"
    publish(stage, make_rules(HEPATECTOMY, epoch=3))
    assert settle(stage, make_completion(small_answer(on=["M05"]), asked, job_id="2"))[1].outcome == "expired"


def test_applied_toggles_are_in_the_state_and_in_the_verdict() -> None:
    completion = make_completion(small_answer(on=["M05"]))
    state, verdict = settle(make_stage(apply_model_toggles=True), completion)
    assert "M05" in state.state["machines"]["1"]
    assert [(toggle.machine_id, toggle.action) for toggle in verdict.toggles] == [("M05", "ON")]
    state, verdict = settle(make_stage(), completion)
    assert "M05" in state.state["machines"]["0"]
    assert verdict.toggles == ()


@pytest.mark.parametrize("label", ["Not A Label", "", "gemma/../x"])
def test_a_merged_state_that_is_not_valid_is_given_up_for_the_rules_own(label: str) -> None:
    stage = make_stage(apply_model_toggles=True)
    state, verdict = settle(stage, make_completion(small_answer(on=["M05"]), label=label))
    assert (state.outcome, state.state["source"], metadata(state)["phase"]) == ("schema_failed", "rule", "Phase1")
    assert "the merged state is not valid: source" in metadata(state)["reasoning"]
    assert (verdict.outcome, verdict.phase, verdict.toggles) == ("schema_failed", "", ())
    assert stage.counters()["schema_failures"] == 1


@pytest.mark.parametrize("kind", ["session", "request"])
def test_a_second_completion_of_a_job_says_nothing_and_is_counted(kind: Any) -> None:
    stage = make_stage()
    first = make_completion("", outcome="timeout", kind=kind)
    list(stage.handle(first.rules))
    assert list(stage.handle(first))
    assert list(stage.handle(msgspec.structs.replace(first, outcome="ok", text='{"on": []}'))) == []
    assert stage.counters()["dropped.late_completion"] == 1
    assert publish(stage, make_rules()).seq == (3 if kind == "session" else 2)


# --- requests ----------------------------------------------------------------------------------------------


def test_a_request_gets_one_response_and_no_state() -> None:
    completion = make_completion(small_answer(), kind="request", job_id="r/q-17")
    response = respond(make_stage(), completion)
    assert (response.request_id, response.outcome, response.success, response.degraded) == ("q-17", "ok", True, False)
    assert (response.error, response.model_name) == ("", "gemma-3-270m")
    assert response.output is not None
    assert response.output["metadata"]["phase"] == "Phase4"
    assert response.output["source"] == "rule+gemma"


def test_a_request_that_fails_gets_what_the_rules_know_and_the_reason() -> None:
    response = respond(make_stage(), make_completion("no idea", kind="request", job_id="r/q-18"))
    assert (response.outcome, response.success, response.degraded) == ("parse_failed", False, True)
    assert "no JSON object" in response.error
    assert response.output is not None
    assert response.output["machines"]["1"] == ["M01", "M09"]


def test_a_request_knows_nothing_of_a_session_of_the_same_name() -> None:
    stage = make_stage(expire_s=1.0)
    publish(stage, with_machine(make_rules(epoch=5, t=500.0), "M05", "ON", "rule"))
    response = respond(stage, make_completion(small_answer(), kind="request", job_id="r/q-19"))
    assert response.outcome == "ok"
    assert response.output is not None
    assert response.output["machines"]["1"] == ["M01", "M09"]
    assert publish(stage, make_rules()).seq == 2


# --- times and counts --------------------------------------------------------------------------------------


def test_timings_are_milliseconds_of_each_part_of_the_way() -> None:
    clock = Clock(now=1_000 * MS)
    stamps = {"received": 100 * MS, "asked": 110 * MS, "admitted": 150 * MS, "started": 160 * MS, "finished": 960 * MS}
    completion = make_completion(small_answer(), kind="request", stamps=stamps)
    response = respond(make_stage(clock), completion)
    assert response.timings == {"prompt": 10.0, "wait": 50.0, "inference": 800.0, "parse": 40.0, "total": 900.0}
    assert response.processing_time_ms == 900.0
    assert response.output is not None
    assert response.output["metadata"]["processing_time_ms"] == 900.0


def test_a_part_without_its_stamps_is_left_out() -> None:
    clock = Clock(now=103 * MS)
    state = publish(make_stage(clock), make_rules(stamps={"received": 100 * MS}))
    assert (state.timings, metadata(state)["processing_time_ms"]) == ({"total": 3.0}, 3.0)
    completion = make_completion("", outcome="timeout", stamps={"received": 101 * MS, "given_up": 102 * MS})
    assert settle(make_stage(clock), completion)[0].timings == {"total": 2.0}
    assert publish(make_stage(clock), make_rules()).timings == {}


def test_counters_tell_states_outcomes_strategies_and_what_was_left_out() -> None:
    stage = make_stage()
    zero = stage.counters()
    assert set(zero.values()) == {0.0}
    rules = make_rules()
    publish(stage, rules)
    answer = msgspec.json.encode(small_answer(on=["M99"], tips=["Start it", "Check it"])).decode()
    settle(stage, make_completion(f"So: {answer}", rules))
    respond(stage, make_completion("nothing", kind="request", job_id="r/1"))
    counted = {name: count for name, count in stage.counters().items() if count}
    assert counted == {
        "states": 2.0,
        "responses": 1.0,
        "dropped.repeated_outcome": 1.0,
        "outcome.ok": 2.0,
        "answer.parse_failed": 1.0,
        "strategy.braces": 1.0,
        "dropped.answer_part": 1.0,
        "advisory_warnings": 1.0,
        "last_state_now": 10.0,
        "last_answer_now": 10.0,
    }
    assert set(stage.counters()) == set(zero)


def test_the_stage_is_always_ready_and_never_has_work_left() -> None:
    stage: Stage = make_stage()
    assert (stage.load(), stage.at_work) == (None, ())
    assert (stage.accepting, stage.idle, stage.wait_s(), list(stage.step())) == (True, True, None, [])
    stage.close()
    stage.close()


# --- configuration -----------------------------------------------------------------------------------------


def test_the_stage_is_made_from_the_configuration() -> None:
    stage = create(Config(parse=ParseSection(apply_model_toggles=True)))
    _, verdict = settle(stage, make_completion(small_answer(on=["M05"])))
    assert len(verdict.toggles) == 1


@pytest.mark.parametrize(("rules", "counts"), [(True, False), (False, True)])
def test_what_was_measured_against_rules_says_nothing_where_they_read_nothing(rules: bool, counts: bool) -> None:
    inference = InferenceSection(model="gemma-3-270m-taught")  # of which phases were measured to be seldom right
    stage = create(Config(prompt=PromptSection(rules=rules), inference=inference))
    _, verdict = settle(stage, make_completion(small_answer(phase="Phase2", conf=0.9)))
    assert bool(verdict.evidence) == counts


def test_a_folder_without_surgeries_is_a_configuration_error(tmp_path: Any) -> None:
    with pytest.raises(ConfigError, match="no surgery in it"):
        create(Config(prompt=PromptSection(machines=str(tmp_path))))


def test_a_surgery_of_a_users_own_needs_no_other_schema(tmp_path: Any) -> None:
    own = {
        "surgery": "Cataract",
        "full_name": "Cataract Surgery",
        "environment": "Eye OR",
        "phases": [{"id": "Open", "name": "Opening"}, {"id": "Close", "name": "Closing"}],
        "machines": [{"id": "M42", "name": "Phaco", "category": "Energy"}],
    }
    (tmp_path / "cataract.json").write_bytes(msgspec.json.encode(own))
    stage = create(Config(prompt=PromptSection(machines=str(tmp_path))))
    rules = make_rules(load_surgeries(tmp_path)["Cataract"], machines={"M42": "ON"}, set_by={"M42": "rule"})
    stage.handle(rules)
    state, _ = stage.handle(make_completion({"phase": "closing", "off": ["m42"]}, rules))
    assert metadata(state)["phase"] == "Close"
    assert metadata(state)["next_phase"] == ""


def test_the_messages_that_come_out_survive_the_way_over_a_wire() -> None:
    stage = make_stage(apply_model_toggles=True)
    messages: list[Message] = [
        *stage.handle(make_rules()),
        *stage.handle(make_completion(small_answer(on=["M05"]))),
        *stage.handle(make_completion(small_answer(), kind="request", job_id="r/1")),
    ]
    for message in messages:
        assert msgspec.msgpack.decode(msgspec.msgpack.encode(message), type=type(message)) == message


def test_a_state_is_as_confident_as_the_model_was_sure() -> None:
    sure = Certainty(mean_logprob=-0.2, phase=0.85, next_phase=0.9, machines={"M05": 0.6})
    state, _ = settle(
        make_stage(apply_model_toggles=True), make_completion(small_answer(on=["M05"], conf=1.0), certainty=sure)
    )
    assert state.state["confidence"] == 0.6
    [toggle] = state.state["details"]["toggles"]
    assert (toggle["machine_id"], toggle["confidence"]) == ("M05", 0.6)


def test_a_truncated_answer_is_counted_and_answers_its_request() -> None:
    stage = make_stage()
    response = respond(
        stage, make_completion('{"on": [', kind="request", job_id="r/1", truncated=True, answer_tokens=48)
    )
    assert (response.outcome, response.success, response.degraded) == ("truncated", False, True)
    assert stage.counters()["answer.truncated"] == 1


def test_a_process_started_again_goes_on_with_the_states_of_a_session() -> None:
    before = make_stage()
    outcomes = [make_rules(seq=seq, t=float(seq), place=seq) for seq in (1, 2, 3)]
    states = [publish(before, rules) for rules in outcomes]
    again = make_stage()
    again.restore(Remembered(states))
    for rules in outcomes:  # from a prompt process that was started again too
        assert list(again.handle(msgspec.structs.replace(rules, again=True))) == []
    assert publish(again, make_rules(seq=4, place=4)).seq == 4
    assert publish(again, make_rules(seq=5, place=5)).seq == 5


def test_what_a_process_before_this_one_answered_is_not_answered_again_but_its_verdict_is_given() -> None:
    before, asked, late = make_stage(), make_rules(seq=2, t=2.0, place=2), make_rules(seq=3, t=999.0, place=3)
    state = publish(before, asked)
    completion = make_completion(small_answer(), asked)
    fused, verdict = settle(before, completion)
    again = make_stage()
    again.restore(Remembered([state, fused, verdict]))
    assert publish(again, late).outcome == "ok"
    assert list(again.handle(completion)) == [verdict]  # and no state: of the newest it would be an answer expired
    assert again.counters()["dropped.late_completion"] == 1


def test_an_answer_that_waited_for_rules_which_were_published_before_is_taken_with_them() -> None:
    asked = make_rules(seq=2, t=2.0, place=2)
    state = publish(make_stage(), asked)
    again = make_stage()
    again.restore(Remembered([state]))
    assert list(again.handle(make_completion(small_answer(), asked))) == []
    fused, verdict = again.handle(msgspec.structs.replace(asked, number=asked.number + (1 << 48), again=True))
    assert isinstance(fused, SurgeryState)
    assert isinstance(verdict, Verdict)
    assert (fused.seq, fused.state["source"], verdict.outcome) == (2, "rule+gemma", "ok")


def test_an_answer_waits_for_its_own_rules_where_older_ones_are_sent_again() -> None:
    first, asked = make_rules(seq=1, t=1.0, place=1), make_rules(seq=2, t=2.0, place=2)
    stage = make_stage()
    stage.restore(Remembered([publish(make_stage(), rules) for rules in (first, asked)]))
    assert list(stage.handle(make_completion(small_answer(), asked))) == []
    again = [msgspec.structs.replace(rules, number=rules.number + (1 << 48), again=True) for rules in (first, asked)]
    assert list(stage.handle(again[0])) == []
    fused, _ = stage.handle(again[1])
    assert isinstance(fused, SurgeryState)
    assert fused.based_on == 2
