"""Many sessions at once: what is said in each, by a publisher of its own, and how each of them ends."""

import time
from collections.abc import Iterable, Sequence
from random import Random
from typing import Any, Final, Self

import zmq

from pipeline.client import Client
from pipeline.codec import encode
from pipeline.messages import Input, SessionEnd, SessionStart, Transcript
from pipeline.sockets import Context, make_socket
from pipeline.wire_format import StateReader

LINES: Final = (
    "turn on the suction",
    "suction off please",
    "camera on",
    "lights off",
    "start the irrigation",
    "stop the irrigation",
    "don't start the lithotripter yet",
    "the vitals look fine",
    "let's begin the dilation",
    "start the lithotripter",
    "turn off the lithotripter",
    "we are closing",
)
LINE_S: Final = 7.0  # of message time between two lines


def script(session: str, rng: Random, lines: int) -> list[Input]:
    """A session from its start to its end."""
    said = [
        Transcript(session=session, seq=seq, t=LINE_S * seq, speaker="Surgeon", text=rng.choice(LINES))
        for seq in range(2, lines + 2)
    ]
    begin = SessionStart(session=session, seq=1, t=0.0, surgery=rng.choice(("PCNL", "Lobectomy")))
    return [begin, *said, SessionEnd(session=session, seq=lines + 2, t=LINE_S * (lines + 2))]


class Publishers:
    """A PUB socket for each session."""

    def __init__(self, client: Client, sessions: Iterable[str]) -> None:
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self._sockets = {session: self._context.socket(zmq.XPUB) for session in sessions}
        for socket in self._sockets.values():
            socket.connect(client.description.ingress[0])
            socket.recv()

    def send(self, message: Input) -> None:
        """Publish it from the socket of its session."""
        self._sockets[message.session].send(encode(message))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._context.destroy(linger=2000)


def interleaved(scripts: Sequence[list[Input]], rng: Random) -> list[Input]:
    """All messages, those of each session in their order."""
    turns = [number for number, messages in enumerate(scripts) for _ in messages]
    rng.shuffle(turns)
    left = [iter(messages) for messages in scripts]
    return [next(left[number]) for number in turns]


class Watch:
    """Follows the states of all sessions."""

    def __init__(self, client: Client) -> None:
        self._reader = StateReader(None)
        self._context: Context = zmq.Context()
        self._socket = make_socket(self._context, zmq.SUB, high_water_mark=100_000)
        for topic in self._reader.topics:
            self._socket.setsockopt(zmq.SUBSCRIBE, topic)
        self._socket.connect(client.description.states)
        self._reader.take(self._socket.recv_multipart())  # the subscription stands

    @property
    def gaps(self) -> int:
        """States that were missed."""
        return self._reader.gaps

    def until_over(self, inputs: int, timeout_s: float) -> dict[str, Any]:
        """Machines and phase of each session in its last state, once that many inputs came and none is open."""
        ended: dict[str, Any] = {}
        deadline = time.monotonic() + timeout_s
        while (status := self._reader.status) is None or status.inputs < inputs or status.sessions_open:
            if time.monotonic() > deadline or not self._socket.poll(round(1000 * timeout_s)):
                break  # what is missing shows in what there is
            if state := self._reader.take(self._socket.recv_multipart()):
                contract = state.state
                ended[state.session] = (state.based_on, contract["machines"], contract["metadata"]["phase"])
        return ended

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._context.destroy(linger=0)
