"""The loop of a stage: the way of a message, pressure, the end."""

import threading
from collections.abc import Iterable
from typing import Any

import msgspec
import pytest
import zmq
from loop_bench import (
    NEVER_S,
    Bench,
    FakeStage,
    Inferring,
    Prompting,
    completion,
    echo,
    job,
    line,
    lines_of,
    outcome,
    seqs,
)
from queue_hop import await_readable, give_back, take, until

from pipeline import control, loop
from pipeline.codec import encode
from pipeline.egress import Publisher
from pipeline.ingress import Arrival
from pipeline.messages import (
    Message,
    ModelChanged,
    PromptJob,
    Status,
    SurgeryState,
    Transcript,
    Verdict,
)
from pipeline.sockets import Context, make_socket

# --- the way of a message ----------------------------------------------------------------------------------


def test_a_message_from_outside_is_handled_and_its_result_sent_on(bench: Bench) -> None:
    stage = FakeStage(echo)
    arrivals: list[Arrival] = []
    prompting = Prompting(bench, stage, on_arrival=arrivals.append)
    prompting.publish(line(1), line(2))
    assert seqs(prompting.parse, 2) == [1, 2]
    assert stage.handled == [line(1), line(2)]
    assert [arrival.message for arrival in arrivals] == stage.handled
    report = prompting.running.stop()
    assert (report.counters["arrived"], report.counters["handled"], report.counters["queue.hop.sent"]) == (2, 2, 0)


def test_each_wake_is_marked_on_the_board_and_a_step_with_its_work(bench: Bench) -> None:
    stage = FakeStage()
    running = bench.run("inference", stage)
    seen = []
    stage.at_work = ("j1", "j2")
    stage.at_hand = [lambda: seen.append(bench.board.read("inference")) or ()]  # type: ignore[func-returns-value]
    running.tell(ModelChanged(state="ready"))
    until(lambda: bool(seen), lambda: None)
    assert seen[0][0] > 0
    assert seen[0][1] == ("j1", "j2")
    before = seen[0][0]
    until(lambda: bench.board.read("inference")[0] > before and bench.board.read("inference")[1] == (), lambda: None)


def test_what_a_step_gives_is_sent_on(bench: Bench) -> None:
    stage = FakeStage()
    prompting = Prompting(bench, stage)
    stage.at_hand = [lambda: [outcome(7)]]
    prompting.publish(line(1))
    assert seqs(prompting.parse, 1) == [7]


