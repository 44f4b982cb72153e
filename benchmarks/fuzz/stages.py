"""Every message from outside through the prompt and parse stages, with a model that may write anything.

The stages live on from input to input, as in a process: what they would keep of each would be seen as a leak.
"""

from pathlib import Path
from typing import Final

from hypothesis import strategies as st

from benchmarks.fuzz.answers import TARGET as ANSWERS
from benchmarks.fuzz.room import ANSWER, LATER, LOST, MODEL, Room
from benchmarks.fuzz.target import Check, Target
from benchmarks.fuzz.values import SAID, as_json, values
from pipeline.codec import AnyInput
from pipeline.config import load_config
from pipeline.messages import LLMRequest
from stages.prompt.site_words import load_vocabulary

ALIVE: Final = 5000  # inputs that one pair of stages lives through


def make(folder: Path) -> Check:
    vocabulary = load_vocabulary(load_config().prompt)
    rooms = [Room(vocabulary)]
    taken = [0]

    def check(data: bytes) -> None:
        """Lines of a room: only Rejected is raised, every state is valid, and nothing is left when all is over."""
        taken[0] += 1
        if taken[0] % ALIVE == 0:
            rooms[0] = Room(vocabulary, apply=taken[0] % (2 * ALIVE) == 0)
        room = rooms[0]
        try:
            for line in data.split(b"\n"):
                room.take(line)
            room.end()
        except Exception:
            rooms[0] = Room(vocabulary)  # the next input is not to fail for what this one left
            raise

    return check


_START: Final = b'{"type":"SessionStart","session":"a","seq":0,"t":0,"surgery":"PCNL"}'


def _line(at: int, text: str) -> bytes:
    return as_json({"type": "Transcript", "session": "a", "seq": at, "t": float(at), "text": text})


_MESSAGES: Final = values(AnyInput | LLMRequest).map(as_json)
_SPOKEN: Final = st.builds(_line, st.integers(1, 9), st.lists(st.sampled_from(SAID), min_size=1).map(" ".join))
_AROUND: Final = st.one_of(
    ANSWERS.structured.map(lambda text: ANSWER + text.replace(b"\n", b" ")),
    st.sampled_from((ANSWER, ANSWER + b"{}", LOST + b"why", LATER + b"130")),
    st.sampled_from(("loading", "ready", "unavailable gone", "down")).map(lambda state: MODEL + state.encode()),
)
_LINES: Final = st.lists(st.one_of(_MESSAGES, _MESSAGES, _SPOKEN, _AROUND), min_size=1, max_size=7)

TARGET: Final = Target("stages", make, _LINES.map(lambda lines: b"\n".join((_START, *lines))))
