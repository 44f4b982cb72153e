"""The loop of a stage: bad messages, faults of ours, slots of other stages, and neighbours that die."""

from collections.abc import Iterable
from pathlib import Path

import msgspec
import pytest
from loop_bench import Bench, FakeStage, Inferring, Prompting, completion, echo, job, line, outcome, seqs
from queue_hop import give_back, take, until

from pipeline import control
from pipeline.codec import encode
from pipeline.errors import Rejected
from pipeline.journal import JournalWriter, read_records
from pipeline.messages import (
    Completion,
    JobLost,
    Message,
    ModelChanged,
    PromptJob,
    Transcript,
)
from pipeline.reporter import NOTICES
from pipeline.restore import Restored

# --- faults ------------------------------------------------------------------------------------------------


def test_bad_messages_are_counted_by_reason_and_only_so_many_are_told(bench: Bench, tmp_path: Path) -> None:
    journal = JournalWriter(tmp_path / "inputs-1.mcap")

    def refuse_odd(message: Message) -> Iterable[Message]:
        if isinstance(message, Transcript) and message.seq % 2:
            raise Rejected("unknown_session", "session 'or1' is not open")
        return echo(message)

    prompting = Prompting(bench, FakeStage(refuse_odd), slots=32, journal=journal)
    for _ in range(50):
        prompting.publisher.send(b"\xc1")
    prompting.publisher.send(b"x" * 10_001)
    prompting.publish(*(line(n) for n in range(10)))
    assert seqs(prompting.parse, 5) == [0, 2, 4, 6, 8]
    prompting.running.tell(control.Drain())
    heard = prompting.running.hear_until(control.Report)
    letters = [message.letter for message in heard if isinstance(message, control.Notice)]
    assert len(letters) == NOTICES
    assert (letters[0].reason, letters[0].source, letters[0].head) == ("bad_message", "ingress", repr(b"\xc1"))
    report = heard[-1]
    assert isinstance(report, control.Report)
    dead = {name: count for name, count in report.counters.items() if name.startswith("dead_letter")}
    assert dead == {"dead_letter.bad_message": 50, "dead_letter.oversized": 1, "dead_letter.unknown_session": 5}
    assert report.counters["arrived"] == 61
    prompting.running.stop()
    journal.close()
    assert sum(record.topic == "DeadLetter" for record in read_records(journal.path)) == 56


def test_after_a_report_dead_letters_are_told_again(bench: Bench) -> None:
    prompting = Prompting(bench, FakeStage(echo), slots=32)
    prompting.running.tell(control.Drain())
    prompting.running.hear_until(control.Drained)
    for _ in range(NOTICES):
        prompting.verdicts.send(b"\xc1")
        prompting.verdicts.flush()
    told = [prompting.running.hear() for _ in range(2)]
    assert [type(message) for message in told] == [control.Notice, control.Notice]


def test_a_fault_of_ours_is_a_dead_letter_with_its_traceback_and_the_loop_goes_on(
    bench: Bench, capfd: pytest.CaptureFixture[str]
) -> None:
    def fail_once(message: Message) -> Iterable[Message]:
        if isinstance(message, Transcript) and message.seq == 1:
            raise ZeroDivisionError("of a rule")
        return echo(message)

    prompting = Prompting(bench, FakeStage(fail_once))
    prompting.publish(line(1), line(2))
    assert seqs(prompting.parse, 1) == [2]
    notice = prompting.running.hear()
    assert isinstance(notice, control.Notice)
    assert (notice.letter.reason, notice.letter.error) == ("internal_error", "ZeroDivisionError: of a rule")
    assert "fail_once" in capfd.readouterr().err


# --- between stages ----------------------------------------------------------------------------------------


def test_a_job_keeps_its_slot_until_its_answer_is_sent(bench: Bench) -> None:
    stage = FakeStage()
    inferring = Inferring(bench, stage)
    inferring.ask("a", "b")
    until(lambda: len(stage.handled) == 2, lambda: None)
    stage.at_hand = [lambda: [completion("b")]]
    inferring.running.tell(ModelChanged(state="ready"))
    assert take(inferring.parse, 1)[0].payload == encode(completion("b"))
    inferring.await_released("a")


