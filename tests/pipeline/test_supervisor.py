"""What the supervisor says to a stage, and when."""

import os
import socket
from collections.abc import Callable, Iterator
from multiprocessing.process import BaseProcess
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest
import zmq
from queue_hop import until

from pipeline import control
from pipeline.codec import encode
from pipeline.config import Config
from pipeline.control import STAGES
from pipeline.event_writer import EventWriter
from pipeline.messages import Message, ModelChanged
from pipeline.service import Service
from pipeline.sockets import Context, Socket, make_socket
from pipeline.stage_process import StageProcess
from pipeline.status import Overview
from pipeline.supervisor import Supervisor
from pipeline.wiring import Place

PLACE = Place(config=Config(), directory="/r", control="ipc:///r/c", segments={}, frames=(), journal="", incarnation=0)
WAIT_MS = 10_000


@pytest.fixture
def supervisor(context: Context) -> Iterator[Supervisor]:
    """A supervisor with its control socket, and stages whose process is this one."""
    made = Supervisor(Config(), lambda event: None)
    made._place = PLACE
    made._control = make_socket(context, zmq.ROUTER)
    made._control.bind("inproc://control")
    made._stages = {name: StageProcess(name, PLACE, Config().supervision) for name in STAGES}
    made._overview, made._events = Overview(""), EventWriter(lambda event: None)
    for stage in made._stages.values():
        stage._process = cast(BaseProcess, SimpleNamespace(pid=os.getpid()))
        stage.state = "starting"
    yield made
    made._events.close()
    made._context.destroy(linger=0)


@pytest.fixture
def say(context: Context, supervisor: Supervisor) -> Callable[..., Socket]:
    """A stage's first words, which the supervisor has and has not read."""

    def connect(stage: str, *words: Message) -> Socket:
        socket = make_socket(context, zmq.DEALER)
        socket.setsockopt(zmq.IDENTITY, stage.encode())
        socket.connect("inproc://control")
        for word in words:
            socket.send(encode(word))
        assert supervisor._control.poll(WAIT_MS)
        return socket

    return connect


def heard(stage: Socket) -> list[str]:
    """What was said to it, by type."""
    assert stage.poll(WAIT_MS)
    kinds = []
    while stage.poll(0):
        kinds.append(type(control.TO_STAGE.decode(stage.recv())).__name__)
    return kinds


def test_the_first_word_to_a_stage_answers_its_own_whatever_happens_meanwhile(
    supervisor: Supervisor, say: Callable[..., Socket]
) -> None:
    hello = control.Hello(pid=os.getpid(), schema=control.schema_hash())
    for name in ("prompt", "parse"):
        stage = say(name, hello)
        supervisor._hear(supervisor._stages["inference"], ModelChanged(state="ready"))
        supervisor._publish_status()
        supervisor._listen()
        assert heard(stage) == ["Welcome"]


def test_a_prompt_process_that_is_ready_is_told_what_it_missed_of_the_model(
    supervisor: Supervisor, say: Callable[..., Socket]
) -> None:
    supervisor._hear(supervisor._stages["inference"], ModelChanged(state="ready"))
    prompt = say("prompt", control.Hello(pid=os.getpid(), schema=control.schema_hash()), control.Ready())
    until(lambda: supervisor._stages["prompt"].state == "ready", supervisor._listen, supervisor._control)
    assert heard(prompt) == ["Welcome", "ModelChanged"]


def test_a_stage_of_another_version_is_told_to_stop(supervisor: Supervisor, say: Callable[..., Socket]) -> None:
    prompt = say("prompt", control.Hello(pid=os.getpid(), schema="another"))
    supervisor._listen()
    assert heard(prompt) == ["Stop"]


def test_systemd_hears_that_it_is_ready_once_both_prompt_and_parse_are(supervisor: Supervisor, short_dir: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(f"{short_dir}/notify")
        systemd.setblocking(False)
        supervisor._service = Service({"NOTIFY_SOCKET": f"{short_dir}/notify"})
        for name in ("inference", "prompt"):
            supervisor._hear(supervisor._stages[name], control.Ready())
        with pytest.raises(BlockingIOError):
            systemd.recv(4096)
        supervisor._hear(supervisor._stages["parse"], control.Ready())
        assert systemd.recv(4096) == b"READY=1"
        supervisor._hear(supervisor._stages["parse"], control.Ready())  # it was started again
        with pytest.raises(BlockingIOError):
            systemd.recv(4096)
        supervisor._service.close()
