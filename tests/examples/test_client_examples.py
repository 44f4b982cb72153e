"""The examples of publishers and subscribers, in each language, beside the real processes.

Nothing is installed here: `.ci/run` does that, and says with ORSTATE_ALL_TOOLCHAINS that a missing one is a failure.
"""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from loopback import addresses

from pipeline.client import Sidecar
from pipeline.keys import generate

CLIENTS = Path(__file__).resolve().parents[2] / "examples" / "clients"
Commands = tuple[list[str], list[str]]


def lacking(what: str) -> None:
    """Skip, or fail where everything must be there."""
    if os.environ.get("ORSTATE_ALL_TOOLCHAINS"):
        pytest.fail(what)
    pytest.skip(what)


def in_python(_: Path) -> Commands:
    return [sys.executable, str(CLIENTS / "publisher.py")], [sys.executable, str(CLIENTS / "subscriber.py")]


def in_c(folder: Path) -> Commands:
    if not (compiler := shutil.which("cc")):
        lacking("no C compiler: apt install gcc")
    found = subprocess.run([str(compiler), "-E", "-include", "zmq.h", "-xc", "/dev/null"], capture_output=True)
    if found.returncode:
        lacking("no zmq.h: apt install libzmq3-dev")
    for name in ("publisher", "subscriber"):
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
