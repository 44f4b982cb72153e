"""Goes through a journal and its chain, and tells what is not as it was written. Used by the command `verify`.

What an unkeyed chain cannot show: a journal that somebody wrote anew from its first changed record on. Whoever wants
to show that keeps the last hash of a run elsewhere, and compares it with what `verify` prints.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

import msgspec

from pipeline.chain import TOPIC, Chain, Links
from pipeline.errors import UNDECODABLE, OrstateError
from pipeline.journal import LOSS_TOPIC, Loss, Record, is_whole, journal_files, read_all
from pipeline.progress import Progress, Reading, silent

PARTS: Final = ("inputs", "outputs")


class Verified(msgspec.Struct, frozen=True, kw_only=True):
    """What one file is like. `unsealed`: records behind the last link, as a killed process leaves them; `lost`: those
    that it says itself it lacks, because they could not be written.
    """

    file: str
    records: int
    lost: int = 0
    closed: bool
    unsealed: int
    last_hash: str
    faults: tuple[str, ...]

    def sentence(self) -> str:
        """The finding for a person, in a line or a few."""
        end = "closed" if self.closed else f"its process was killed, {self.unsealed} records behind the last link"
        lost = f", {self.lost} more could not be written" if self.lost else ""
        faults = "".join(f"\n    {fault}" for fault in self.faults)
        verdict = "FAIL" if self.faults else "ok  "
        return f"{verdict} {self.file}: {self.records} records{lost}, {end}, {self.last_hash}{faults}"


def verify(path: Path, progress: Progress = silent) -> list[Verified]:
    """The findings on a file, or on all files of a run's folder. Raises OrstateError if there is none."""
    if path.is_file():
        return [_file(path, None, Reading([path], progress))]
    reading = Reading(journal_files(path), progress)
    found = [finding for part in PARTS for finding in _part(path, part, reading)]
    if not found:
        raise OrstateError(f"{path}: no journal: it has no {' or '.join(f'{part}-N.mcap' for part in PARTS)}")
    return found


def _part(folder: Path, part: str, reading: Reading) -> Iterator[Verified]:
    before, due = b"", 1
    for number, file in sorted((number, file) for file in folder.glob(f"{part}-*.mcap") if (number := _number(file))):
        if number != due:
            fault = f"{part}-{due}.mcap is missing: this one has a higher number"
            yield Verified(file=file.name, records=0, closed=False, unsealed=0, last_hash="", faults=(fault,))
        if file.is_symlink() or not file.is_file():
            fault = "is a link, or no file: no run has made it"
            yield Verified(file=file.name, records=0, closed=False, unsealed=0, last_hash="", faults=(fault,))
            continue
        finding = _file(file, before, reading)
        before, due = bytes.fromhex(finding.last_hash), number + 1
        yield finding


def _number(file: Path) -> int:
    """The number of a run's file; 0 for one that no run has made."""
    number = file.stem.rpartition("-")[2]
    return int(number) if number.isdecimal() and len(number) < 10 else 0


def _file(path: Path, before: bytes | None, reading: Reading) -> Verified:
    """`before`: the last hash of the file before, which the first link must repeat; None: it is not looked at."""
    if not path.stat().st_size:  # of a process that was killed while its disk was full
        return Verified(file=path.name, records=0, closed=False, unsealed=0, last_hash="", faults=())
    walk = _Walk(path.stem, before)
    try:
        for record in reading.of(read_all(path)):
            walk.take(record)
    except OrstateError as error:
        walk.faults.append(str(error))
    whole = is_whole(path)
    if whole and not walk.closed:
        walk.faults.append("the file has an end, but its chain has none: records were cut from its end")
    if walk.pending and (whole or walk.closed):
        walk.faults.append(f"{len(walk.pending)} records behind the end of the chain: they were put in")
    return Verified(
        file=path.name,
        records=walk.records,
        lost=walk.lost,
        closed=walk.closed,
        unsealed=len(walk.pending),
        last_hash=walk.sealed.hex(),
        faults=tuple(walk.faults),
    )


class _Walk:
    """The way along one file."""

    def __init__(self, part: str, before: bytes | None) -> None:
        self.faults: list[str] = []
        self.records = 0
        self.lost = 0
        self.closed = False
        self.sealed = b""  # the last hash that the file says
        self.pending: list[tuple[Record, bytes]] = []  # records without a link yet, and their hashes
        self._part = part
        self._before = before
        self._chain: Chain | None = None
        self._waiting: list[Record] = []  # records before the first link, which says what the chain begins with
        self._lost = False  # behind the first fault of the chain the next ones say nothing

    def take(self, record: Record) -> None:
        """One record of the file, in its order."""
        if record.topic == TOPIC:
            self._link(record.payload)
            return
        self.records += 1
        if record.topic == LOSS_TOPIC:
            self._lack(record.payload)
        if self._chain is None:
            self._waiting.append(record)
            self.pending.append((record, b""))
        else:
            self._add(record)

    def _lack(self, payload: bytes) -> None:
        try:
            self.lost += msgspec.msgpack.decode(payload, type=Loss).records
        except msgspec.DecodeError as error:
            self._fault(f"record {self.records}: a loss that cannot be read: {error}")

    def _add(self, record: Record) -> None:
        assert self._chain is not None
        self.pending.append((record, self._chain.add(*_said(record))))

    def _link(self, payload: bytes) -> None:
        try:
            links = msgspec.msgpack.decode(payload, type=Links)
            hashes = list(links.split())
        except (*UNDECODABLE, OrstateError) as error:
            self._fault(f"behind record {self.records}: links that cannot be read: {error}")
            return
        if self._chain is None:
            self._begin(links)
        if self.closed:
            self._fault(f"behind record {self.records}: links behind the end of the chain")
        if links.first != self.records - len(self.pending) + 1 or len(hashes) != len(self.pending):
            count, wanted = len(self.pending), len(hashes)
            what = "cut out" if count < wanted else "put in" if count > wanted else "moved"
            self._fault(f"before record {self.records + 1}: {count} records, the chain has {wanted}: some were {what}")
        else:
            for number, ((record, found), said) in enumerate(zip(self.pending, hashes, strict=True), links.first):
                if found != said:
                    self._fault(
                        f"record {number} ({record.topic}, sequence {record.sequence}): not as it was written, or "
                        "something before it"
                    )
                    break
        self.sealed = hashes[-1] if hashes else self.sealed
        self.closed |= links.last
        self.pending.clear()

    def _begin(self, links: Links) -> None:
        self._chain = Chain(self._part, links.before)
        if self._before is not None and links.before != self._before:
            self._fault("its chain does not go on from the file before it: that one was cut, changed or exchanged")
        self.pending.clear()
        for record in self._waiting:
            self._add(record)
        self._waiting.clear()

    def _fault(self, text: str) -> None:
        if not self._lost:
            self.faults.append(text)
        self._lost = True


def _said(record: Record) -> tuple[str, bytes, int, int, int]:
    return record.topic, record.payload, record.wall_ns, record.message_ns, record.sequence
