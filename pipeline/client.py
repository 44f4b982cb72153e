"""What a video-analysis process imports: `Sidecar` launches the pipeline, `Client` talks to one that runs.

    with Sidecar(model="stub") as sidecar:
        states = sidecar.states("or1")
        sidecar.publish(SessionStart(session="or1", seq=1, t=0.0, surgery="PCNL"))
        for state in states: ...

A client belongs to one thread; a `States` object may be read in another one. `keys`: the folder that `keys generate`
made for this client, for a pipeline with keys; the sidecar's own client uses those of the configuration.
"""

import time
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

import msgspec
import zmq
from numpy.typing import NDArray

from pipeline import curve, endpoints
from pipeline.codec import encode
from pipeline.config import load_config, resolve
from pipeline.errors import OrstateError
from pipeline.frames import FrameWriter
from pipeline.launch import Launch
from pipeline.messages import Description, Input, LLMRequest, LLMResponse, Observation, Status, SurgeryState
from pipeline.sending import ConfirmedSender
from pipeline.sockets import OUTPUT_BYTES, Context, make_socket, receive_now
from pipeline.wire_format import DESCRIBE, StateReader, frames_of, read_answer, read_output

PUBLISH_HIGH_WATER = 10_000
RETRY_S = 1.0  # without an answer a request is sent again under the same id; the pipeline answers once
STOP_CHECK_MS = 100
STOPPED_MS = 500  # without a state for so long after `stop`, what has arrived is read
CLOSE_S = 2.0  # for what is not confirmed yet
GRACE_S = 5.0  # beyond a request's own deadline, for the way back


def with_frame(message: Input, frame: NDArray[Any], ring: FrameWriter) -> Input:
    """The message with its pixels written to the ring. Raises OrstateError if it is no Observation."""
    if not isinstance(message, Observation):
        raise OrstateError(f"a frame goes with an Observation, not with a {type(message).__name__}")
    return msgspec.structs.replace(message, frame=ring.write(frame))


def keys_of(config: Path | None, settings: tuple[str, ...]) -> Path | None:
    """The keys of the pipeline that was launched with these arguments: who launched it may use them."""
    keys = load_config(config, settings).security.keys
    return resolve(keys) if keys else None


class States:
    """An iterator over published states, subscribed from the moment it is made.

    Iteration ends when the pipeline has finished, after `stop`, or `timeout_s` after the last state.
    """

    def __init__(
        self,
        context: Context,
        endpoint: str,
        session: str | None,
        timeout_s: float | None,
        keys: curve.Keys | None = None,
    ) -> None:
        self._reader = StateReader(session)
        self._timeout_s = timeout_s
        self._stopped = False
        self._early: deque[SurgeryState] = deque()
        self._socket = make_socket(context, zmq.SUB, high_water_mark=PUBLISH_HIGH_WATER, max_bytes=OUTPUT_BYTES)
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

    def wait_status(self, timeout_s: float) -> Status:
        """Wait for the next status; states that come before it are passed over.

        Once the first one came, the subscription stands and nothing is missed. Raises OrstateError.
        """
        status, _ = self._until_status(timeout_s)
        return status

    def stand(self, timeout_s: float) -> None:
        """Wait until the subscription stands; what comes meanwhile is iterated over later. Raises OrstateError."""
        self._early.extend(self._until_status(timeout_s)[1])

    def _until_status(self, timeout_s: float) -> tuple[Status, list[SurgeryState]]:
        deadline, before = time.monotonic() + timeout_s, self._reader.status
        states = []
        while self._reader.status is None or self._reader.status is before:
            if not self._socket.poll(max(0, int(1000 * (deadline - time.monotonic())))):
                raise OrstateError(f"no status from the pipeline within {timeout_s:g} s; does it run?")
            if state := self._reader.take(self._socket.recv_multipart()):
                states.append(state)
        return self._reader.status, states

    def __iter__(self) -> Iterator[SurgeryState]:
        return self

    def __next__(self) -> SurgeryState:
        if self._early:
            return self._early.popleft()
        deadline = None if self._timeout_s is None else time.monotonic() + self._timeout_s
        while not self._reader.finished:
            if frames := receive_now(self._socket):
                if state := self._reader.take(frames):
                    return state
            elif not self._socket.poll(STOPPED_MS if self._stopped else STOP_CHECK_MS) and (
                self._stopped or (deadline is not None and time.monotonic() > deadline)
            ):
                break
        raise StopIteration

    def stop(self) -> None:
        """End the iteration, from any thread, once what has arrived is read."""
        self._stopped = True

    def close(self) -> None:
        """End the subscription. Once more is no error."""
        self._socket.close(linger=0)


