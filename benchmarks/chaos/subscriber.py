"""Subscribers of a session that read as fast as states come, slowly, or not at all. Foreign ones: plain SUB sockets."""

import threading
import time
from typing import Final, Self

import zmq

from pipeline.client import Client
from pipeline.wire_format import StateReader

WAIT_MS: Final = 50


class Subscriber:
    """Reads in a thread of its own, with `pause_s` before each message; None: not before `go_on`."""

    def __init__(self, client: Client, session: str, pause_s: float | None, high_water_mark: int) -> None:
        self.received = 0
        self.newest = 0  # seq of the newest state
        self._pause_s = pause_s
        self._reader = StateReader(session)
        self._over = threading.Event()
        self._reads = threading.Event()
        if pause_s is not None:
            self._reads.set()
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self._socket = self._context.socket(zmq.SUB)
        self._socket.setsockopt(zmq.RCVHWM, high_water_mark)
        for topic in self._reader.topics:
            self._socket.setsockopt(zmq.SUBSCRIBE, topic)
        self._socket.connect(client.description.states)
        self._reader.take(self._socket.recv_multipart())  # a status: the subscription stands
        self._socket.setsockopt(zmq.UNSUBSCRIBE, self._reader.topics[1])
        self._thread = threading.Thread(target=self._run, name="subscriber")

    @property
    def gaps(self) -> int:
        """States that it missed, by its own count."""
        return self._reader.gaps

    def go_on(self) -> None:
        """Read all that there is, as fast as it comes."""
        self._pause_s = 0.0
        self._reads.set()

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._reads.set()
        self._thread.join()
        self._context.destroy(linger=0)

    def _run(self) -> None:
        self._reads.wait()
        while not self._over.is_set():
            if self._socket.poll(WAIT_MS):
                time.sleep(self._pause_s or 0.0)
                if state := self._reader.take(self._socket.recv_multipart()):
                    self.received += 1
                    self.newest = state.seq
