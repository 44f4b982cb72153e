"""The clients for asyncio: `AsyncSidecar` launches the pipeline, `AsyncClient` talks to one that runs.

The same calls as in pipeline/client.py, awaited; one client serves many tasks, answers find their requests by id.

    async with AsyncSidecar(model="stub") as sidecar:
        states = await sidecar.states("or1")
        await sidecar.publish(SessionStart(session="or1", seq=1, t=0.0, surgery="PCNL"))
        async for state in states: ...
"""

import asyncio
from collections import deque
from collections.abc import Callable, Iterable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import IO, Any, Self

import zmq
import zmq.asyncio
from numpy.typing import NDArray

from pipeline import curve, endpoints
from pipeline.client import CLOSE_S, GRACE_S, PUBLISH_HIGH_WATER, RETRY_S, keys_of, with_frame
from pipeline.codec import encode
from pipeline.confirmed import Unconfirmed
from pipeline.errors import OrstateError
from pipeline.frames import FrameWriter
from pipeline.launch import Launch
from pipeline.messages import Description, Input, LLMRequest, LLMResponse, Status, SurgeryState
from pipeline.presence import Presence
from pipeline.sending import PROBE_S
from pipeline.sockets import OUTPUT_BYTES, make_socket
from pipeline.wire_format import DESCRIBE, StateReader, frames_of, read_answer, read_output


class AsyncStates:
    """An asynchronous iterator over published states; see `pipeline.client.States`."""

    def __init__(self, context: Any, endpoint: str, session: str | None, keys: curve.Keys | None = None) -> None:
        self._reader = StateReader(session)
        self._early: deque[SurgeryState] = deque()
        self._socket: Any = make_socket(context, zmq.SUB, high_water_mark=PUBLISH_HIGH_WATER, max_bytes=OUTPUT_BYTES)
        for topic in self._reader.topics:
            self._socket.setsockopt(zmq.SUBSCRIBE, topic)
        endpoints.reach(self._socket, endpoint, "states", keys)

    @property
    def gaps(self) -> int:
        """States that ZeroMQ dropped because this subscriber was too slow."""
        return self._reader.gaps

    @property
    def status(self) -> Status | None:
        """The newest status of the pipeline."""
        return self._reader.status

    async def wait_status(self, timeout_s: float) -> Status:
        """Wait for the next status; see `pipeline.client.States.wait_status`. Raises OrstateError."""
        status, _ = await self._until_status(timeout_s)
        return status

    async def stand(self, timeout_s: float) -> None:
        """Wait until the subscription stands; see `pipeline.client.States.stand`. Raises OrstateError."""
        self._early.extend((await self._until_status(timeout_s))[1])

    async def _until_status(self, timeout_s: float) -> tuple[Status, list[SurgeryState]]:
        before, states = self._reader.status, []
        try:
            async with asyncio.timeout(timeout_s):
                while self._reader.status is None or self._reader.status is before:
                    if state := self._reader.take(await self._socket.recv_multipart()):
                        states.append(state)
        except TimeoutError as error:
            raise OrstateError(f"no status from the pipeline within {timeout_s:g} s; does it run?") from error
        return self._reader.status, states

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> SurgeryState:
        if self._early:
            return self._early.popleft()
        while not self._reader.finished:
            if state := self._reader.take(await self._socket.recv_multipart()):
                return state
        raise StopAsyncIteration


