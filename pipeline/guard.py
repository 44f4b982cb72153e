"""Who may connect: binds and connects the outer sockets of one process, and counts whom it turned away.

With keys (section `security`), every `tcp` endpoint that is bound is a CURVE server for the allowed clients only; `ipc`
endpoints are protected by their folder. Keys are checked, and strangers counted, in a thread of its own: a handshake
does not wait for a stage at work, and a flood of strangers slows down the thread of ZeroMQ and not the stage.
"""

import asyncio
import os
import time
import traceback
from contextlib import suppress
from threading import Thread
from types import TracebackType
from typing import Final, Self

import zmq
from zmq.auth import Authenticator
from zmq.utils.monitor import parse_monitor_message

from pipeline import curve, endpoints
from pipeline.config import Security, resolve
from pipeline.sockets import Context, Socket

_FAILURES: Final = (
    zmq.Event.HANDSHAKE_FAILED_AUTH,
    zmq.Event.HANDSHAKE_FAILED_PROTOCOL,
    zmq.Event.HANDSHAKE_FAILED_NO_DETAIL,
)
_TRIES: Final = (zmq.Event.CONNECT_DELAYED, zmq.Event.CONNECT_RETRIED, zmq.Event.HANDSHAKE_SUCCEEDED)
_OTHERS: Final = (zmq.Event.ACCEPTED, zmq.Event.DISCONNECTED, zmq.Event.MONITOR_STOPPED)
_TOLD: Final = sum({*_FAILURES, *_TRIES, *_OTHERS})  # bits
GUARD_FAILED: Final = 71  # exit code
GIVEN_UP_S: Final = 1.0  # ZeroMQ tries again at once, or never: after too large a frame, or a handshake that failed
# Connections by how they ended: a key that is not known; no keys at all; false keys, or no sense; left in the middle,
# which a peer without keys may do as soon as it hears that we want some
_CAUSES: Final = ("denied", "plain", "broken", "left")


