"""The blocking client's way of sending: confirmed, sent again, and an error where nobody is."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import zmq
from queue_hop import await_readable, until

from pipeline.errors import OrstateError
from pipeline.sending import ConfirmedSender
from pipeline.sockets import Context, Socket, make_socket


@pytest.fixture
def sending(context: Context, short_dir: Path) -> Iterator[Callable[[float], ConfirmedSender]]:
    """Makes senders to one endpoint; they are closed before their context is."""
    made: list[ConfirmedSender] = []

    def make(timeout_s: float) -> ConfirmedSender:
        made.append(ConfirmedSender(context, f"ipc://{short_dir}/requests", timeout_s))
        return made[-1]

    yield make
    for sender in made:
        sender.close()


def bound(context: Context, folder: Path) -> Socket:
    """A process's request endpoint."""
    socket = make_socket(context, zmq.ROUTER)
    socket.bind(f"ipc://{folder}/requests")
    return socket


def heard(socket: Socket) -> tuple[bytes, list[bytes]]:
    """Who sent, and what."""
    await_readable(socket)
    identity, *frames = socket.recv_multipart()
    return identity, frames


def test_what_is_asked_for_again_is_sent_though_the_owner_does_nothing(
    context: Context, short_dir: Path, sending: Callable[[float], ConfirmedSender]
) -> None:
    sender = sending(30.0)
    first = bound(context, short_dir)
    sender.send(b"a")
    sender.send(b"b")
    assert [heard(first)[1] for _ in range(2)] == [[b"Numbered 1 first", b"a"], [b"Numbered 2", b"b"]]
    first.close()
    second = bound(context, short_dir)
    identity, frames = heard(second)  # after some time it asks
    assert frames == [b"Numbered 1", b"a"]
    second.send_multipart([identity, b"Resend 0"])
    assert [heard(second)[1] for _ in range(2)] == [[b"Numbered 1 first", b"a"], [b"Numbered 2", b"b"]]
    assert sender.unconfirmed == 2
    second.send_multipart([identity, b"Confirmed 2"])
    sender.flush()
    assert sender.unconfirmed == 0
    sender.close()
    sender.close()


def test_nobody_for_long_is_an_error_that_says_where(
    context: Context, short_dir: Path, sending: Callable[[float], ConfirmedSender]
) -> None:
    sender = sending(0.1)
    sender.send(b"a")
    until(lambda: sender._presence.absent_s() > 0.1, lambda: time.sleep(0.01))
    with pytest.raises(OrstateError, match=r"requests: nobody answers within 0\.1 s; does the pipeline run\?"):
        sender.send(b"b")
    with pytest.raises(OrstateError, match="nobody answers"):
        sender.check()
    assert sender.unconfirmed == 1
    sender.close()


def test_a_full_window_waits_for_a_confirmation(
    context: Context, short_dir: Path, sending: Callable[[float], ConfirmedSender]
) -> None:
    socket = bound(context, short_dir)
    sender = sending(0.3)
    sender.send(bytes(9 << 20))
    identity, _ = heard(socket)
    socket.send_multipart([identity, b"Confirmed 1"])
    sender.send(b"b")
    assert heard(socket)[1] == [b"Numbered 2", b"b"]
    sender.close()