class AsyncClient:
    """Talks to a running pipeline: `requests` is its request endpoint, the rest it tells itself.

    `keys`: see `pipeline.client`. Raises ConfigError for keys that cannot be used.
    """

    def __init__(self, requests: str, timeout_s: float = 10.0, keys: Path | str | None = None) -> None:
        self._keys = curve.load_keys(Path(keys).expanduser(), "keys") if keys else None
        self._endpoint = requests
        self._timeout_s = timeout_s
        self._context: Any = zmq.asyncio.Context()
        self._frames: FrameWriter | None = None
        self._waiting: dict[str, asyncio.Future[LLMResponse]] = {}
        self._unconfirmed = Unconfirmed()
        self._confirmed = asyncio.Condition()
        self._tasks: list[asyncio.Task[None]] = []
        self._requests: Any = None
        self._inputs: Any = None

    async def connect(self) -> Self:
        """Find the endpoints. Once more is no error. Raises what `pipeline.client.Client` does."""
        if self._tasks:
            return self
        self._requests = make_socket(
            self._context, zmq.DEALER, high_water_mark=PUBLISH_HIGH_WATER, max_bytes=OUTPUT_BYTES
        )
        self._endpoint = endpoints.seen_from("", self._endpoint)
        endpoints.reach(self._requests, self._endpoint, "requests", self._keys)
        await self._requests.send_multipart(DESCRIBE)
        if not await self._requests.poll(int(1000 * self._timeout_s)):
            raise endpoints.unanswered(self._endpoint, self._timeout_s, self._keys)
        answer = read_answer(await self._requests.recv_multipart())
        if not isinstance(answer, Description):
            raise OrstateError(f"{self._endpoint}: a {type(answer).__name__} where a Description was due")
        self.description = answer
        self._inputs = make_socket(self._context, zmq.DEALER, high_water_mark=PUBLISH_HIGH_WATER)
        self._presence = Presence(self._context, self._inputs)
        endpoints.reach(self._inputs, self._endpoint, "requests", self._keys)
        self._tasks = [
            asyncio.create_task(self._listen(), name="orstate-answers"),
            asyncio.create_task(self._hear(), name="orstate-confirmations"),
        ]
        return self

    async def publish(self, message: Input, frame: NDArray[Any] | None = None) -> None:
        """Send one input; waits while the pipeline is behind. See `pipeline.client.Client.publish`."""
        if frame is not None:
            if self._frames is None:
                self._frames = FrameWriter(self.description.frames)
            message = with_frame(message, frame, self._frames)
        if self._unconfirmed and self._presence.absent_s() > self._timeout_s:
            raise endpoints.unanswered(self._endpoint, self._timeout_s, self._keys)
        await self._wait(lambda: not self._unconfirmed.full, self._timeout_s)
        await self._inputs.send_multipart(self._unconfirmed.add(encode(message)))

    async def flush(self, timeout_s: float | None = None) -> None:
        """Wait until all that was published is in the pipeline's journal; see `pipeline.client.Client.flush`."""
        await self._wait(lambda: not self._unconfirmed, self._timeout_s if timeout_s is None else timeout_s)

    async def submit(self, request: LLMRequest) -> LLMResponse:
        """Ask and wait for the one answer. Raises OrstateError if none comes until past its deadline."""
        answer = self._waiting.setdefault(request.request_id, asyncio.get_running_loop().create_future())
        deadline = request.deadline_ms / 1000 + GRACE_S
        try:
            async with asyncio.timeout(deadline):
                while True:
                    await self._requests.send_multipart(frames_of(request))
                    with suppress(TimeoutError):
                        return await asyncio.wait_for(asyncio.shield(answer), RETRY_S)
        except TimeoutError as error:
            raise OrstateError(f"no answer to request {request.request_id!r}: does the pipeline run?") from error
        finally:
            self._waiting.pop(request.request_id, None)

    async def states(self, session: str | None = None) -> AsyncStates:
        """The states of a session, or of all, from now on."""
        endpoint = endpoints.seen_from(self._endpoint, self.description.states)
        states = AsyncStates(self._context, endpoint, session, self._keys)
        await states.stand(self._timeout_s)
        return states

    async def status(self) -> Status:
        """How the pipeline does: its newest status. Raises OrstateError if it tells none."""
        endpoint = endpoints.seen_from(self._endpoint, self.description.states)
        socket: Any = make_socket(self._context, zmq.SUB, max_bytes=OUTPUT_BYTES)
        with socket:
            socket.setsockopt(zmq.SUBSCRIBE, b"status")
            endpoints.reach(socket, endpoint, "states", self._keys)
            if not await socket.poll(int(1000 * self._timeout_s)):
                raise endpoints.unanswered(endpoint, self._timeout_s, self._keys)
            status = read_output(await socket.recv_multipart())
        assert isinstance(status, Status)
        return status

    async def close(self) -> None:
        """Let everything go. Once more is no error."""
        if self._tasks:
            with suppress(OrstateError):
                await self.flush(CLOSE_S)
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)
            self._tasks = []
            self._presence.close()
        if self._frames is not None:
            self._frames.close()
        self._context.destroy(linger=2000)

    async def __aenter__(self) -> Self:
        try:
            return await self.connect()
        except BaseException:
            await self.close()
            raise

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def _listen(self) -> None:
        while True:
            answer = read_answer(await self._requests.recv_multipart())
            if isinstance(answer, LLMResponse):
                waiting = self._waiting.get(answer.request_id)
                if waiting is not None and not waiting.done():
                    waiting.set_result(answer)

    async def _hear(self) -> None:
        """Take confirmations, send again what is asked for, and ask if nothing comes."""
        while True:
            if await self._inputs.poll(int(1000 * PROBE_S)):
                said = (await self._inputs.recv_multipart())[-1]
                again = self._unconfirmed.heard(said)
            else:
                asks = self._unconfirmed and self._presence.absent_s() == 0.0
                again = [self._unconfirmed.oldest()] if asks else []
            for frames in again:
                await self._inputs.send_multipart(frames)
            async with self._confirmed:
                self._confirmed.notify_all()

    async def _wait(self, condition: Callable[[], bool], timeout_s: float) -> None:
        """Until the condition holds. Raises OrstateError if nobody has been there for `timeout_s`."""
        async with self._confirmed:
            while not condition():
                if self._presence.absent_s() > timeout_s:
                    raise endpoints.unanswered(self._endpoint, timeout_s, self._keys)
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._confirmed.wait(), min(PROBE_S, timeout_s))