def test_a_step_is_over_on_the_board_before_anybody_has_its_result(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    work: list[tuple[str, ...]] = []

    def watched(message: Message) -> bytes:
        work.append(bench.board.read("prompt")[1])
        return encode(message)

    monkeypatch.setattr(loop, "encode", watched)
    stage = FakeStage()
    stage.at_work = ("j1",)
    prompting = Prompting(bench, stage)
    stage.at_hand = [lambda: [outcome(7)]]
    prompting.publish(line(1))
    assert seqs(prompting.parse, 1) == [7]
    assert work == [()]


def test_a_change_of_the_model_is_handed_to_the_stage(bench: Bench) -> None:
    stage = FakeStage()
    running = bench.run("prompt", stage)
    running.tell(ModelChanged(state="down", error="killed"))
    until(lambda: bool(stage.handled), lambda: None)
    assert stage.handled == [ModelChanged(state="down", error="killed")]


def test_the_supervisors_status_is_published(bench: Bench, context: Context) -> None:
    publisher = Publisher(make_socket(context, zmq.XPUB), "inproc://states", True)
    running = bench.run("parse", FakeStage(), publisher=publisher, sinks={Status: publisher, SurgeryState: publisher})
    subscriber = make_socket(context, zmq.SUB)
    subscriber.setsockopt(zmq.SUBSCRIBE, b"status")
    subscriber.connect("inproc://states")
    status = Status(model="m", label="l", model_state="ready", model_error="", stages={}, final=True)
    running.tell(control.Publish(status=status))
    await_readable(subscriber)
    topic, kind, payload = subscriber.recv_multipart()
    assert (topic, kind) == (b"status", b"Status")
    assert msgspec.json.decode(payload, type=Status) == status


# --- pressure ----------------------------------------------------------------------------------------------


def test_a_stage_whose_results_wait_for_slots_stops_reading_and_loses_nothing(bench: Bench) -> None:
    stage = FakeStage(echo)
    prompting = Prompting(bench, stage, slots=2)
    prompting.publish(*(line(n) for n in range(20)))
    held = take(prompting.parse, 2)
    until(lambda: len(stage.handled) == 3, lambda: None)
    prompting.feed_back("one more turn of the loop")
    prompting.feed_back("and another")
    assert lines_of(stage) == [0, 1, 2]
    give_back(prompting.parse, held)
    assert [seqs(prompting.parse, 1)[0] for _ in range(18)] == list(range(2, 20))
    assert lines_of(stage) == list(range(20))


def test_feedback_is_read_and_its_slots_go_back_even_under_pressure(bench: Bench) -> None:
    """The stage that sends it may be the one that makes the pressure: it waits for these slots."""
    stage = FakeStage(lambda m: [outcome(0)] if isinstance(m, (Transcript, Verdict)) else ())
    prompting = Prompting(bench, stage, slots=2)
    prompting.publish(*(line(n) for n in range(5)))
    take(prompting.parse, 2)
    until(lambda: len(stage.handled) == 3, lambda: None)
    for number in range(10):
        prompting.feed_back(f"j{number}")
    assert [m.job_id for m in stage.handled if isinstance(m, Verdict)] == [f"j{n}" for n in range(10)]
    assert lines_of(stage) == [0, 1, 2]


def test_jobs_that_wait_for_inference_stop_nobody_and_keep_no_slots_of_feedback(bench: Bench) -> None:
    stage = FakeStage(lambda m: [job(f"j{m.seq}"), outcome(m.seq)] if isinstance(m, Transcript) else ())
    prompting = Prompting(bench, stage, slots=2)
    prompting.publish(*(line(n) for n in range(10)))
    assert seqs(prompting.parse, 2) == [0, 1]
    for number in range(2, 10):
        assert seqs(prompting.parse, 1) == [number]
    for number in range(5):
        prompting.feed_back(f"j{number}")
    assert prompting.running.stop().counters["queue.hop.depth"] >= 8


def test_a_stage_that_does_not_accept_is_given_feedback_only(bench: Bench) -> None:
    stage = FakeStage(echo)
    stage.accepting = False
    prompting = Prompting(bench, stage)
    prompting.publish(line(1))
    prompting.feed_back("j1")
    prompting.feed_back("j2")
    assert lines_of(stage) == []
    stage.accepting = True
    prompting.feed_back("j3")
    assert seqs(prompting.parse, 1) == [1]


def test_what_is_left_of_a_bundle_is_taken_when_the_stage_accepts_again(bench: Bench) -> None:
    def take_one(message: Message) -> Iterable[Message]:
        stage.accepting = not isinstance(message, PromptJob)
        return ()

    stage = FakeStage(take_one)
    inferring = Inferring(bench, stage, slots=3)
    inferring.ask("a", "b", "c")
    for number in (1, 2):
        until(lambda number=number: len(jobs_of(stage)) == number, lambda: None)  # type: ignore[misc]
        inferring.running.tell(ModelChanged(state="ready"))
    until(lambda: len(jobs_of(stage)) == 3, lambda: None)
    assert jobs_of(stage) == ["a", "b", "c"]


def jobs_of(stage: FakeStage) -> list[str]:
    return [message.job_id for message in stage.handled if isinstance(message, PromptJob)]


# --- the end -----------------------------------------------------------------------------------------------


def test_a_drained_stage_has_sent_all_it_took_before_it_says_the_end(bench: Bench) -> None:
    stage = FakeStage(echo)
    prompting = Prompting(bench, stage, slots=2)
    prompting.publish(*(line(n) for n in range(10)))
    prompting.running.tell(control.Drain())
    for number in range(10):
        assert not prompting.parse.ended
        assert seqs(prompting.parse, 1) == [number]
    until(lambda: prompting.parse.ended and prompting.inference.ended, lambda: _read(prompting), prompting.parse.socket)
    heard = prompting.running.hear_until(control.Drained)
    assert isinstance(heard[-2], control.Report)
    assert heard[-2].counters["arrived"] == 10


def _read(prompting: Prompting) -> None:
    assert prompting.parse.receive() is None
    assert prompting.inference.receive() is None


def test_what_comes_behind_the_word_to_drain_is_taken_until_it_is_quiet(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The word comes by another socket, and overtakes what a publisher sent before it."""
    monkeypatch.setattr(loop, "QUIET_S", NEVER_S)
    prompting = Prompting(bench, FakeStage(echo))
    prompting.running.tell(control.Drain())
    prompting.feed_back("a turn of the loop")
    prompting.feed_back("and another")
    prompting.publish(line(1))
    assert seqs(prompting.parse, 1) == [1]
    prompting.feed_back("the turn that took it is over")
    assert not prompting.running.supervisor.poll(0)
    monkeypatch.setattr(loop, "QUIET_S", 0.0)
    prompting.publish(line(2))
    assert seqs(prompting.parse, 1) == [2]
    prompting.running.hear_until(control.Drained)


def test_a_stage_is_not_drained_while_a_question_is_unanswered(bench: Bench) -> None:
    stage = FakeStage(echo)
    stage.idle = False
    prompting = Prompting(bench, stage)
    prompting.running.tell(control.Drain())
    prompting.feed_back("a turn of the loop")
    prompting.feed_back("and another")
    assert not prompting.running.supervisor.poll(0)
    stage.idle = True
    prompting.feed_back("the answer")
    prompting.running.hear_until(control.Drained)


def test_the_end_of_all_inputs_passes_on_down_the_pipeline(bench: Bench) -> None:
    stage = FakeStage(lambda m: [completion(m.job_id)] if isinstance(m, PromptJob) else ())
    inferring = Inferring(bench, stage)
    inferring.ask("a")
    inferring.jobs.end()
    assert len(take(inferring.parse, 1)) == 1
    until(lambda: inferring.parse.ended, inferring.parse.receive, inferring.parse.socket)
    inferring.running.hear_until(control.Drained)


def test_a_stage_with_two_inputs_is_drained_when_both_have_ended(bench: Bench) -> None:
    hops = [bench.hop(2), bench.hop(2)]
    senders = [hop.sender() for hop in hops]
    stage = FakeStage()
    running = bench.run("parse", stage, inputs=[hop.receiver() for hop in hops])
    for sender in senders:
        sender.attach()
        await_readable(sender.socket)
        sender.on_readable()
    senders[0].end()
    senders[1].send(encode(completion("a")))
    senders[1].flush()
    until(lambda: senders[1].depth == 0, senders[1].on_readable, senders[1].socket)
    assert not running.supervisor.poll(0)
    senders[1].end()
    running.hear_until(control.Drained)


def test_counters_are_reported_as_often_as_asked_for(bench: Bench) -> None:
    running = bench.run("parse", FakeStage(), report_s=0.0)
    assert [type(running.hear()) for _ in range(3)] == [control.Report] * 3


def test_an_idle_loop_sleeps_until_its_next_sign_of_life(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """After slots went back in a bundle there is nothing left to wake up for."""
    stage = FakeStage(lambda m: [completion(m.job_id)] if isinstance(m, PromptJob) else ())
    inferring = Inferring(bench, stage, slots=2)
    inferring.ask("a")
    inferring.await_released()
    waits: list[float] = []
    poll = zmq.Poller.poll

    def noted(poller: zmq.Poller, timeout: int | None = None) -> Any:
        if threading.current_thread() is inferring.running._thread:
            waits.append(timeout or 0.0)
        return poll(poller, timeout)

    monkeypatch.setattr(zmq.Poller, "poll", noted)
    monkeypatch.setattr(loop, "WAKE_S", 0.05)
    until(lambda: len(waits) >= 3, lambda: None)
    assert min(waits[1:]) == 50
