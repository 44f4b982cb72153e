"""Lines that a person types or a program pipes, as messages of one session. Runs in the command's process."""

import time
from collections.abc import Callable, Iterable, Iterator
from typing import Annotated

import msgspec
from msgspec import Meta

from pipeline.errors import OrstateError
from pipeline.messages import Input, SessionEnd, SessionStart, Transcript

PUBLISHER = "publish"


class Spoken(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A typed line that is JSON: what was said, when (default: now), and by whom."""

    text: str
    t: Annotated[float, Meta(ge=0.0, le=1e7)] | None = None
    speaker: str = "unknown"


def typed(
    lines: Iterable[str],
    session: str,
    surgery: str,
    tell: Callable[[str], None],
    clock: Callable[[], float] = time.monotonic,
) -> Iterator[Input]:
    """A start, a transcript for each line as it comes, and an end behind the last one.

    A line is what is said, `Speaker: what is said`, or the JSON of a `Spoken`. `t` is the time since the start by
    `clock` (seconds), or what the JSON says; it never runs backwards. A line that is no message is told, not sent.
    Raises OrstateError if the session or the surgery is no name.
    """
    begin, seq, t = clock(), 1, 0.0
    try:
        yield _valid(SessionStart(session=session, seq=seq, t=t, surgery=surgery, publisher=PUBLISHER))
    except msgspec.ValidationError as error:
        raise OrstateError(f"--session {session!r}, --surgery {surgery!r}: {error}") from error
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            spoken = _spoken(line.strip())
            at = max(t, clock() - begin if spoken.t is None else spoken.t)
            message = _valid(
                Transcript(
                    session=session, seq=seq + 1, t=at, text=spoken.text, speaker=spoken.speaker, publisher=PUBLISHER
                )
            )
        except (msgspec.DecodeError, UnicodeError, ValueError, RecursionError) as error:
            tell(f"line {number} is not sent: {error}")
            continue
        seq, t = seq + 1, at
        yield message
    yield SessionEnd(session=session, seq=seq + 1, t=t, publisher=PUBLISHER)


def _spoken(line: str) -> Spoken:
    if line.startswith("{"):
        return msgspec.json.decode(line, type=Spoken)
    speaker, colon, text = line.partition(":")
    if colon and text.strip() and speaker.replace(" ", "").isalpha() and len(speaker.split()) <= 2:
        return Spoken(text=text.strip(), speaker=speaker)
    return Spoken(text=line)


def _valid(message: Input) -> Input:
    """The message, its bounds checked as its receiver will check them: msgspec checks them when it decodes."""
    return msgspec.json.decode(msgspec.json.encode(message), type=type(message))
