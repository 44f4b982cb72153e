"""What systemd is told when it runs us (`Type=notify`): readiness, a line of status, a watchdog's pings. Supervisor.

The protocol is a datagram of assignments to the socket that `NOTIFY_SOCKET` names (sd_notify(3)). Here it is never
waited for: what finds no room goes out with the next turn of the loop, the newest of each name.
"""

import os
import socket
import time
from collections.abc import MutableMapping

PINGS = 3  # in the time after which systemd takes a process that is silent for hung


class Service:
    """The service manager, or nobody if none started us. The environment's words for it are taken out of it."""

    def __init__(self, environment: MutableMapping[str, str] = os.environ) -> None:
        address = environment.pop("NOTIFY_SOCKET", "")
        self._address = f"\0{address[1:]}" if address.startswith("@") else address
        limit_us = environment.pop("WATCHDOG_USEC", "")
        ours = environment.pop("WATCHDOG_PID", "") in ("", str(os.getpid()))
        self._ping_s = int(limit_us) / 1e6 / PINGS if ours and limit_us.isdecimal() else 0.0
        self._ping_at = 0.0
        self._owed: dict[str, str] = {}
        self._status = ""
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) if address else None

    def ready(self) -> None:
        """Messages are taken."""
        self._tell(READY="1")

    def status(self, line: str) -> None:
        """How it does, for `systemctl status`; the same line is told once."""
        line = " ".join(line.split())
        if line != self._status:
            self._status = line
            self._tell(STATUS=line)

    def takes(self, seconds: float) -> None:
        """The start, or the stop, may take so long from now, whatever the unit allows."""
        self._tell(EXTEND_TIMEOUT_USEC=str(round(seconds * 1e6)))

    def stopping(self) -> None:
        """The end has begun."""
        self._tell(STOPPING="1")

    def alive(self) -> None:
        """The supervisor's loop turns: called at each turn, it pings when that is due."""
        now = time.monotonic()
        if self._ping_s and now >= self._ping_at:
            self._ping_at = now + self._ping_s
            self._owed["WATCHDOG"] = "1"
        self._send()

    def close(self) -> None:
        """Nothing more will be told. Once more is no error."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _tell(self, **assignments: str) -> None:
        self._owed |= assignments
        self._send()

    def _send(self) -> None:
        if self._socket is None or not self._owed:
            return
        try:
            self._socket.sendto("\n".join(f"{k}={v}" for k, v in self._owed.items()).encode(), self._address)
        except OSError:  # no room, or nobody listens any more: it is tried again
            return
        self._owed.clear()
