"""A past for stages under test: messages from a list instead of a journal."""

from collections.abc import Iterable, Iterator
from contextlib import suppress

from pipeline.errors import Rejected
from pipeline.messages import Message
from pipeline.restore import Journalled
from pipeline.stage import Stage


class Remembered:
    """Implements pipeline.restore.Past. Every message was journalled at the same Unix time."""

    def __init__(self, messages: Iterable[Message], wall_s: float = 1_700_000_000.0) -> None:
        self._messages = list(messages)
        self._wall_s = wall_s

    def read(self, *kinds: type[Message]) -> Iterator[Journalled]:
        return (Journalled(self._wall_s, message) for message in self._messages if isinstance(message, kinds))


def live_again(stage: Stage, messages: Iterable[Message], wall_s: float = 1_700_000_000.0) -> list[Message]:
    """Restore a stage as the loop of its process does; all that it sends."""
    restored = stage.restore(Remembered(messages, wall_s))
    sent = list(restored.sent)
    for message in restored.inputs:
        with suppress(Rejected):
            sent += stage.handle(message)
    return sent