def test_slots_go_back_only_when_no_result_waits_for_one(bench: Bench) -> None:
    stage = FakeStage(lambda m: [completion(m.job_id)] if isinstance(m, PromptJob) else ())
    inferring = Inferring(bench, stage, slots=2)
    inferring.ask("a", "b")
    held = take(inferring.parse, 2)
    inferring.await_released()
    inferring.ask("c", "d")
    until(lambda: len(stage.handled) == 3, lambda: None)
    for turns in (1, 2):
        inferring.running.tell(ModelChanged(state="ready"))
        until(lambda turns=turns: len(stage.handled) == 3 + turns, lambda: None)  # type: ignore[misc]
    inferring.jobs.on_readable()
    assert set(inferring.jobs.unreleased()) == {"c", "d"}
    give_back(inferring.parse, held)
    take(inferring.parse, 2)
    inferring.await_released()


def test_a_record_is_on_disk_before_the_slot_of_its_cause_goes_back(bench: Bench, tmp_path: Path) -> None:
    journal = JournalWriter(tmp_path / "outputs-1.mcap")
    stage = FakeStage(lambda m: [completion(m.job_id)] if isinstance(m, PromptJob) else ())
    inferring = Inferring(bench, stage, journal=journal, journalled=frozenset({PromptJob, Completion}))
    inferring.ask("a")
    inferring.await_released()
    assert [record.topic for record in read_records(journal.path)] == ["PromptJob", "Completion"]
    inferring.running.stop()
    journal.close()


def test_a_job_that_comes_a_second_time_is_to_run_alone(bench: Bench) -> None:
    stage = FakeStage()
    inferring = Inferring(bench, stage)
    inferring.ask("first")
    inferring.ask("again", attempt=2)
    until(lambda: len(stage.handled) == 2, lambda: None)
    assert [(m.job_id, m.alone) for m in stage.handled if isinstance(m, PromptJob)] == [
        ("first", False),
        ("again", True),
    ]


@pytest.mark.parametrize("error", [Rejected("bad_job", "it is wrong"), ZeroDivisionError()], ids=["rejected", "fault"])
def test_a_job_that_cannot_be_taken_gives_its_slot_back(bench: Bench, error: Exception) -> None:
    def refuse(message: Message) -> Iterable[Message]:
        raise error

    inferring = Inferring(bench, FakeStage(refuse))
    inferring.ask("a", "b", "c", "d")
    inferring.await_released()


def test_a_message_of_another_stage_that_cannot_be_read_is_a_dead_letter_and_gives_its_slot_back(bench: Bench) -> None:
    stage = FakeStage()
    inferring = Inferring(bench, stage)
    inferring.jobs.send(b"\xc1 no message")
    inferring.jobs.send(encode(line(1)))
    inferring.jobs.flush()
    inferring.ask("sound")
    until(lambda: len(stage.handled) == 1, inferring.jobs.on_readable, inferring.jobs.socket)
    letters = [inferring.running.hear() for _ in range(2)]
    assert [m.letter.reason for m in letters if isinstance(m, control.Notice)] == ["internal_error"] * 2
    inferring.await_released("sound")


# --- a neighbour dies --------------------------------------------------------------------------------------


def test_a_job_is_tried_again_after_a_death_and_given_up_after_the_second(bench: Bench) -> None:
    stage = FakeStage(lambda m: [job(f"j{m.seq}")] if isinstance(m, Transcript) else ())
    prompting = Prompting(bench, stage, slots=4)
    prompting.publish(line(1), line(2))
    inference, attempts = prompting.inference, []
    for _ in range(2):
        deliveries = take(inference, 2)
        attempts.append([delivery.attempt for delivery in deliveries])
        prompting.running.tell(control.Peer(stage="inference", state="down", at_work=("j1",)))
        prompting.job_hop._contexts.pop(id(inference)).destroy(linger=0)
        inference = prompting.job_hop.receiver()
        prompting.running.tell(control.Peer(stage="inference", state="ready"))
    prompting.publish(line(3))
    left = [msgspec.msgpack.decode(d.payload, type=PromptJob).job_id for d in take(inference, 2)]
    lost = [message for message in stage.handled if isinstance(message, JobLost)]
    assert attempts == [[1, 1], [2, 1]]
    assert [message.job for message in lost] == [msgspec.structs.replace(job("j1"), alone=True)]
    assert lost[0].error == "the inference process died twice while it worked on j1"
    assert left == ["j2", "j3"]


