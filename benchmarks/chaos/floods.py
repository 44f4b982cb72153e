"""Floods, and subscribers that do not read: memory stays bounded, and only what may be dropped is, and counted.

Every scenario has a full form, of a minute, and a short one for the tests.
"""

import time
from contextlib import ExitStack
from pathlib import Path
from random import Random
from typing import Any, Final

from benchmarks.chaos.asker import Deaf
from benchmarks.chaos.flooded import WAIT_S, Flood, Quiet, at_rest, exit_code, pipeline, until
from benchmarks.chaos.memory import Growth, most_bytes
from benchmarks.chaos.publisher import message
from benchmarks.chaos.sessions import Publishers, Watch, interleaved, script
from benchmarks.chaos.subscriber import Subscriber
from benchmarks.chaos.trial import Trial
from pipeline.config import Config
from pipeline.events import DeadLettered
from pipeline.launch import Launch
from pipeline.messages import LLMRequest, SessionStart
from pipeline.sockets import CONTROL_HIGH_WATER
from stages.prompt.requests import REMEMBERED

MINUTE: Final = 60.0
RATE: Final = 20_000.0  # messages a second
STATE_BYTES: Final = 8_000  # of a state as JSON, at most
SESSION_BYTES: Final = 250_000  # what a stage keeps of one: a window of lines, numbers, outcomes
SLOW_S: Final = 0.05  # of a slow subscriber, for each state
ROOM: Final = 100_000  # states for which a subscriber that reads has room: a busy machine may delay it
NEWS_S: Final = 0.1  # time for a state to reach a subscriber
LINES_A_SECOND: Final = 1.0  # of each session


def too_fast(
    folder: Path, rng: Random, *, seconds: float = MINUTE, rate: float = RATE, high_water_mark: int = 10_000
) -> Trial:
    """A publisher sends more lines than can be taken, of a session to which nobody subscribes.

    ZeroMQ drops what finds no room, the rest is taken; both together are what was sent. Another session goes on.
    """
    problems: list[str] = []
    with pipeline(folder, f"ingress.high_water_mark={high_water_mark}") as (launch, client):
        with Growth(launch.pid, client.status()) as growth, Flood(client, "lines", rate, seconds) as flood:
            with Quiet(client) as quiet:
                flood.wait()
            at_rest(client)
            sent = flood.one_more()  # what was dropped at the end is a gap only before a message that comes
            status = until(client, lambda s: s.inputs - quiet.inputs + s.all_dropped.get("gap", 0) >= sent)
        problems += quiet.problems()
        taken, lost = status.inputs - quiet.inputs, status.all_dropped.get("gap", 0)
        if taken + lost != sent:
            problems.append(f"{sent} messages were sent, and {taken} taken and {lost} counted as lost")
        problems += [f"refused: {status.all_dead_letters}"] if status.all_dead_letters else []
        problems += [f"dropped: {status.all_dropped}"] if set(status.all_dropped) - {"gap"} else []
        limits = {"prompt": _of_prompt(high_water_mark), "parse": _of_parse()}
        problems += growth.beyond(limits)
    problems += exit_code(launch)
    fault = f"{sent} lines within {seconds:g} s, {lost} of them dropped; {quiet}; {growth}"
    return Trial(fault=fault, problems=tuple(problems))


