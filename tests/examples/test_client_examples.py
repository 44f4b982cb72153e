"""The examples of publishers and subscribers, in each language, beside the real processes."""

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import zmq
from loopback import addresses
from toolchains import lacking

from pipeline.client import Sidecar
from pipeline.confirmed import Confirmations
from pipeline.keys import generate

CLIENTS = Path(__file__).resolve().parents[2] / "examples" / "clients"
Commands = tuple[list[str], list[str]]


def in_python(_: Path) -> Commands:
    return [sys.executable, str(CLIENTS / "publisher.py")], [sys.executable, str(CLIENTS / "subscriber.py")]


def in_c(folder: Path) -> Commands:
    if not (compiler := shutil.which("cc")):
        lacking("no C compiler: apt install gcc")
    found = subprocess.run([str(compiler), "-E", "-include", "zmq.h", "-xc", "/dev/null"], capture_output=True)
    if found.returncode:
        lacking("no zmq.h: apt install libzmq3-dev")
    for name in ("publisher", "subscriber", "confirmed"):
        source = str(CLIENTS / f"{name}.c")
        subprocess.run(
            [str(compiler), "-Wall", "-Wextra", "-Werror", "-o", str(folder / name), source, "-lzmq"], check=True
        )
    return [str(folder / "publisher")], [str(folder / "subscriber")]


def in_javascript(_: Path) -> Commands:
    if not (node := shutil.which("node")):
        lacking("no Node.js: apt install nodejs npm")
    found = subprocess.run([str(node), "-e", 'require("zeromq")'], cwd=CLIENTS, capture_output=True)
    if found.returncode:
        lacking("no zeromq for Node.js: npm install --prefix examples/clients")
    return [str(node), str(CLIENTS / "publisher.js")], [str(node), str(CLIENTS / "subscriber.js")]


@pytest.mark.parametrize("with_keys", [False, True])
@pytest.mark.parametrize("made", [in_python, in_c, in_javascript])
def test_a_subscriber_sees_what_a_publisher_of_its_language_moves(
    made: Callable[[Path], Commands], short_folder: Path, with_keys: bool
) -> None:
    publisher, subscriber = made(short_folder)
    ingress, states = f"ipc://{short_folder}/in", f"ipc://{short_folder}/out"
    security: tuple[str, ...] = ()
    keys: tuple[str, ...] = ()
    if with_keys:
        generate(short_folder / "keys", ["example"])
        ingress, states = addresses(2)
        security = (f"security.keys='{short_folder}/keys'", f"security.clients='{short_folder}/keys/clients'")
        keys = (f"{short_folder}/keys/given/example",)
    settings = ("run.journal=", "inference.prefix_cache=", f"ingress.bind={ingress}", f"egress.states={states}")
    with Sidecar(model="stub", settings=(*settings, *security)):
        watching = subprocess.Popen(
            [*subscriber, states, "or3", *keys], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        try:
            assert watching.stderr is not None
            assert watching.stdout is not None
            assert watching.stderr.readline() == "subscribed\n"
            for session in ("or31", "or3"):  # the first one's topic begins like the second one's
                subprocess.run([*publisher, ingress, session, *keys], check=True, timeout=60)
            for line in watching.stdout:
                state = json.loads(line)
                assert state["session"] == "or3"
                if "M06" in state["state"]["machines"]["1"]:
                    break
            else:
                pytest.fail("the subscriber ended before the suction was on")
        finally:
            watching.kill()
            watching.communicate()


def confirming(made: Callable[[Path], Commands], folder: Path) -> list[str]:
    """The command of the example that publishes so that nothing is lost."""
    *program, publisher = made(folder)[0]
    return [*program, str(Path(publisher).with_stem("confirmed"))]


@pytest.mark.parametrize("made", [in_c, in_javascript])
def test_a_publisher_that_waits_for_confirmations_moves_the_state(
    made: Callable[[Path], Commands], short_folder: Path
) -> None:
    command = confirming(made, short_folder)
    with Sidecar(model="stub", settings=(f"run.journal={str(short_folder)!r}", "inference.prefix_cache=")) as sidecar:
        states = sidecar.states("or3", timeout_s=30.0)
        said = subprocess.run([*command, sidecar.launch.wait_ready(1).requests, "or3"], capture_output=True, text=True)
        assert (said.stdout, said.returncode) == ("confirmed\n", 0), said.stderr
        state = next(state for state in states if state.based_on == 2)
        assert "M06" in state.state["machines"]["1"]


@pytest.mark.parametrize("made", [in_c, in_javascript])
@pytest.mark.parametrize("until", [1, 2, 3])
def test_what_a_pipeline_lost_with_its_process_is_sent_to_the_next_one(
    made: Callable[[Path], Commands], short_folder: Path, until: int
) -> None:
    """A process dies with all that came after the message `until`; the first that comes to the next is let go."""
    endpoint = f"ipc://{short_folder}/requests"
    journal: list[bytes] = []
    with zmq.Context() as context, context.socket(zmq.ROUTER) as router:
        router.bind(endpoint)
        router.rcvtimeo = 30_000
        publishing = subprocess.Popen([*confirming(made, short_folder), endpoint, "or3"], stdout=subprocess.PIPE)
        try:
            process = Confirmations()
            for _ in range(3):  # all three come without an answer
                envelope, head, payload = router.recv_multipart()
                if process.take([envelope], head) and len(journal) < until:
                    journal.append(payload)
            if until < 3:
                router.send_multipart([envelope, b"Confirmed %d" % until])
            process = Confirmations()
            while publishing.poll() is None and len({json.loads(payload)["seq"] for payload in journal}) < 3:
                envelope, head, payload = router.recv_multipart()
                if process.take([envelope], head):
                    journal.append(payload)
                for frames in process.answers():
                    router.send_multipart(frames)
            if until == 3:  # all are in the journal and nobody said so: it asks
                envelope, head, payload = router.recv_multipart()
                assert not process.take([envelope], head)
                router.send_multipart([envelope, b"Confirmed 3"])
            assert publishing.wait(30) == 0
        finally:
            publishing.kill()
            publishing.communicate()
    assert [json.loads(payload)["seq"] for payload in journal] == [1, 2, 3]
