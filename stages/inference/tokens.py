"""A prompt as tokens. Used by the inference process.

Words that were spoken in the room are data: only the template's own markers are read as control tokens. Each part
and each line of the transcript is tokenised by itself, so that a transcript which grew has the same tokens as
before and some more, and what was computed for them is used again.
"""

from collections.abc import Callable
from typing import NamedTuple

from pipeline.errors import OrstateError
from pipeline.messages import Prompt

Tokenize = Callable[[str, bool], list[int]]  # text, whether control tokens are read in it

CUT_LINES = 8  # a transcript is cut back in steps, or each new line would move all that follow

_TURN_BEGINS = "<start_of_turn>user\n"
_TURN_ENDS = "<end_of_turn>\n<start_of_turn>model\n"


class Tokens(NamedTuple):
    """A whole prompt. The first `shared` tokens are those of every prompt about the surgery.

    The first `lasting` are those of the session's next prompt too, unless its transcript is cut back.
    """

    prompt: list[int]
    shared: int
    lasting: int


class PromptTokens:
    """Lays out the prompts of one model."""

    def __init__(self, tokenize: Tokenize, begin: list[int], room: int) -> None:
        """`begin`: tokens that every prompt begins with. `room`: most tokens of a prompt."""
        self._tokenize = tokenize
        self._begin = begin
        self._room = room
        self._heads: dict[tuple[str, str], list[int]] = {}  # by form and text; one or two for each surgery

    def lay_out(self, prompt: Prompt) -> Tokens:
        """The tokens of a prompt.

        The chat form is Gemma's: it has no system turn, so the system part opens the user's
        (source: tokenizer.chat_template of Gemma 3). If there are too many tokens, the transcript's oldest lines are
        left out, and of a single line too long its beginning.

        Raises OrstateError if there is no room for the rest of the prompt.
        """
        head = self._head(prompt)
        if prompt.form == "chat":
            end = self._tokenize(prompt.tail.rstrip(), False) + self._tokenize(_TURN_ENDS, True)
        else:
            end = self._tokenize(prompt.tail, False)
        free = self._room - len(head) - len(end)
        if free < 0:
            raise OrstateError(
                f"the prompt takes {len(head) + len(end)} tokens without any transcript, there is room for "
                f"{self._room}; raise inference.context or lower inference.max_tokens"
            )
        lines = [self._tokenize(line, False) for line in prompt.transcript.splitlines(keepends=True)]
        lasting = head + _newest(lines, free)
        return Tokens(lasting + end, len(head), len(lasting))

    def _head(self, prompt: Prompt) -> list[int]:
        key = (prompt.form, prompt.shared)
        if key not in self._heads:
            if prompt.form == "chat":
                head = self._tokenize(_TURN_BEGINS, True) + self._tokenize(f"{prompt.shared.strip()}\n\n", False)
            else:
                head = self._tokenize(prompt.shared, False)
            self._heads[key] = self._begin + head
        return self._heads[key]


def _newest(lines: list[list[int]], free: int) -> list[int]:
    size = sum(map(len, lines))
    while size > free and len(lines) > 1:
        cut = min(CUT_LINES, len(lines) - 1)
        size -= sum(map(len, lines[:cut]))
        lines = lines[cut:]
    return [token for line in lines for token in line][max(0, size - free) :]