class Client:
    """Talks to a running pipeline: `requests` is its request endpoint, the rest it tells itself.

    `absence_s`: how long the pipeline may be away, as when a process of it is started again, before a call gives up
    (default: `timeout_s`). Raises ConfigError if that is no endpoint, OrstateError if nobody answers in `timeout_s`.
    """

    def __init__(
        self,
        requests: str,
        timeout_s: float = 10.0,
        keys: Path | str | None = None,
        absence_s: float | None = None,
    ) -> None:
        self._keys = curve.load_keys(Path(keys).expanduser(), "keys") if keys else None
        self._context: Context = zmq.Context()
        self._open: list[States] = []
        self._frames: FrameWriter | None = None
        self._closed = False
        self._timeout_s = timeout_s
        self._endpoint = endpoints.seen_from("", requests)
        try:
            self._requests = make_socket(
                self._context, zmq.DEALER, high_water_mark=PUBLISH_HIGH_WATER, max_bytes=OUTPUT_BYTES
            )
            endpoints.reach(self._requests, self._endpoint, "requests", self._keys)
            self.description = self._describe()
            patience_s = timeout_s if absence_s is None else absence_s
            self._sender = ConfirmedSender(self._context, self._endpoint, patience_s, self._keys)
        except BaseException:
            self._context.destroy(linger=0)
            raise

    def publish(self, message: Input, frame: NDArray[Any] | None = None) -> None:
        """Send one input; blocks while the pipeline is behind. With a `frame`, its pixels go by shared memory.

        It is kept until the pipeline has it in its journal, and sent again to one that was started again.
        Raises OrstateError if the pipeline is not there, or if the frame does not fit.
        """
        if frame is not None:
            if self._frames is None:
                self._frames = FrameWriter(self.description.frames)
            message = with_frame(message, frame, self._frames)
        self._sender.send(encode(message))

    @property
    def unconfirmed(self) -> int:
        """Messages that were published and are not known to be in the pipeline's journal."""
        return self._sender.unconfirmed

    def flush(self, timeout_s: float | None = None) -> None:
        """Wait until all that was published is in the pipeline's journal.

        Raises OrstateError if the pipeline is not there for `timeout_s` (default: the client's own).
        """
        self._sender.flush(timeout_s)

    def submit(self, request: LLMRequest) -> LLMResponse:
        """Ask and wait for the one answer.

        Raises OrstateError if none comes until past its deadline, or if the pipeline is not there.
        """
        deadline = time.monotonic() + request.deadline_ms / 1000 + GRACE_S
        while (left := deadline - time.monotonic()) > 0:
            self._sender.check()
            self._requests.send_multipart(frames_of(request))
            until = time.monotonic() + min(RETRY_S, left)
            while self._requests.poll(max(0, int(1000 * (until - time.monotonic())))):
                answer = read_answer(self._requests.recv_multipart())
                if isinstance(answer, LLMResponse) and answer.request_id == request.request_id:
                    return answer
        raise OrstateError(f"no answer to request {request.request_id!r}: does the pipeline run?")

    def states(self, session: str | None = None, timeout_s: float | None = None) -> States:
        """The states of a session, or of all, from now on."""
        endpoint = endpoints.seen_from(self._endpoint, self.description.states)
        states = States(self._context, endpoint, session, timeout_s, self._keys)
        self._open.append(states)
        states.stand(self._timeout_s)
        return states

    def status(self) -> Status:
        """How the pipeline does: its newest status. Raises OrstateError if it tells none."""
        endpoint = endpoints.seen_from(self._endpoint, self.description.states)
        with make_socket(self._context, zmq.SUB, max_bytes=OUTPUT_BYTES) as socket:
            socket.setsockopt(zmq.SUBSCRIBE, b"status")
            endpoints.reach(socket, endpoint, "states", self._keys)
            if not socket.poll(int(1000 * self._timeout_s)):
                raise endpoints.unanswered(endpoint, self._timeout_s, self._keys)
            status = read_output(socket.recv_multipart())
        assert isinstance(status, Status)
        return status

    def stop_states(self) -> None:
        """End the iteration over all states, once what has arrived is read."""
        for states in self._open:
            states.stop()

    def close(self) -> None:
        """Let everything go. Once more is no error."""
        if not self._closed:
            self._closed = True
            with suppress(OrstateError):
                self.flush(CLOSE_S)
            self._sender.close()
            if self._frames is not None:
                self._frames.close()
            for states in self._open:
                states.close()
            self._context.destroy(linger=2000)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _describe(self) -> Description:
        self._requests.send_multipart(DESCRIBE)
        if not self._requests.poll(int(1000 * self._timeout_s)):
            raise endpoints.unanswered(self._endpoint, self._timeout_s, self._keys)
        answer = read_answer(self._requests.recv_multipart())
        if not isinstance(answer, Description):
            raise OrstateError(f"{self._endpoint}: a {type(answer).__name__} where a Description was due")
        return answer


