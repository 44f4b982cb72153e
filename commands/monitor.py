"""`monitor`: the room at a glance, on a terminal. Runs in the command's process."""

import signal
import threading
import time
from typing import TYPE_CHECKING, Annotated

import typer

from commands.feed import KeysOption, ToOption, pipeline_of
from stages.options import ConfigOption, SetOption, configured

if TYPE_CHECKING:
    from rich.console import RenderableType

    from pipeline.client import States
    from pipeline.room import Ends, Room
    from stages.surgery import Surgery

REFRESH_S = 0.25


def monitor(
    once: Annotated[bool, typer.Option("--once", help="One picture, and end; so it is where no terminal is.")] = False,
    session: Annotated[str, typer.Option(help="Only this session; default: all.")] = "",
    to: ToOption = "",
    keys: KeysOption = None,
    config: ConfigOption = None,
    set_: SetOption = None,
) -> None:
    """Show the room of a pipeline that runs: machines and who set them, phase, suggestions, the model, what was lost.

    It ends with the pipeline, or with Ctrl-C. What was before, and which session has ended, comes from the run's
    journal, if that is on this machine.

    Examples:
        monitor
        monitor --once --session or1
    """
    from rich.live import Live

    from pipeline.client import Client
    from pipeline.config import resolve
    from pipeline.console import console
    from pipeline.room import Ends, Room, recall
    from stages.surgery import load_surgeries

    surgeries = load_surgeries(resolve(configured(config, None, set_).prompt.machines))
    screen = console()
    endpoint, keys = pipeline_of(to, keys, config, set_)
    with Client(endpoint, keys=keys) as client:
        states, room = client.states(session or None), Room()
        lacks = recall(room, client.status().journal, session or None)
        notes = [f"What was before is not shown, nor that a session ends: {lacks}."] if lacks else []
        ends = None if lacks else Ends(room, client.status().journal)
        watch = _Watch(states, room, surgeries, notes, ends)
        if once or not screen.is_terminal:
            screen.print(watch.picture())
            return
        ended = threading.Event()
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: ended.set())
        reader = threading.Thread(target=watch.read, args=(ended,), name="monitor-states")
        reader.start()
        try:
            with Live(watch.picture(), console=screen, screen=False, auto_refresh=False, transient=False) as live:
                while not ended.wait(REFRESH_S):
                    live.update(watch.picture(), refresh=True)
                live.update(watch.picture(), refresh=True)
        finally:
            states.stop()
            reader.join()


class _Watch:
    """What is known, read by one thread and shown by another."""

    def __init__(
        self,
        states: "States",
        room: "Room",
        surgeries: "dict[str, Surgery]",
        notes: list[str],
        ends: "Ends | None",
    ) -> None:
        from pipeline.room import Pulse

        self._states, self._room, self._surgeries, self._notes = states, room, surgeries, notes
        self._pulse, self._ends = Pulse(), ends

    def read(self, ended: threading.Event) -> None:
        """Take states until the pipeline has ended or they are stopped."""
        for state in self._states:
            self._room.take(state)
        ended.set()

    def picture(self) -> "RenderableType":
        """The room now."""
        from commands.monitor_view import picture

        if self._ends is not None and (lacks := self._ends.read()):
            self._notes.append(f"Ends of sessions are not shown: {lacks}.")
            self._ends = None
        self._pulse.take(self._states.status)
        status, now = self._pulse.status, time.time()
        assert status is not None  # the subscription stands
        sessions = self._room.sessions(status.sessions_open, now)
        return picture(status, self._pulse.silent_s, sessions, self._surgeries, now, self._notes)
