"""Taps publishers into a log that replays: what they send, as they send it. Runs in the command's process."""

from collections.abc import Callable, Sequence
from pathlib import Path

import zmq

from pipeline import endpoints
from pipeline.codec import encode, type_name
from pipeline.config import Config, Ingress
from pipeline.errors import OrstateError, Rejected
from pipeline.guard import Guard
from pipeline.ingress import HARD_LIMIT, Subscription
from pipeline.journal import JournalWriter
from pipeline.messages import DeadLetter, Input
from pipeline.sockets import Context, make_socket

WAKE_MS = 200


def record(
    path: Path,
    connect: Sequence[str],
    bind: str,
    config: Config,
    going_on: Callable[[], bool],
    on_message: Callable[[str], None],
) -> int:
    """Write what arrives to `path` until `going_on()` is False; how many messages. `on_message` is told of each.

    `config`: its sections `ingress` (limits) and `security` (keys). What is no input is recorded as a dead letter, and
    whoever was turned away is told at the end. Raises OrstateError if the file exists or an endpoint is wrong.
    """
    for endpoint in connect:
        endpoints.check("--connect", endpoint, to_bind=False)
    endpoints.check("--bind", bind, words=("",))
    context: Context = zmq.Context()
    try:
        with Guard(config.security, context) as guard:
            subscription = _subscribe(connect, bind, config.ingress, context, guard)
            guard.start()
            journal = _journal(path)
            on_message(f"recording {', '.join([*connect, *([bind] if bind else [])])}; Ctrl-C ends it")
            try:
                while going_on():
                    if subscription.socket.poll(WAKE_MS):
                        _take(subscription, journal, on_message)
                    guard.call_again()
            finally:
                journal.close()
            counts = {name: count for name, count in guard.counters().items() if count}
            if strangers := [f"{name} {count:.0f}" for name, count in counts.items() if name.startswith("strangers")]:
                on_message(f"turned away: {', '.join(strangers)}")
    finally:
        context.destroy(linger=0)
    return journal.records


def _subscribe(connect: Sequence[str], bind: str, ingress: Ingress, context: Context, guard: Guard) -> Subscription:
    limit = ingress.max_message_bytes
    socket = make_socket(context, zmq.SUB, high_water_mark=ingress.high_water_mark, max_bytes=HARD_LIMIT * limit)
    return Subscription(socket, connect, bind, limit, keys=("--connect", "--bind"), door=guard)


def _journal(path: Path) -> JournalWriter:
    try:
        return JournalWriter(path)
    except OSError as error:
        raise OrstateError(f"{path}: cannot be written: {error.strerror}; give another name") from error


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