class Sidecar:
    """Launches a pipeline and talks to it. Leaving the `with` block lets it finish its work and stops it.

    `config`: a TOML file; `model`: a manifest's name, a path to a GGUF, or `stub`; `settings`: section.key=value.
    `stderr`: where the pipeline's own messages go (default: ours). `resume`: the journal folder of a run that was cut
    off, to go on with.
    """

    def __init__(
        self,
        config: Path | None = None,
        model: str | None = None,
        settings: Iterable[str] = (),
        stderr: IO[bytes] | int | None = None,
        timeout_s: float = 60.0,
        resume: Path | None = None,
    ) -> None:
        self._config, self._settings = config, tuple(settings)
        self._start = partial(Launch, config, model, tuple(settings), stderr, resume=resume)
        self._timeout_s = timeout_s
        self._launch: Launch | None = None
        self._client: Client | None = None

    def start(self) -> Self:
        """Launch and wait until messages are taken. Once more is no error. Raises OrstateError."""
        if self._launch is None:
            keys = keys_of(self._config, self._settings)
            launch = self._start()
            try:
                self._client = Client(launch.wait_ready(self._timeout_s).requests, self._timeout_s, keys)
            except BaseException:
                launch.stop()
                raise
            self._launch = launch
        return self

    def finish(self) -> int:
        """Let it finish its work and end; its exit code. States that came out until then can still be read."""
        with suppress(OrstateError):  # it is gone: its exit code says so
            self.client.flush()
        code = self.launch.stop()
        self.client.stop_states()
        return code

    def stop(self) -> int:
        """Let it finish its work and end, and let everything go; its exit code. Once more is no error."""
        code = 0
        if self._client is not None and self._launch is not None and not self._launch.over:
            with suppress(OrstateError):
                self._client.flush()
        if self._launch is not None:
            code = self._launch.stop()
        if self._client is not None:
            self._client.close()
        self._launch = self._client = None
        return code

    @property
    def launch(self) -> Launch:
        """The launched process and its events."""
        if self._launch is None:
            raise OrstateError("the sidecar is not started: use `with Sidecar() as sidecar`, or start()")
        return self._launch

    @property
    def client(self) -> Client:
        """The connection to it."""
        if self._client is None:
            raise OrstateError("the sidecar is not started: use `with Sidecar() as sidecar`, or start()")
        return self._client

    def wait_model(self, timeout_s: float = 300.0) -> bool:
        """Wait until the model is loaded; False if it cannot be."""
        return self.launch.wait_model(timeout_s).state == "ready"

    def publish(self, message: Input, frame: NDArray[Any] | None = None) -> None:
        """See `Client.publish`."""
        self.client.publish(message, frame)

    def flush(self, timeout_s: float | None = None) -> None:
        """See `Client.flush`."""
        self.client.flush(timeout_s)

    def submit(self, request: LLMRequest) -> LLMResponse:
        """See `Client.submit`."""
        return self.client.submit(request)

    def status(self) -> Status:
        """See `Client.status`."""
        return self.client.status()

    def states(self, session: str | None = None, timeout_s: float | None = None) -> States:
        """See `Client.states`."""
        return self.client.states(session, timeout_s)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
