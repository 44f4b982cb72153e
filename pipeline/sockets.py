"""One place that makes ZeroMQ sockets, with every option set. Used by all processes: one Context each.

High-water marks are finite and only a safety net: credits (pipeline/queue.py) hold the pressure between stages.
"""

import zmq

Context = zmq.Context[zmq.Socket[bytes]]
Socket = zmq.Socket[bytes]

CONTROL_HIGH_WATER = 1_000
LINGER_MS = 2_000
RECONNECT_MS = 10
RECONNECT_MAX_MS = 500
INNER_BYTES = 2**26  # of a frame between our own processes: what the largest slot holds
OUTPUT_BYTES = 2**24  # of a state, a status or an answer
SUBSCRIPTION_BYTES = 2**12  # of a topic that somebody subscribes to

# As plain numbers: the arithmetic of enumerations takes longer than to ask the socket
_NOBLOCK, _EVENTS, _POLLIN = int(zmq.NOBLOCK), int(zmq.EVENTS), int(zmq.POLLIN)


def receive_now(socket: Socket) -> list[bytes] | None:
    """The frames of the next message, or None if there is none now.

    Asking first is cheaper than the exception that pyzmq raises for an empty socket.
    """
    return socket.recv_multipart(_NOBLOCK) if has_message(socket) else None


def receive_frame_now(socket: Socket) -> bytes | None:
    """The next message, which has one frame, or None if there is none now."""
    return socket.recv(_NOBLOCK) if has_message(socket) else None


def has_message(socket: Socket) -> bool:
    """Whether a message can be received now."""
    return bool(socket.getsockopt(_EVENTS) & _POLLIN)  # type: ignore[operator]  # an int, for this option


def make_socket(
    context: Context,
    kind: int,
    *,
    high_water_mark: int = CONTROL_HIGH_WATER,
    max_bytes: int = INNER_BYTES,
) -> Socket:
    """A socket of that kind. `max_bytes`: a peer that sends a larger frame is cut off by ZeroMQ."""
    socket: Socket = context.socket(kind)
    socket.setsockopt(zmq.SNDHWM, high_water_mark)
    socket.setsockopt(zmq.RCVHWM, high_water_mark)
    socket.setsockopt(zmq.LINGER, LINGER_MS)
    socket.setsockopt(zmq.RECONNECT_IVL, RECONNECT_MS)
    socket.setsockopt(zmq.RECONNECT_IVL_MAX, RECONNECT_MAX_MS)
    socket.setsockopt(zmq.MAXMSGSIZE, max_bytes)
    if kind == zmq.ROUTER:
        socket.setsockopt(zmq.ROUTER_MANDATORY, 1)  # an answer that reaches nobody is an error, not silence
        socket.setsockopt(zmq.ROUTER_HANDOVER, 1)  # a client that comes back takes its name over
    if kind == zmq.XPUB:
        socket.setsockopt(zmq.XPUB_VERBOSER, 1)  # every subscriber is seen, not only the first and last of a topic
    return socket
