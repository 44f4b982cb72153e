"""The page on which stages say what they are doing."""

import os
from collections.abc import Iterator

import pytest

from pipeline.board import Board
from pipeline.control import STAGES
from pipeline.segment import Segment, segment_name


@pytest.fixture
def board() -> Iterator[Board]:
    made = Board.create(segment_name(os.getpid(), "board-test"))
    yield made
    made.segment.close()
    made.segment.unlink()


def test_on_a_new_board_nobody_has_begun_anything(board: Board) -> None:
    assert [board.read(stage) for stage in STAGES] == [(0, ())] * 3


def test_each_stage_has_a_place_of_its_own(board: Board) -> None:
    for number, stage in enumerate(STAGES, 1):
        board.mark(stage, number, [f"job{number}", "x"])
    assert [board.read(stage) for stage in STAGES] == [(n, (f"job{n}", "x")) for n in (1, 2, 3)]


def test_waiting_replaces_the_work(board: Board) -> None:
    board.mark("parse", 5, ["a long name", "another"])
    board.mark("parse", 6)
    assert board.read("parse") == (6, ())


def test_the_names_of_a_full_batch_of_the_longest_jobs_are_kept_whole(board: Board) -> None:
    work = tuple(f"{n:02}".ljust(100, "x") for n in range(64))
    board.mark("inference", 1, work)
    assert board.read("inference") == (1, work)


def test_work_that_is_too_long_is_cut_and_spoils_no_other_place(board: Board) -> None:
    board.mark("parse", 3, ["parse"])
    board.mark("prompt", 1, ["prompt"])
    board.mark("inference", 2, ["ä" * 100_000])
    since, work = board.read("inference")
    assert since == 2
    assert work[0].startswith("äää")
    assert (board.read("prompt"), board.read("parse")) == ((1, ("prompt",)), (3, ("parse",)))


def test_another_process_reads_what_was_marked(board: Board) -> None:
    board.mark("prompt", 9, ["Transcript"])
    attached = Board(Segment.attach(board.segment.name))
    assert attached.read("prompt") == (9, ("Transcript",))
    attached.segment.close()