def garbage(
    folder: Path, rng: Random, *, seconds: float = MINUTE, rate: float = RATE, high_water_mark: int = 10_000
) -> Trial:
    """A publisher sends what is no message. Each that arrives is refused and counted; another session goes on."""
    problems: list[str] = []
    with pipeline(folder, f"ingress.high_water_mark={high_water_mark}") as (launch, client):
        with Growth(launch.pid, client.status()) as growth, Flood(client, "garbage", rate, seconds) as flood:
            with Quiet(client) as quiet:
                sent = flood.wait()
            status = at_rest(client)
        problems += quiet.problems()
        refused = status.all_dead_letters.get("bad_message", 0)
        if refused != status.inputs - quiet.inputs or refused > sent or not refused:
            arrived = status.inputs - quiet.inputs
            problems.append(f"of {sent} bad messages {arrived} arrived, and {refused} were refused")
        untold = status.all_dropped.get("notice", 0)
        until(client, lambda _: _dead_letters(launch) + untold >= refused)
        if (told := _dead_letters(launch)) + untold != refused:
            problems.append(f"{told} of {refused} dead letters were told, and {untold} counted as left out")
        problems += growth.beyond({"prompt": _of_prompt(high_water_mark), "parse": _of_parse()})
    problems += exit_code(launch)
    fault = f"{sent} messages of garbage within {seconds:g} s, {refused} of them arrived; {quiet}; {growth}"
    return Trial(fault=fault, problems=tuple(problems))


def reading_stops(
    folder: Path, rng: Random, *, seconds: float = MINUTE, rate: float = 500.0, high_water_mark: int = 100
) -> Trial:
    """Of three subscribers one stops reading and one is slow: each misses states and counts them, the third none."""
    problems: list[str] = []
    with pipeline(folder, f"egress.high_water_mark={high_water_mark}") as (launch, client), ExitStack() as stack:
        pauses = {"one that reads": 0.0, "a slow one": SLOW_S, "one that stopped": None}
        room = dict.fromkeys(pauses, high_water_mark) | {"one that reads": ROOM}
        made = {name: Subscriber(client, "talk", pause, room[name]) for name, pause in pauses.items()}
        subscribers = {name: stack.enter_context(subscriber) for name, subscriber in made.items()}
        growth = stack.enter_context(Growth(launch.pid, client.status()))
        flood = stack.enter_context(Flood(client, "lines", rate, seconds, "talk"))
        flood.wait()
        at_rest(client)
        for subscriber in subscribers.values():
            subscriber.go_on()
        reading, *late = subscribers.values()
        deadline = time.monotonic() + WAIT_S
        while any(one.newest != reading.newest for one in late) and time.monotonic() < deadline:
            sent = flood.one_more()  # a gap shows when something comes behind it
            status = until(client, lambda s, sent=sent: s.inputs >= sent)  # type: ignore[misc]
            time.sleep(NEWS_S)
        status = until(client, lambda s: sum(s.outcomes.values()) >= reading.newest)
        published = sum(status.outcomes.values())
        for name, one in subscribers.items():
            if one.received + one.gaps != one.newest or one.newest != published:
                problems.append(
                    f"{name}: of {published} states {one.received} came, and it counted {one.gaps} as missed"
                )
            if (one is reading) == bool(one.gaps):
                problems.append(f"{name} missed {one.gaps} states")
        if "subscriber_full" not in status.all_dropped:  # both at one time count once
            problems.append("no subscriber's queue was counted as full")
        problems += growth.beyond({"parse": _of_parse() + most_bytes(len(late) * high_water_mark, STATE_BYTES)})
    problems += exit_code(launch)
    missed = ", ".join(f"{name} missed {one.gaps}" for name, one in subscribers.items())
    return Trial(
        fault=f"subscribers that do not read: of {published} states {missed}; {growth}", problems=tuple(problems)
    )


