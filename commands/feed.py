"""`publish`, `subscribe` and `status`: feeding a running pipeline, and watching it. Run in the command's process."""

import signal
import sys
import threading
import time
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from stages.options import ConfigOption, JsonOption, SetOption, configured, say

if TYPE_CHECKING:
    from pipeline.client import States
    from pipeline.config import Config

SETTLE_S = 10.0  # the longest wait for the state behind the last line

ToOption = Annotated[
    str, typer.Option("--to", help="The pipeline's request endpoint; default: that of the configuration.")
]

StatesOption = Annotated[bool, typer.Option("--json", help="Each state whole, as a JSON line, for programs.")]

KeysOption = Annotated[
    Path | None, typer.Option(help="Our folder of keys, for a pipeline that wants them (--to).", exists=True)
]


def publish(
    source: Annotated[str, typer.Argument(metavar="FILE.jsonl|-", help="A log, or - for lines of standard input.")],
    to: ToOption = "",
    session: Annotated[str, typer.Option(help="The session of lines of standard input.")] = "demo",
    surgery: Annotated[str, typer.Option(help="The surgery; a log may name its own.")] = "",
    as_json: StatesOption = False,
    speed: Annotated[float, typer.Option(min=0.001, max=1e6, help="How many times real time a log goes.")] = 1.0,
    keys: KeysOption = None,
    config: ConfigOption = None,
    set_: SetOption = None,
) -> None:
    """Publish a log, or lines typed, to a pipeline that runs, and show how the state moves.

    A typed line is what is said, or "Surgeon: what is said"; the end of input (Ctrl-D) ends the session.

    Examples:
        publish examples/pcnl_session.jsonl --speed 20
        publish - --surgery PCNL
    """
    from pipeline.client import Client
    from pipeline.feed import typed
    from pipeline.log import Log
    from pipeline.messages import Input, SessionEnd

    messages: Iterable[Input]
    if source == "-":
        if not surgery:
            raise typer.BadParameter("lines of standard input name no surgery; give --surgery, such as PCNL")
        messages, pace = typed(sys.stdin, session, surgery, say), None
    else:
        if not Path(source).exists():
            raise typer.BadParameter(f"{source}: there is no such log; give a .jsonl, an .mcap, or - to type lines")
        log = Log(Path(source), surgery)
        for fault in log.faults:
            say(f"left out: {fault}")
        messages, pace = [message for message in log.messages if isinstance(message, Input)], speed
        if asked := len(log.messages) - len(messages):
            say(f"left out: {asked} requests, which are asked and not published")
    endpoint, keys = pipeline_of(to, keys, config, set_)
    with Client(endpoint, keys=keys) as client:
        states = client.states()
        seen = _Seen()
        reader = threading.Thread(target=_show, args=(states, as_json, seen), name="publish-states")
        reader.start()
        try:
            begin, first = time.monotonic(), None
            for message in messages:
                first = message.t if first is None else first
                if pace is not None:
                    time.sleep(max(0.0, begin + (message.t - first) / pace - time.monotonic()))
                elif isinstance(message, SessionEnd):
                    seen.wait(message.session, message.seq - 1, SETTLE_S)
                client.publish(message)
            client.flush()
        finally:
            states.stop()
            reader.join()


def subscribe(
    session: Annotated[str, typer.Option(help="Only this session; default: all.")] = "",
    as_json: StatesOption = False,
    to: ToOption = "",
    keys: KeysOption = None,
    config: ConfigOption = None,
    set_: SetOption = None,
) -> None:
    """Show the states of a pipeline that runs, until it ends or Ctrl-C: what changes, or with --json all of it.

    Examples:
        subscribe
        subscribe --session or1 --json
    """
    from pipeline.client import Client

    endpoint, keys = pipeline_of(to, keys, config, set_)
    with Client(endpoint, keys=keys) as client:
        states = client.states(session or None)
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: states.stop())
        say("subscribed; Ctrl-C ends it")
        _show(states, as_json, _Seen())
        if states.gaps:
            say(f"{states.gaps} states were missed: this subscriber was too slow")


def status(
    as_json: JsonOption = False,
    to: ToOption = "",
    keys: KeysOption = None,
    config: ConfigOption = None,
    set_: SetOption = None,
) -> None:
    """Say how a pipeline that runs does: its stages, outcomes, what was dropped and refused, its journal.

    Examples:
        status
        status --to tcp://127.0.0.1:5557 --keys keys/clients/desk --json
    """
    from pipeline.client import Client
    from pipeline.codec import encode_json
    from pipeline.console import console
    from pipeline.status_table import status_table

    endpoint, keys = pipeline_of(to, keys, config, set_)
    with Client(endpoint, keys=keys) as client:
        told = client.status()
    if as_json:
        print(encode_json(told).decode())
    else:
        console().print(status_table(told))


class _Seen:
    """The newest input of each session that a state was based on; written by one thread, awaited by another."""

    def __init__(self) -> None:
        self._based_on: dict[str, int] = {}
        self._changed = threading.Condition()

    def take(self, session: str, based_on: int) -> None:
        with self._changed:
            self._based_on[session] = based_on
            self._changed.notify_all()

    def wait(self, session: str, seq: int, timeout_s: float) -> None:
        with self._changed:
            self._changed.wait_for(lambda: self._based_on.get(session, -1) >= seq, timeout_s)


def _show(states: "States", as_json: bool, seen: _Seen) -> None:
    from pipeline.codec import encode_json
    from pipeline.console import console
    from pipeline.terminal import Changes

    screen, changes = console(), Changes()
    for state in states:
        if as_json:
            print(encode_json(state).decode(), flush=True)
        else:
            for line in changes.lines(state):
                screen.print(line, soft_wrap=True)
        seen.take(state.session, state.based_on)


def pipeline_of(to: str, keys: Path | None, config: Path | None, settings: list[str] | None) -> tuple[str, Path | None]:
    """The request endpoint and the keys that were given, or those of the instance that the configuration names."""
    if to:
        return to, keys
    endpoint, ours = _instance(configured(config, None, settings))
    return endpoint, keys or ours


def connected(config: "Config") -> list[str]:
    """The options of a command that is to talk to the instance of that configuration."""
    endpoint, keys = _instance(config)
    return ["--to", endpoint, *(["--keys", str(keys)] if keys else [])]


def _instance(config: "Config") -> tuple[str, Path | None]:
    from pipeline.config import resolve
    from pipeline.rundir import run_directory

    bound, keys = config.ingress.requests, config.security.keys
    endpoint = f"ipc://{run_directory(config)}/requests" if bound == "ipc" else bound
    return endpoint, resolve(keys) if keys else None
