"""A hop between two processes: shared memory carries bytes, ZeroMQ carries ownership. Used by stage processes.

    sender                                                     receiver
      take free slots, write payloads, send      -- D -->        copy, check, hand to the stage
      slot is free again                         <-- R --        work is handed on: release
      (re)started, or the receiver was           -- A -->        take all that has arrived, then say what is held
      send again what is not held                <-- H --
      nothing more will come                     -- E -->        the input has ended

What reaches a receiver before the first A was sent to a process before it: it is let go, because it comes again
and in order. An H repeats the number of its A, so that the answer of a process that is gone is not taken for
the answer of the next.

A slot is a credit: a sender without a free one keeps messages in its backlog and its stage stops reading. What is
not released stays in the sender, so a hop is at-least-once; a slot's generation only grows, so the receiver
knows a repetition. Each queue has one sender and one receiver. Both sockets are DEALERs: the receiver binds, and
releases come back on the connection that the payloads went out on.

What is sent, and what is released, goes out in bundles: each message of ZeroMQ wakes two threads.
"""

from collections import deque
from collections.abc import Callable
from typing import NamedTuple
from zlib import crc32

import msgspec
import zmq

from pipeline.errors import UNDECODABLE
from pipeline.ring import Overwritten, Ring
from pipeline.sockets import Socket, has_message, receive_frame_now


class _Said(msgspec.Struct, frozen=True, array_like=True):
    """One frame between the two ends: an array whose first element says what it is."""


class Filled(msgspec.Struct, frozen=True, array_like=True):
    """A payload in its slot, or inline; then it takes the slot all the same."""

    slot: int
    generation: int
    length: int
    crc: int
    attempt: int  # 1 for the first time; grows when a job is sent again after it was in a process that died
    inline: bytes | None = None


class Data(_Said, frozen=True, array_like=True, tag="D"):
    """Payloads, in the order they were sent."""

    filled: list[Filled]


class Released(_Said, frozen=True, array_like=True, tag="R"):
    """Slots, each with its generation, that are the sender's again."""

    slots: list[tuple[int, int]]


class Attach(_Said, frozen=True, array_like=True, tag="A"):
    """The sender asks what the receiver holds; `number` counts the questions."""

    number: int


class Held(_Said, frozen=True, array_like=True, tag="H"):
    """The answer to the question of that number: slots, each with its generation."""

    number: int
    slots: list[tuple[int, int]]


class End(_Said, frozen=True, array_like=True, tag="E"):
    """Nothing more will come."""


class Delivery(NamedTuple):
    """A payload as it arrived; the slot is released by `Receiver.release`."""

    payload: bytes
    slot: int
    generation: int
    attempt: int


class _Sent(NamedTuple):
    payload: bytes
    key: str
    filled: Filled


BUNDLE = 16  # payloads in one message at most: the receiver is to begin while the sender goes on

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Data | Released | Attach | Held | End).decode


class Sender:
    """The sending end. `key` names a message, so that it can be found again after its receiver died."""

    def __init__(self, name: str, socket: Socket, ring: Ring, inline_bytes: int) -> None:
        self.name = name
        self.socket = socket
        self._ring = ring
        self._inline_bytes = inline_bytes
        self._free: deque[int] = deque()
        self._sent: dict[int, _Sent] = {}
        self._foreign: dict[int, int] = {}  # slots that the receiver holds of a sender before this one
        self._waiting: deque[tuple[bytes, str, int]] = deque()
        self._bundle: list[Filled] = []
        self._attached = False
        self._asked = 0
        self._ended = False
        self.messages = 0

    @property
    def backlog(self) -> int:
        """Messages that wait for a free slot."""
        return len(self._waiting)

    @property
    def depth(self) -> int:
        """Messages that are sent and not yet released."""
        return len(self._sent)

    def attach(self) -> None:
        """Ask the receiver what it holds; called at the start, and again when the receiver was restarted."""
        self.detach()
        self.socket.send(_encode(Attach(self._asked)))

    def detach(self) -> None:
        """The receiver died: keep everything until `attach`."""
        self._attached = False
        self._bundle = []
        self._asked += 1  # an answer that is still on its way was the dead one's

    def send(self, payload: bytes, key: str = "", attempt: int = 1) -> None:
        """Send with the next `flush`, or keep until a slot is free. A payload larger than a slot goes inline."""
        if self._waiting or not self._free or not self._attached:
            self._waiting.append((payload, key, attempt))
        else:
            self._fill(payload, key, attempt)

    def flush(self) -> None:
        """Let go what was given to `send`."""
        if self._bundle:
            self.socket.send(_encode(Data(self._bundle)))
            self._bundle = []

    def end(self) -> None:
        """Say that nothing more will come. Call it with an empty backlog."""
        self._ended = True
        self.flush()
        if self._attached:  # else it follows what is sent again
            self.socket.send(_encode(End()))

    def on_readable(self) -> None:
        """Take releases and answers to `attach`, then send what waited."""
        while (frame := receive_frame_now(self.socket)) is not None:
            said = _decode(frame)
            if isinstance(said, Released):
                for slot, generation in said.slots:
                    self._released(slot, generation)
            elif isinstance(said, Held) and said.number == self._asked:
                self._resume(dict(said.slots))
        while self._waiting and self._free and self._attached:
            self._fill(*self._waiting.popleft())
        self.flush()

    def unreleased(self) -> dict[str, bytes]:
        """What was sent and not released, by key."""
        return {sent.key: sent.payload for sent in self._sent.values()}

    def suspect(
        self, keys: tuple[str, ...], is_late: Callable[[bytes], bool] = lambda _: False
    ) -> list[tuple[bytes, int]]:
        """The receiver died while it worked on `keys`: each is tried once more, as attempt 2.

        Returns those that were at their second attempt already, or are too late for one, each with its number of
        attempts; they are taken out and not sent again.
        """
        lost = []
        for slot, sent in list(self._sent.items()):
            if sent.key not in keys:
                continue
            if sent.filled.attempt >= 2 or is_late(sent.payload):
                lost.append((sent.payload, sent.filled.attempt))
                del self._sent[slot]
                self._free.append(slot)
            else:
                again = msgspec.structs.replace(sent.filled, attempt=sent.filled.attempt + 1)
                self._sent[slot] = sent._replace(filled=again)
        return lost

    def _fill(self, payload: bytes, key: str, attempt: int) -> None:
        slot = self._free.popleft()
        inline = len(payload) <= self._inline_bytes or len(payload) > self._ring.slot_bytes
        generation = self._ring.write(slot, b"" if inline else payload)
        filled = Filled(slot, generation, len(payload), crc32(payload), attempt, payload if inline else None)
        self._sent[slot] = _Sent(payload, key, filled)
        self.messages += 1
        self._bundle.append(filled)
        if len(self._bundle) >= BUNDLE:
            self.flush()

    def _released(self, slot: int, generation: int) -> None:
        if slot in self._sent and self._sent[slot].filled.generation == generation:
            del self._sent[slot]
            self._free.append(slot)
        elif self._foreign.get(slot) == generation:
            del self._foreign[slot]
            self._free.append(slot)

    def _resume(self, held: dict[int, int]) -> None:
        """The receiver answered: it holds `held`; the rest of what is unreleased never reached it."""
        self._attached = True
        ours = {slot: sent.filled.generation for slot, sent in self._sent.items()}
        self._foreign = {slot: gen for slot, gen in held.items() if slot not in ours}
        self._free = deque(s for s in range(self._ring.slots) if s not in ours and s not in self._foreign)
        lacking = [sent.filled for slot, sent in self._sent.items() if held.get(slot) != sent.filled.generation]
        for begin in range(0, len(lacking), BUNDLE):  # in the order they were sent
            self.socket.send(_encode(Data(lacking[begin : begin + BUNDLE])))
        if self._ended:
            self.socket.send(_encode(End()))


