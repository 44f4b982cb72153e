"""The blocking client's way of sending inputs: numbered, kept until confirmed, sent again when asked to.

A thread looks after what is not confirmed while its owner does something else, or nothing. ZeroMQ's sockets are used
by one thread at a time: a lock sees to that.
"""

import threading
import time

import zmq

from pipeline import endpoints
from pipeline.confirmed import Unconfirmed
from pipeline.curve import Keys
from pipeline.presence import Presence
from pipeline.sockets import Context, make_socket, receive_now

HIGH_WATER = 10_000
PROBE_S = 2.0  # without a confirmation the oldest message is sent again: the answer tells whether it came
LOOK_S = 0.25  # between two looks of the thread
SLICE_MS = 50  # of a wait, in which the lock is held


class ConfirmedSender:
    """Sends to one request endpoint. Raises ConfigError if that is none."""

    def __init__(self, context: Context, endpoint: str, timeout_s: float, keys: Keys | None = None) -> None:
        self._endpoint = endpoint
        self._timeout_s = timeout_s
        self._keys = keys
        self._unconfirmed = Unconfirmed()
        self._heard_s = time.monotonic()
        self._lock = threading.Lock()
        self._over = threading.Event()
        self._socket = make_socket(context, zmq.DEALER, high_water_mark=HIGH_WATER)
        self._presence = Presence(context, self._socket)
        try:
            endpoints.reach(self._socket, endpoint, "requests", keys)
        except BaseException:
            self._presence.close()
            raise
        self._thread = threading.Thread(target=self._look_after, daemon=True, name="orstate-confirmations")
        self._thread.start()

    @property
    def unconfirmed(self) -> int:
        """Messages that are not known to be in the pipeline's journal."""
        return len(self._unconfirmed)

    def check(self) -> None:
        """Raises OrstateError if nobody has been there for long."""
        with self._lock:
            self._check(self._timeout_s)

    def send(self, payload: bytes) -> None:
        """Send a message; blocks while too many are unconfirmed. Raises OrstateError if nobody is there for long."""
        while self._unconfirmed.full:
            self._wait(self._timeout_s)
        with self._lock:
            if self._unconfirmed:
                self._check(self._timeout_s)
            self._socket.send_multipart(self._unconfirmed.add(payload))
            self._hear()

    def flush(self, timeout_s: float | None = None) -> None:
        """Wait until all is confirmed. Raises OrstateError if nobody is there for `timeout_s` (default: the own)."""
        while self._unconfirmed:
            self._wait(self._timeout_s if timeout_s is None else timeout_s)

    def close(self) -> None:
        """Stop, whatever is unconfirmed. Once more is no error."""
        if not self._over.is_set():
            self._over.set()
            self._thread.join()
            self._presence.close()
            self._socket.close()

    def _wait(self, timeout_s: float) -> None:
        with self._lock:
            if self._socket.poll(min(SLICE_MS, max(1, int(1000 * timeout_s)))):
                self._hear()
            else:
                self._ask()
                self._check(timeout_s)

    def _check(self, timeout_s: float) -> None:
        if self._presence.absent_s() > timeout_s:
            raise endpoints.unanswered(self._endpoint, timeout_s, self._keys)

    def _hear(self) -> None:
        """Take confirmations, and send again what is asked for."""
        while frames := receive_now(self._socket):
            self._heard_s = time.monotonic()
            for again in self._unconfirmed.heard(frames[-1]):
                self._socket.send_multipart(again)

    def _ask(self) -> None:
        """If nothing was heard for long, send the oldest again: the answer tells what has come."""
        if self._unconfirmed and time.monotonic() - self._heard_s > PROBE_S and self._presence.absent_s() == 0.0:
            self._heard_s = time.monotonic()
            self._socket.send_multipart(self._unconfirmed.oldest())

    def _look_after(self) -> None:
        while not self._over.wait(LOOK_S):  # not woken by what is sent: that would delay it
            if self._unconfirmed:
                with self._lock:
                    self._hear()
                    self._ask()
