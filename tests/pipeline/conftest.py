"""Fixtures for tests of the machinery: sockets and shared memory that every test gives back."""

import os
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
import zmq
from loop_bench import Bench
from queue_hop import Hop, MakeHop

from pipeline.segment import folder
from pipeline.sockets import Context, Socket


def _our_segments() -> list[str]:
    """Segments whose names bear the id of this process or of a child of it."""
    family = {str(os.getpid()), *(str(child.pid) for child in psutil.Process().children(recursive=True))}
    return sorted(path.name for path in folder().glob("orstate-*") if path.name.split("-")[1] in family)


@pytest.fixture(autouse=True)
def no_segment_is_left() -> Iterator[None]:
    """A test removes the shared memory that it made."""
    yield
    left = _our_segments()
    for name in left:
        (folder() / name).unlink()
    assert not left, f"left in {folder()}: {left}"


@pytest.fixture
def context() -> Iterator[Context]:
    """A ZeroMQ context; the sockets that a test leaves open are closed with it."""
    made: Context = zmq.Context[Socket]()
    yield made
    made.destroy(linger=0)


@pytest.fixture
def make_hop(context: Context, short_dir: Path) -> Iterator[MakeHop]:
    """Makes queues with both ends in this process."""
    hops: list[Hop] = []

    def make(slots: int = 4, **sizes: int) -> Hop:
        hops.append(Hop(context, short_dir, slots, **sizes))
        return hops[-1]

    yield make
    for hop in hops:
        hop.remove()


@pytest.fixture
def bench(context: Context, short_dir: Path) -> Iterator[Bench]:
    """What a loop and its neighbours need."""
    made = Bench(context, short_dir)
    yield made
    made.remove()