class Guard:
    """The door of one process. `with` ends its thread, which `start` began; the sockets are still open then."""

    def __init__(self, security: Security, context: Context) -> None:
        """Raises ConfigError for keys that cannot be used."""
        self._security = security
        self._keys: curve.Keys | None = None
        self._authenticator: Authenticator | None = None
        self._thread: Thread | None = None
        self._monitors: dict[Socket, Socket] = {}  # by the socket that is watched
        self._publishers: dict[bytes, tuple[Socket, str]] = {}  # where we are the client: by endpoint
        self._lost: dict[bytes, float] = {}  # of these, when it went (monotonic); written by the thread
        self._counts = dict.fromkeys(("accepted", "let_in", "refused", "called_again", *_CAUSES), 0)
        if security.keys:
            self._keys = curve.load_keys(resolve(security.keys), "security.keys")
            allowed = curve.Allowed(resolve(security.clients), self._keys.public, "security.clients")
            self._authenticator = Authenticator(context)
            self._authenticator.start()
            self._authenticator.configure_curve_callback(curve.DOMAIN.decode(), allowed)

    def bind(self, socket: Socket, endpoint: str, key: str) -> None:
        """Bind a socket to what that key says; its own connections come before. Raises ConfigError."""
        with_keys = self._keys is not None and endpoints.is_tcp(endpoint)
        if with_keys and self._keys is not None:
            curve.serve(socket, self._keys)
        if endpoints.is_tcp(endpoint):
            self._watch(socket)
        endpoints.bind(socket, endpoint, key, with_keys=with_keys)

    def connect(self, socket: Socket, endpoint: str, key: str) -> None:
        """Connect a socket to what that key says, with keys if `security.publishers` has one. Raises ConfigError."""
        if (file := self._security.publishers.get(endpoint)) and self._keys is not None:
            curve.call(socket, self._keys, curve.load_public(resolve(file), f"security.publishers.{endpoint!r}"))
        else:
            curve.call_plainly(socket)
        if endpoints.is_tcp(endpoint):
            self._publishers[endpoint.encode()] = socket, key
            self._watch(socket)
        endpoints.connect(socket, endpoint, key)

    def call_again(self) -> None:
        """Connect to publishers that ZeroMQ has given up; called now and then by whoever owns the sockets."""
        for endpoint, since in self._lost.copy().items():
            if time.monotonic() - since > GIVEN_UP_S:
                self._lost.pop(endpoint, None)
                socket, key = self._publishers[endpoint]
                with suppress(zmq.ZMQError):  # it has forgotten the endpoint already
                    socket.disconnect(endpoint)
                self.connect(socket, endpoint.decode(), key)
                self._counts["called_again"] += 1

    def knows(self, endpoint: str) -> bool:
        """Whether the publisher at that endpoint must show a key."""
        return endpoint in self._security.publishers

    def start(self) -> None:
        """Let in whom we know, from now on; called when all is bound."""
        if self._monitors:
            self._thread = Thread(target=self._run_or_end, daemon=True, name="orstate-guard")
            self._thread.start()

    def counters(self) -> dict[str, float]:
        """Where there is a `tcp` endpoint, how often since the start.

        `strangers.*`: a connection was turned away, by cause; `strangers.no_handshake`: it spoke another protocol, or
        still shakes hands. `publishers.refused`: a publisher that we connect to has no key that fits;
        `publishers.called_again`: it was cut off for that, or for too large a frame, and is connected to again.
        """
        if not self._monitors:
            return {}
        counts = dict(self._counts)
        told = {f"strangers.{cause}": float(counts[cause]) for cause in _CAUSES}
        known = sum(counts[name] for name in ("let_in", *_CAUSES))
        told["strangers.no_handshake"] = float(max(0, counts["accepted"] - known))
        return told | {f"publishers.{name}": float(counts[name]) for name in ("refused", "called_again")}

    def close(self) -> None:
        """End the thread. Once more is no error."""
        for socket in self._monitors:
            if not socket.closed:
                socket.disable_monitor()  # its last event ends the watch
        if self._thread is not None:
            self._thread.join()
            self._thread = None
        for monitor in self._monitors.values():
            monitor.close(linger=0)
        self._monitors = {}
        if self._authenticator is not None:
            self._authenticator.stop()
            self._authenticator = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _watch(self, socket: Socket) -> None:
        if socket not in self._monitors:
            self._monitors[socket] = socket.get_monitor_socket(_TOLD)

    # --- in the thread -----------------------------------------------------------------------------------

    def _run_or_end(self) -> None:
        """Without a guard nobody would be let in, and ZeroMQ would soon stand still: then the process ends."""
        try:
            self._run()
        except BaseException:
            traceback.print_exc()
            os._exit(GUARD_FAILED)

    def _run(self) -> None:
        poller = zmq.Poller()
        watched = set(self._monitors.values())
        for monitor in watched:
            poller.register(monitor, zmq.POLLIN)
        authenticator = self._authenticator
        if authenticator is not None:
            poller.register(authenticator.zap_socket, zmq.POLLIN)
        with asyncio.Runner() as runner:
            while watched:
                for socket, _ in poller.poll():
                    if socket in watched:
                        if not self._hear(socket):
                            poller.unregister(socket)
                            watched.remove(socket)
                    elif authenticator is not None:
                        runner.run(authenticator.handle_zap_message(authenticator.zap_socket.recv_multipart()))

    def _hear(self, monitor: Socket) -> bool:
        """Count what a monitor tells; False if it was its last word."""
        told = parse_monitor_message(monitor.recv_multipart())
        event, endpoint = told["event"], told["endpoint"]
        if event == zmq.Event.MONITOR_STOPPED:
            return False
        if endpoint in self._publishers:
            self._hear_publisher(event, endpoint)
        elif endpoint.startswith(b"tcp://"):
            if event == zmq.Event.ACCEPTED:
                self._counts["accepted"] += 1
            elif event == zmq.Event.HANDSHAKE_SUCCEEDED:
                self._counts["let_in"] += 1
            elif event in _FAILURES:
                self._counts[_cause(event, told["value"])] += 1
        return True

    def _hear_publisher(self, event: int, endpoint: bytes) -> None:
        if event == zmq.Event.DISCONNECTED:
            self._lost[endpoint] = time.monotonic()
        elif event in _TRIES:
            self._lost.pop(endpoint, None)
        elif event in _FAILURES:
            self._counts["refused"] += 1


def _cause(event: int, detail: int) -> str:
    if event == zmq.Event.HANDSHAKE_FAILED_AUTH:
        return "denied"
    if event == zmq.Event.HANDSHAKE_FAILED_NO_DETAIL:
        return "left"
    return "plain" if detail == zmq.Event.PROTOCOL_ERROR_ZMTP_MECHANISM_MISMATCH else "broken"
