"""Floods, and subscribers that do not read: memory stays bounded, and only what may be dropped is, and counted.

Every scenario has a full form, of a minute, and a short one for the tests.
"""

from pathlib import Path
from random import Random
from typing import Final

from benchmarks.chaos.flooded import Flood, Quiet, at_rest, pipeline, until
from benchmarks.chaos.memory import Growth, most_bytes
from benchmarks.chaos.publisher import message
from benchmarks.chaos.trial import Trial
from pipeline.config import Config

MINUTE: Final = 60.0
RATE: Final = 20_000.0  # messages a second
STATE_BYTES: Final = 8_000  # of a state as JSON, at most


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
        problems += [f"exit code {code}"] if (code := launch.stop()) else []
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
        told = sum(1 for event in launch.events if type(event).__name__ == "DeadLettered")
        if told + status.all_dropped.get("notice", 0) != refused:
            problems.append(f"{told} of {refused} dead letters were told, and the others not counted as left out")
        problems += growth.beyond({"prompt": _of_prompt(high_water_mark), "parse": _of_parse()})
        problems += [f"exit code {code}"] if (code := launch.stop()) else []
    fault = f"{sent} messages of garbage within {seconds:g} s, {refused} of them arrived; {quiet}; {growth}"
    return Trial(fault=fault, problems=tuple(problems))


def _of_prompt(high_water_mark: int) -> int:
    """Two publishers' queues, and what waits for slots: of each hop as many as it has, and a burst."""
    queued = Config().queues.slots * 2
    return most_bytes(2 * high_water_mark, len(message("lines", "flood", 10**6))) + most_bytes(queued, STATE_BYTES)


def _of_parse() -> int:
    """The states of one cycle that waits; those that read have read."""
    return most_bytes(Config().queues.slots * 2, STATE_BYTES)
