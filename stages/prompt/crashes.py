"""Requests at which the inference process died: known again when they come under another id. Prompt process.

A client that gets no good answer asks again, and each time costs every session a restart of the model.
"""

from collections import OrderedDict
from hashlib import blake2b
from typing import Final, Literal, NamedTuple

from pipeline.messages import Prompt

REMEMBERED: Final = 256
FORGOTTEN_NS: Final = 600 * 1_000_000_000  # the cause may be gone: a full memory, another model

Suspicion = Literal["none", "suspect", "guilty"]


class _Crash(NamedTuple):
    suspicion: Suspicion
    at_ns: int


class Crashes:
    """The newest ones, by a digest of what the model was asked."""

    def __init__(self) -> None:
        self._crashes: OrderedDict[bytes, _Crash] = OrderedDict()

    def note(self, prompt: Prompt, *, alone: bool, now_ns: int) -> None:
        """The process died while it worked on that. `alone`: on nothing else, so it is guilty."""
        key = _digest(prompt)
        self._crashes[key] = _Crash("guilty" if alone else "suspect", now_ns)
        self._crashes.move_to_end(key)
        if len(self._crashes) > REMEMBERED:
            self._crashes.popitem(last=False)

    def of(self, prompt: Prompt, now_ns: int) -> Suspicion:
        """What is known of a question like that: a suspect is to be asked alone, a guilty one not at all."""
        crash = self._crashes.get(_digest(prompt))
        return "none" if crash is None or now_ns - crash.at_ns > FORGOTTEN_NS else crash.suspicion


def _digest(prompt: Prompt) -> bytes:
    return blake2b(prompt.text().encode(), digest_size=16).digest()