class Receiver:
    """The receiving end."""

    def __init__(self, name: str, socket: Socket, ring: Ring) -> None:
        self.name = name
        self.socket = socket
        self._ring = ring
        self._held: dict[int, int] = {}
        self._newest: dict[int, int] = {}
        self._freed: list[tuple[int, int]] = []
        self._taken: deque[Delivery] = deque()  # held, and not yet handed to the stage
        self._attached = False
        self._asked: int | None = None  # the number of a question that is not answered yet
        self._end_came = False
        self.repeated = 0
        self.damaged = 0

    @property
    def slots(self) -> int:
        """The slots of the queue."""
        return self._ring.slots

    @property
    def freed(self) -> int:
        """Slots that are released and not yet given back."""
        return len(self._freed)

    @property
    def depth(self) -> int:
        """Messages that are taken and not yet released."""
        return len(self._held)

    @property
    def ended(self) -> bool:
        """Whether nothing more will come."""
        return self._end_came and not self._taken

    @property
    def waiting(self) -> bool:
        """Whether `receive` has a payload without a look at the socket."""
        return bool(self._taken)

    def receive(self) -> Delivery | None:
        """The next payload, or None if there is none now. Never the same one twice."""
        while not self._taken and (frame := receive_frame_now(self.socket)) is not None:
            try:
                said = _decode(frame)
            except UNDECODABLE:
                self.damaged += 1
                continue
            if isinstance(said, Attach):
                self._attached, self._asked = True, said.number
            elif not self._attached:
                continue
            elif isinstance(said, Data):
                for filled in said.filled:
                    self._take(filled)
            elif isinstance(said, End):
                self._end_came = True
            # A dead sender's messages may lie behind the question of the next: they are held too
            if self._asked is not None and not has_message(self.socket):
                self._answer(self._asked)
        return self._taken.popleft() if self._taken else None

    def release(self, slot: int, generation: int) -> None:
        """The work is handed on: the slot is the sender's again, with the next `flush`."""
        if self._held.get(slot) == generation:
            del self._held[slot]
            self._freed.append((slot, generation))

    def flush(self) -> None:
        """Tell the sender what was released."""
        if self._freed:
            self._say(Released(self._freed))
            self._freed = []

    def _take(self, filled: Filled) -> None:
        slot, generation = filled.slot, filled.generation
        if not 0 <= slot < self._ring.slots:
            self.damaged += 1
            return
        if self._newest.get(slot, -1) >= generation:
            self.repeated += 1
            return
        self._newest[slot] = generation
        self._held[slot] = generation
        try:
            inline = filled.inline
            payload = self._ring.read(slot, generation, filled.length) if inline is None else inline
        except Overwritten:
            payload = b""
        if crc32(payload) != filled.crc:
            self.damaged += 1
            self.release(slot, generation)
            return
        self._taken.append(Delivery(payload, slot, generation, filled.attempt))

    def _answer(self, number: int) -> None:
        self.flush()
        self._say(Held(number, list(self._held.items())))
        self._asked = None

    def _say(self, said: Released | Held) -> None:
        try:
            self.socket.send(_encode(said), zmq.NOBLOCK)
        except zmq.Again:
            # Nobody is connected: the sender died. The next one asks what is held before it sends.
            return
