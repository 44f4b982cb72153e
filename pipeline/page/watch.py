"""Subscribes to the pipeline and keeps the room up to date, however often the pipeline comes and goes.

Runs in the page's process. States and status come as to any client. What was said is not published, so that a
subscriber learns no more words than it must: the page reads it from the run's journal, which the status names, as the
user whom the journal belongs to. There it finds the past too when it is started late. From a pipeline on another
machine, or one that keeps no journal, it shows only the words that states name.
"""

import asyncio
import contextlib
from collections.abc import Callable
from pathlib import Path
from typing import Final

from pipeline import endpoints
from pipeline.aio import AsyncClient, AsyncStates
from pipeline.codec import INPUT_TYPES, decode_input
from pipeline.errors import OrstateError, Rejected
from pipeline.journal import Record
from pipeline.messages import Input, LLMRequest, Status, SurgeryState
from pipeline.page.room import Room
from pipeline.tail import Tail
from pipeline.wire_format import read_output

LOOK_S: Final = 0.1  # for a new status, and for lines that move no state
SILENCE_S: Final = 10.0  # without a status the pipeline is called anew
RETRY_S: Final = 1.0
ANSWER_S: Final = 5.0
MOST_BYTES: Final = 1 << 24  # of an input
BURST: Final = 500  # records of the past between two looks at the browsers
SPOKEN: Final = frozenset(kind.__name__ for kind in INPUT_TYPES)
STATE: Final = SurgeryState.__name__


class Watch:
    """The page's own connection to a pipeline. `tell` hears when it is found and when it is lost."""

    def __init__(self, room: Room, endpoint: str, keys: Path | None, tell: Callable[[str], None]) -> None:
        self._room, self._endpoint, self._keys, self._tell = room, endpoint, keys, tell
        self._client: AsyncClient | None = None
        self._inputs: Tail | None = None
        self._run = 0.0  # when the run began of which the room knows

    async def run(self) -> None:
        """Until cancelled."""
        lost = ""
        while True:
            try:
                async with AsyncClient(self._endpoint, ANSWER_S, self._keys) as client:
                    states = await client.states()
                    self._client, lost = client, ""
                    self._tell(f"page: subscribed to {self._endpoint}")
                    await self._follow(states)
                    why = "the pipeline has ended"
            except OrstateError as error:
                why = str(error)
            finally:
                self._client = None
            self._room.told(None, why)
            if why != lost:
                self._tell(f"page: {why}; trying again each {RETRY_S:g} s")
            lost = why
            await asyncio.sleep(RETRY_S)

    async def publish(self, message: Input) -> None:
        """Send an input, and wait until it is in the journal. Raises OrstateError if the pipeline is not there."""
        if self._client is None:
            raise OrstateError(f"{self._endpoint}: the pipeline is not there; nothing was sent")
        await self._client.publish(message)
        await self._client.flush(ANSWER_S)
        if self._inputs is None:
            self._room.hear(message)

    async def _follow(self, states: AsyncStates) -> None:
        status = states.status
        assert status is not None  # the subscription stands
        if status.started_at != self._run:
            self._close_journal()
            self._room.clear()
            self._run = status.started_at
        await self._read_journal(status)
        self._room.told(status)
        reading = asyncio.create_task(self._read(states), name="page-states")
        looking = asyncio.create_task(self._look(states, status), name="page-status")
        try:
            await asyncio.wait((reading, looking), return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (reading, looking):
                task.cancel()
            results = await asyncio.gather(reading, looking, return_exceptions=True)
        for result in results:
            if isinstance(result, Exception):
                raise result

    async def _read(self, states: AsyncStates) -> None:
        async for state in states:
            self._hear()  # the line that a state stands on is in the journal before it
            self._room.take(state)
            await asyncio.sleep(0)  # states that wait in the socket must not keep the browsers waiting

    async def _look(self, states: AsyncStates, status: Status) -> None:
        silent_s = 0.0
        while silent_s < SILENCE_S:
            await asyncio.sleep(LOOK_S)
            silent_s += LOOK_S
            self._hear()
            if states.status is not None and states.status is not status:
                status, silent_s = states.status, 0.0
                if status.started_at != self._run:  # another one at the same endpoint
                    return
                self._room.told(status)
        raise OrstateError(f"{self._endpoint}: no word from the pipeline for {SILENCE_S:g} s")

    # --- the journal -------------------------------------------------------------------------------------

    async def _read_journal(self, status: Status) -> None:
        """Take what the run's journal has: first what was said, then the states, so that words find their lines."""
        folder = Path(status.journal)
        if not status.journal or endpoints.is_open(self._endpoint) or not folder.is_dir():
            return
        self._inputs = self._inputs or Tail(folder, "inputs", SPOKEN)
        outputs = Tail(folder, "outputs", (STATE,))
        self._room.spoken = True
        try:
            with contextlib.closing(outputs):
                for tail, take in ((self._inputs, self._input), (outputs, self._state)):
                    for number, record in enumerate(tail.read()):
                        take(record)
                        if number % BURST == 0:
                            await asyncio.sleep(0)
        except OrstateError as error:
            self._without_journal(error)

    def _hear(self) -> None:
        if self._inputs is None:
            return
        try:
            for record in self._inputs.read():
                self._input(record)
        except OrstateError as error:
            self._without_journal(error)

    def _without_journal(self, error: OrstateError) -> None:
        self._tell(f"page: what is said is not shown: {error}")
        self._room.spoken = False
        self._close_journal()

    def _close_journal(self) -> None:
        if self._inputs is not None:
            self._inputs.close()
            self._inputs = None

    def _input(self, record: Record) -> None:
        try:
            message = decode_input([record.payload], MOST_BYTES)
        except Rejected:  # of another version
            return
        if not isinstance(message, LLMRequest):
            self._room.hear(message)

    def _state(self, record: Record) -> None:
        state = read_output([record.topic.encode(), record.payload])
        if isinstance(state, SurgeryState):
            self._room.take(state)
