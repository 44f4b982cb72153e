"""A client that asks and does not read. A foreign one: a plain DEALER socket."""

from typing import Final, Self

import zmq

from pipeline.codec import encode
from pipeline.launch import Launch
from pipeline.messages import LLMRequest

READ_AHEAD: Final = 10  # answers that ZeroMQ takes for it
LAST_MS: Final = 1000  # an answer that comes no sooner does not come


class Deaf:
    """Asks the pipeline that was launched."""

    def __init__(self, launch: Launch) -> None:
        assert launch.ready is not None
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self._socket = self._context.socket(zmq.DEALER)
        self._socket.setsockopt(zmq.RCVHWM, READ_AHEAD)
        self._socket.connect(launch.ready.requests)

    def ask(self, request_id: str) -> None:
        """Send a request."""
        request = LLMRequest(request_id=request_id, surgery="PCNL", transcript_context="Surgeon: camera on")
        self._socket.send_multipart([b"LLMRequest", encode(request)])

    def read_all(self) -> int:
        """Read at last; how many answers are there."""
        count = 0
        while self._socket.poll(LAST_MS):
            self._socket.recv_multipart()
            count += 1
        return count

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._context.destroy(linger=0)
