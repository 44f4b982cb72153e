"""What an instance owns while it runs: run directory, shared memory, journal folder. Held by the supervisor."""

import os
import secrets
from pathlib import Path

from pipeline.board import Board
from pipeline.config import Config, resolve
from pipeline.journal import check_resumable, numbered_files, run_folder
from pipeline.ring import Ring
from pipeline.rundir import RunDirectory, run_directory
from pipeline.segment import Segment, remove_orphans, segment_name
from pipeline.wiring import QUEUES, Place


class Resources:
    """All of it, or nothing: a failure in the middle removes what was made. Raises OrstateError.

    `resume`: the journal folder of a run that ended, which is gone on with.
    """

    def __init__(self, config: Config, resume: Path | None = None) -> None:
        self._segments: list[Segment] = []
        self._directory = RunDirectory(run_directory(config))
        try:
            remove_orphans()
            self.board = Board.create(self._name("board"))
            self._segments.append(self.board.segment)
            self.place = self._make(config, resume)
        except BaseException:
            self.remove()
            raise

    def remove(self) -> None:
        """Give everything back but the journal. Once more is no error."""
        for segment in self._segments:
            segment.unlink()
            segment.close()
        self._segments.clear()
        self._directory.remove()

    def _make(self, config: Config, resume: Path | None) -> Place:
        if resume is not None:
            check_resumable(resume)
        names = {"board": self.board.segment.name}
        for queue in QUEUES:
            names[queue] = self._ring(queue, config.queues.slots, config.queues.slot_bytes)
        frames = config.frames
        rings = tuple(self._ring(f"frames{n}", frames.slots, frames.slot_bytes) for n in range(frames.rings))
        return Place(
            config=config,
            directory=str(self._directory.path),
            control=self._directory.ipc("control"),
            segments=names,
            frames=rings,
            journal=_journal(config, resume),
            incarnation=_incarnations(resume) if resume is not None else 0,
        )

    def _ring(self, part: str, slots: int, slot_bytes: int) -> str:
        segment = Ring.create(self._name(part), slots, slot_bytes).segment
        self._segments.append(segment)
        return segment.name

    def _name(self, part: str) -> str:
        return segment_name(os.getpid(), f"{secrets.token_hex(4)}-{part}")


def _journal(config: Config, resume: Path | None) -> str:
    if resume is not None:
        return str(resume.absolute())
    return str(run_folder(resolve(config.run.journal))) if config.run.journal else ""


def _incarnations(folder: Path) -> int:
    """How often processes of a run were started, by the files that each begins."""
    return max(len(numbered_files(folder, part)) for part in ("inputs", "outputs"))