def test_a_job_at_a_death_whose_deadline_has_passed_is_given_up_at_once(bench: Bench) -> None:
    late = msgspec.structs.replace(job("late"), deadline_ns=1)
    stage = FakeStage(lambda m: [late, job("next")] if isinstance(m, Transcript) else ())
    prompting = Prompting(bench, stage, slots=4)
    prompting.publish(line(1))
    take(prompting.inference, 2)
    prompting.running.tell(control.Peer(stage="inference", state="down", at_work=("late", "next")))
    notice = prompting.running.hear()
    assert isinstance(notice, control.Notice)
    assert notice.letter.reason == "crashed_late"
    prompting.job_hop._contexts.pop(id(prompting.inference)).destroy(linger=0)
    inference = prompting.job_hop.receiver()
    prompting.running.tell(control.Peer(stage="inference", state="ready"))
    [again] = take(inference, 1)
    assert (again.payload, again.attempt) == (encode(job("next")), 2)
    lost = [message for message in stage.handled if isinstance(message, JobLost)]
    assert [(message.job, message.job.alone) for message in lost] == [(late, False)]


def test_while_a_neighbour_is_away_what_is_for_it_waits_and_then_comes_in_order(bench: Bench) -> None:
    stage = FakeStage(lambda m: [job(f"j{m.seq}"), outcome(m.seq)] if isinstance(m, Transcript) else ())
    prompting = Prompting(bench, stage, slots=4)
    prompting.running.tell(control.Peer(stage="inference", state="down"))
    prompting.feed_back("the loop has heard")
    prompting.publish(line(1), line(2))
    assert seqs(prompting.parse, 2) == [1, 2]
    assert prompting.job_sender.depth == 0
    prompting.running.tell(control.Peer(stage="inference", state="ready"))
    jobs = take(prompting.inference, 2)
    assert [delivery.payload for delivery in jobs] == [encode(job("j1")), encode(job("j2"))]


def test_the_death_of_a_stage_that_nothing_is_sent_to_changes_nothing(bench: Bench) -> None:
    stage = FakeStage(lambda m: [completion(m.job_id)] if isinstance(m, PromptJob) else ())
    inferring = Inferring(bench, stage)
    inferring.running.tell(control.Peer(stage="prompt", state="down", at_work=("a",)))
    inferring.running.tell(control.Peer(stage="prompt", state="ready"))
    inferring.ask("a")
    assert take(inferring.parse, 1)[0].attempt == 1


def test_a_job_that_a_new_sender_sends_again_runs_once_and_gives_its_second_slot_back(bench: Bench) -> None:
    stage = FakeStage()
    inferring = Inferring(bench, stage)
    inferring.ask("a")
    until(lambda: len(stage.handled) == 1, lambda: None)
    inferring.ask("a", "b")
    until(lambda: len(stage.handled) == 2, inferring.jobs.on_readable)
    assert [m.job_id for m in stage.handled if isinstance(m, PromptJob)] == ["a", "b"]


def test_a_neighbour_that_was_started_again_is_met_behind_what_it_may_lack(bench: Bench) -> None:
    stage = FakeStage(lambda m: [outcome(m.seq)] if isinstance(m, Transcript) else ())
    stage.to_peers = [outcome(9)]
    prompting = Prompting(bench, stage, slots=4)
    prompting.publish(line(1))
    take(prompting.parse, 1)
    prompting.running.tell(control.Peer(stage="parse", state="down"))
    prompting.running.tell(control.Peer(stage="parse", state="ready"))
    assert seqs(prompting.parse, 1) == [9]
    assert stage.peers == ["parse"]


def test_what_may_not_have_been_handled_comes_before_what_comes_now_and_is_not_told_again(bench: Bench) -> None:
    def answer(message: Message) -> Iterable[Message]:
        if isinstance(message, Transcript) and message.seq == 2:
            raise Rejected("repeated_message", "it was told then")
        return [outcome(message.seq)] if isinstance(message, Transcript) else ()

    stage = FakeStage(answer)
    stage.accepting = False
    prompting = Prompting(bench, stage, slots=8, past=Restored((), iter([line(1), line(2), line(3)])))
    prompting.publish(line(4))
    stage.accepting = True
    prompting.feed_back("something to wake it")
    assert seqs(prompting.parse, 3) == [1, 3, 4]
    counters = prompting.running.stop().counters
    assert not [name for name in counters if name.startswith("dead_letter")]
