"""Taps publishers into a log that replays: what they send, as they send it. Runs in the command's process."""

from collections.abc import Callable, Sequence
from pathlib import Path

import zmq

from pipeline import endpoints
from pipeline.codec import encode, type_name
from pipeline.errors import OrstateError, Rejected
from pipeline.ingress import HARD_LIMIT, Subscription
from pipeline.journal import JournalWriter
from pipeline.messages import DeadLetter, Input
from pipeline.sockets import Context, make_socket

WAKE_MS = 200


def record(
    path: Path,
    connect: Sequence[str],
    bind: str,
    max_bytes: int,
    high_water_mark: int,
    going_on: Callable[[], bool],
    on_message: Callable[[str], None],
) -> int:
    """Write what arrives to `path` until `going_on()` is False; how many messages.

    What is no input is recorded as a dead letter. Raises OrstateError if the file exists or an endpoint is wrong.
    """
    for endpoint in connect:
        endpoints.check("--connect", endpoint, to_bind=False)
    endpoints.check("--bind", bind, words=("",))
    context: Context = zmq.Context()
    try:
        socket = make_socket(context, zmq.SUB, high_water_mark=high_water_mark, max_bytes=HARD_LIMIT * max_bytes)
        subscription = Subscription(socket, connect, bind, max_bytes, keys=("--connect", "--bind"))
        try:
            journal = JournalWriter(path)
        except OSError as error:
            raise OrstateError(f"{path}: cannot be written: {error.strerror}; give another name") from error
        try:
            while going_on():
                if socket.poll(WAKE_MS):
                    _take(subscription, journal, on_message)
        finally:
            journal.close()
    finally:
        context.destroy(linger=0)
    return journal.records


def _take(subscription: Subscription, journal: JournalWriter, on_message: Callable[[str], None]) -> None:
    while True:
        try:
            arrival = subscription.receive()
        except Rejected as fault:
            letter = DeadLetter(reason=fault.reason, error=str(fault), source="record", head=repr(fault.payload[:120]))
            journal.write(type_name(letter), encode(letter))
            on_message(f"dead letter ({fault.reason}): {fault}")
            continue
        if arrival is None:
            break
        message = arrival.message
        t, seq = (message.t, message.seq) if isinstance(message, Input) else (message.session_time_s, 0)
        journal.write(type_name(message), arrival.payload, t, seq)
        on_message(type_name(message))
    journal.flush()