def answers_unread(folder: Path, rng: Random, *, seconds: float = MINUTE, rate: float = 500.0) -> Trial:
    """A client asks and never reads an answer: what cannot be sent to it is counted, another client has its answers."""
    problems: list[str] = []
    asked = lost = others = 0
    with pipeline(folder) as (launch, client), Growth(launch.pid, client.status()) as growth, Deaf(launch) as deaf:
        begin = time.monotonic()
        while (passed := time.monotonic() - begin) < seconds:
            while asked < rate * passed:
                asked += 1
                deaf.ask(f"deaf-{asked}")
            request = LLMRequest(request_id=f"other-{others}", surgery="PCNL", transcript_context="Surgeon: suction on")
            others += 1
            response = client.submit(request)
            lost += response.outcome != "ok"
        until(client, lambda s: sum(s.answers.values()) >= asked + others)
        status = until(client, lambda s: s.inputs >= asked + others and not s.requests_open)
        answered, unreachable = sum(status.answers.values()), status.all_dropped.get("answer_unreachable", 0)
        if answered != asked + others:
            problems.append(f"{asked + others} requests were sent, and {answered} answered")
        if unreachable + deaf.read_all() != asked:
            problems.append(f"of {asked} answers {unreachable} were counted as dropped, and the others did not come")
        if not unreachable:
            problems.append("no answer was dropped: nothing was flooded")
        limits = {
            "prompt": _of_prompt(0) + most_bytes(CONTROL_HIGH_WATER + REMEMBERED, STATE_BYTES),
            "parse": _of_parse(),
        }
        problems += growth.beyond(limits)
    problems += exit_code(launch)
    fault = f"{asked} requests whose answers nobody reads, {unreachable} of them dropped; {growth}"
    return Trial(fault=fault, problems=tuple(problems), requests_lost=lost)


def sessions_at_once(folder: Path, rng: Random, *, seconds: float = MINUTE) -> Trial:
    """As many sessions as may be open, each with a publisher of its own, end as each of them does alone.

    One more is refused. `seconds`: about how long they are spoken to; a session has as many lines as fit.
    """
    most, lines = Config().prompt.max_sessions, max(4, round(seconds * LINES_A_SECOND))
    scripts = [script(f"or{number}", rng, lines) for number in range(most)]
    names = [messages[0].session for messages in scripts]
    inputs = sum(map(len, scripts))
    problems: list[str] = []
    with (
        pipeline(folder, "supervision.status_s=0.05") as (launch, client),
        Publishers(client, [*names, "too-many"]) as publishers,
        Watch(client) as watch,
        Growth(launch.pid, client.status()) as growth,
    ):
        alone: dict[str, Any] = {}
        for number, messages in enumerate(scripts):
            for message in messages:
                publishers.send(message)
            alone |= watch.until_over((number + 1) * len(messages), WAIT_S)
        for messages in scripts:
            publishers.send(messages[0])
        status = until(client, lambda s: s.sessions_open == most)
        if status.sessions_open != most:
            problems.append(f"{status.sessions_open} of {most} sessions are open")
        publishers.send(SessionStart(session="too-many", seq=1, t=0.0, surgery="PCNL"))
        status = until(client, lambda s: s.inputs == inputs + most + 1)
        if status.all_dead_letters != {"too_many_sessions": 1}:
            problems.append(f"one session too many was not refused, or more was: {status.all_dead_letters}")
        for message in interleaved([messages[1:] for messages in scripts], rng):
            publishers.send(message)
        together = watch.until_over(2 * inputs + 1, WAIT_S)
        status = at_rest(client)
        wrong = sum(together.get(name) != alone[name] for name in names)
        if status.inputs != 2 * inputs + 1 or status.all_dropped:
            problems.append(f"of {2 * inputs + 1} messages {status.inputs} came; dropped: {status.all_dropped}")
        problems += [f"{watch.gaps} states were missed"] if watch.gaps else []
        problems += growth.beyond({"prompt": most * SESSION_BYTES, "parse": most * SESSION_BYTES})
    problems += exit_code(launch)
    fault = f"{most} sessions of {lines} lines at once; {growth}"
    return Trial(fault=fault, problems=tuple(problems), states_wrong=wrong)


def _dead_letters(launch: Launch) -> int:
    return sum(isinstance(event, DeadLettered) for event in launch.events)


def _of_prompt(high_water_mark: int) -> int:
    """Two publishers' queues, and what waits for slots: of each hop as many as it has, and a burst."""
    queued = Config().queues.slots * 2
    return most_bytes(2 * high_water_mark, len(message("lines", "flood", 10**6))) + most_bytes(queued, STATE_BYTES)


def _of_parse() -> int:
    """The states of one cycle that waits; those that read have read."""
    return most_bytes(Config().queues.slots * 2, STATE_BYTES)
