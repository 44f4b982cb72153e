"""What systemd is told: the assignments of sd_notify, over real datagram sockets."""

import os
import socket
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from pipeline import service
from pipeline.service import Service


class Listener:
    """systemd's end."""

    def __init__(self, address: str) -> None:
        self.address = address
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(address.replace("@", "\0", 1))
        self._socket.setblocking(False)

    def hear(self) -> list[str]:
        """The datagrams that have come."""
        heard = []
        while True:
            try:
                heard.append(self._socket.recv(4096).decode())
            except BlockingIOError:
                return heard

    def close(self) -> None:
        self._socket.close()


@pytest.fixture(params=["path", "abstract"])
def systemd(request: pytest.FixtureRequest, short_dir: Path) -> Iterator[Listener]:
    made = Listener(f"{short_dir}/notify" if request.param == "path" else f"@{short_dir}/notify")
    yield made
    made.close()


def test_assignments_go_out_at_once_and_the_same_status_once(systemd: Listener) -> None:
    told = Service({"NOTIFY_SOCKET": systemd.address})
    told.status("starting:\n the model is loading")
    told.ready()
    told.status("whole")
    told.status("whole")
    told.takes(1.5)
    told.stopping()
    told.alive()
    told.close()
    assert systemd.hear() == [
        "STATUS=starting: the model is loading", "READY=1", "STATUS=whole", "EXTEND_TIMEOUT_USEC=1500000", "STOPPING=1",
    ]  # fmt: skip


def test_pings_go_out_three_times_in_the_watchdogs_time(systemd: Listener, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = SimpleNamespace(now=100.0)
    monkeypatch.setattr(service, "time", SimpleNamespace(monotonic=lambda: clock.now))
    watched = {"NOTIFY_SOCKET": systemd.address, "WATCHDOG_USEC": "3000000", "WATCHDOG_PID": str(os.getpid())}
    told = Service(watched)
    for _ in range(30):
        told.alive()
        clock.now += 0.1
    told.close()
    assert systemd.hear() == ["WATCHDOG=1"] * 3


def test_the_watchdog_of_another_process_is_not_pinged(systemd: Listener) -> None:
    told = Service({"NOTIFY_SOCKET": systemd.address, "WATCHDOG_USEC": "1", "WATCHDOG_PID": "1"})
    told.alive()
    told.close()
    assert systemd.hear() == []


def test_what_finds_no_room_goes_out_later_the_newest_of_each(systemd: Listener) -> None:
    told = Service({"NOTIFY_SOCKET": systemd.address})
    number = 0
    while not told._owed:
        told.status(f"line {number}")
        number += 1
    told.ready()
    told.status("the last")
    before = systemd.hear()
    assert before[-1] == f"STATUS=line {number - 2}"
    told.alive()
    told.close()
    assert systemd.hear() == ["STATUS=the last\nREADY=1"]


def test_without_a_service_manager_nothing_happens_and_the_stages_inherit_none_of_it() -> None:
    told = Service({})
    told.ready()
    told.alive()
    told.close()
    environment = {"NOTIFY_SOCKET": "/nowhere", "WATCHDOG_USEC": "5", "WATCHDOG_PID": "7", "HOME": "/"}
    told = Service(environment)
    told.ready()
    told.close()
    assert environment == {"HOME": "/"}
