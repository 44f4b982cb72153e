"""Engines as a spawned process makes them. Each loads llama.cpp only there: the benchmark's own process never does, and
every engine finds the environment as the user has set it.
"""

import multiprocessing
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

from benchmarks.bounds import Bounds
from benchmarks.served import Peer, Schemas
from models.manifest import Manifest
from stages.surgery import Surgery


def ours(manifest: Manifest, settings: Sequence[str], bounds: Bounds | None = None) -> Peer:
    from benchmarks.peers.ours import Ours

    return Ours(manifest, settings, bounds)


def sequential(path: Path, schemas: Schemas, context: int, threads: int, max_tokens: int) -> Peer:
    from benchmarks.peers.sequential import sequential as open_peer

    return open_peer(path, schemas, context, threads, max_tokens)


def earlier(path: Path, surgeries: dict[str, Surgery], context: int, threads: int, bounds: Bounds | None) -> Peer:
    from benchmarks.peers.earlier import earlier as open_peer

    return open_peer(path, surgeries, context, threads, bounds)


def count_tokens(path: Path, texts: set[str]) -> dict[str, int]:
    """How many tokens each text has in the vocabulary of that model; counted in a process that ends with it."""
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        return pool.submit(_count_tokens, path, sorted(texts)).result()


def _count_tokens(path: Path, texts: Sequence[str]) -> dict[str, int]:
    from benchmarks.peers.library import count_tokens

    return count_tokens(path, texts)
