"""Whether anybody is at the other end of a client's socket: ZeroMQ tells of connections on a socket of its own."""

import time
from itertools import count
from typing import Any

import zmq
from zmq.utils.monitor import parse_monitor_message

from pipeline.sockets import Context, Socket, has_message

_MET = int(zmq.EVENT_HANDSHAKE_SUCCEEDED)
_LOST = int(zmq.EVENT_DISCONNECTED)
_numbers = count()


class Presence:
    """Watches one connecting socket, from before it connects. Belongs to the socket's thread."""

    def __init__(self, context: Context, socket: Socket) -> None:
        self._socket = socket
        endpoint = f"inproc://orstate-presence-{next(_numbers)}"
        socket.monitor(endpoint, _MET | _LOST)
        self._events: Any = zmq.Context.shadow(context.underlying).socket(zmq.PAIR)
        self._events.setsockopt(zmq.LINGER, 0)
        self._events.connect(endpoint)
        self._absent_since: float | None = time.monotonic()

    def absent_s(self) -> float:
        """For how long nobody has been there, seconds; 0.0 while somebody is."""
        while has_message(self._events):
            event = parse_monitor_message(self._events.recv_multipart())["event"]
            if event == _MET:
                self._absent_since = None
            elif self._absent_since is None:
                self._absent_since = time.monotonic()
        return 0.0 if self._absent_since is None else time.monotonic() - self._absent_since

    def close(self) -> None:
        """Stop watching. Call it before the socket is closed; once more is no error."""
        if not self._events.closed:
            self._socket.disable_monitor()
            self._events.close()