class AsyncSidecar(AsyncClient):
    """Launches a pipeline and talks to it; the arguments are those of `pipeline.client.Sidecar`."""

    def __init__(
        self,
        config: Path | None = None,
        model: str | None = None,
        settings: Iterable[str] = (),
        stderr: IO[bytes] | int | None = None,
        timeout_s: float = 60.0,
        resume: Path | None = None,
    ) -> None:
        super().__init__("", timeout_s)
        self._config, self._settings = config, tuple(settings)
        self._start = partial(Launch, config, model, tuple(settings), stderr, resume=resume)
        self.launch: Launch | None = None

    async def connect(self) -> Self:
        """Launch and wait until messages are taken. Once more is no error. Raises OrstateError."""
        if self.launch is None:
            if keys := keys_of(self._config, self._settings):
                self._keys = curve.load_keys(keys, "security.keys")
            self.launch = self._start()
            self._endpoint = (await asyncio.to_thread(self.launch.wait_ready, self._timeout_s)).requests
        return await super().connect()

    async def wait_model(self, timeout_s: float = 300.0) -> bool:
        """Wait until the model is loaded; False if it cannot be."""
        if self.launch is None:
            raise OrstateError("the sidecar is not started: use `async with AsyncSidecar() as sidecar`")
        return (await asyncio.to_thread(self.launch.wait_model, timeout_s)).state == "ready"

    async def close(self) -> None:
        """Let it finish its work, stop it, and let everything go. Once more is no error."""
        if self.launch is not None:
            if self._tasks and not self.launch.over:
                with suppress(OrstateError):
                    await self.flush()
            await asyncio.to_thread(self.launch.stop)
        await super().close()
