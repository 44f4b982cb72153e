"""Addresses of this machine for tests."""

import socket
from contextlib import ExitStack


def addresses(count: int) -> list[str]:
    """Endpoints on loopback that nobody is bound to."""
    with ExitStack() as held:
        sockets = [held.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(count)]
        return [f"tcp://127.0.0.1:{s.getsockname()[1]}" for s in sockets]
