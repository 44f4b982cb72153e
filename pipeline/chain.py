"""The chain of a journal: each record's hash covers what it says, its place and times, and the record before.

Written by the prompt and parse processes with each flush, as a record of its own topic, so that other readers of MCAP
see the payloads as they were received. `pipeline/verify.py` finds what was changed, cut out or put in.
"""

from collections.abc import Iterator
from hashlib import blake2b
from typing import Final

import msgspec

from pipeline.errors import OrstateError

TOPIC: Final = "Chain"
HASH_BYTES: Final = 16


class Links(msgspec.Struct, frozen=True, kw_only=True):
    """The hashes of the records since the links before.

    `first`: the number of the first of them in its file, from 1. `before`: in a file's first links, the last hash of
    the file that this one goes on from. `last`: the file was closed by its writer; nothing comes behind.
    """

    first: int
    hashes: bytes
    before: bytes = b""
    last: bool = False

    def split(self) -> Iterator[bytes]:
        """The hashes one by one. Raises OrstateError for a length that is none."""
        if len(self.hashes) % HASH_BYTES:
            raise OrstateError(f"links of {len(self.hashes)} bytes, which is no multiple of {HASH_BYTES}")
        for at in range(0, len(self.hashes), HASH_BYTES):
            yield self.hashes[at : at + HASH_BYTES]


class Chain:
    """The hashes of one file. `part`: the file's name without its ending; `before`: the last hash of the one before."""

    def __init__(self, part: str, before: bytes = b"") -> None:
        self.last = blake2b(before + part.encode(), digest_size=HASH_BYTES).digest()
        self.records = 0
        self._before = before
        self._pending: list[bytes] = []

    def add(self, topic: str, payload: bytes, wall_ns: int, message_ns: int, sequence: int) -> bytes:
        """Take a record in; its hash. Lengths are hashed too, so that no byte can move from one field to the next."""
        head = f"{len(topic)} {topic} {len(payload)} {wall_ns} {message_ns} {sequence} ".encode()
        self.last = blake2b(self.last + head + payload, digest_size=HASH_BYTES).digest()
        self.records += 1
        self._pending.append(self.last)
        return self.last

    def links(self, *, last: bool = False) -> bytes:
        """What is to be written now, or b"" if nothing came since."""
        if not self._pending and not last:
            return b""
        first = self.records - len(self._pending) + 1
        before = self._before if first == 1 else b""
        links = Links(first=first, hashes=b"".join(self._pending), before=before, last=last)
        self._pending.clear()
        return msgspec.msgpack.encode(links)
