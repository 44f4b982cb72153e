"""The yardstick: three bare ZeroMQ hops between processes, msgspec MessagePack, 3 kB messages."""

import multiprocessing
import shutil
import tempfile
import time
from pathlib import Path

import msgspec
import zmq

PAYLOAD = "x" * 3000
WARM_UP = 200


class Echo(msgspec.Struct, tag=True, frozen=True, kw_only=True):
    """A message of the yardstick."""

    id: int
    t: float
    text: str


class BareHops:
    """Three processes that decode, encode and pass on; started on entry, ended on exit."""

    def __enter__(self) -> "BareHops":
        self._folder = Path(tempfile.mkdtemp(prefix="or-hops-"))
        ends = [f"ipc://{self._folder}/{number}" for number in range(4)]
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self._sink = self._context.socket(zmq.PULL)
        self._sink.bind(ends[3])
        spawn = multiprocessing.get_context("spawn")
        self._processes = [spawn.Process(target=_pass_on, args=(ends[n], ends[n + 1])) for n in range(3)]
        for process in self._processes:
            process.start()
        self._source = self._context.socket(zmq.PUSH)
        self._source.connect(ends[0])
        for _ in range(WARM_UP):
            self.round_trip_s()
        return self

    def __exit__(self, *_: object) -> None:
        self._source.send(msgspec.msgpack.encode(Echo(id=-1, t=0.0, text="")))
        for process in self._processes:
            process.join()
        self._context.destroy(linger=0)
        shutil.rmtree(self._folder)

    def round_trip_s(self) -> float:
        """One message through all hops, in seconds."""
        begin = time.perf_counter()
        self._source.send(msgspec.msgpack.encode(Echo(id=0, t=begin, text=PAYLOAD)))
        msgspec.msgpack.decode(self._sink.recv(), type=Echo)
        return time.perf_counter() - begin


def _pass_on(source: str, target: str) -> None:
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    receiver, sender = context.socket(zmq.PULL), context.socket(zmq.PUSH)
    receiver.bind(source)
    sender.connect(target)
    decoder, encoder = msgspec.msgpack.Decoder(Echo), msgspec.msgpack.Encoder()
    going_on = True
    while going_on:
        message = decoder.decode(receiver.recv())
        sender.send(encoder.encode(message))
        going_on = message.id >= 0
    context.destroy(linger=1000)
