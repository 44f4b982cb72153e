"""What a fuzz target is: a reader of something from outside, and what must hold whatever it is given."""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from hypothesis.strategies import SearchStrategy

Check = Callable[[bytes], None]
"""Gives one input to the reader. Returns if it was taken or refused as it should be; raises anything else for a
fault."""


class Unvalidated(AssertionError):
    """Something came out that does not keep its contract."""


class Target(NamedTuple):
    """One reader. `structured` are inputs that are nearly valid, as bytes of the form that the reader takes."""

    name: str
    make: Callable[[Path], Check]  # with an empty folder for files of its own
    structured: SearchStrategy[bytes]
