"""A prompt as tokens. Used by the inference process.

Words that were spoken in the room are data: only the template's own markers are read as control tokens. Each part
and each line of the transcript is tokenised by itself, so that a transcript which grew has the same tokens as
before and some more, and what was computed for them is used again.
"""

from collections.abc import Callable

from pipeline.errors import OrstateError
from pipeline.messages import Prompt

Tokenize = Callable[[str, bool], list[int]]  # text, whether control tokens are read in it

CUT_LINES = 8  # a transcript is cut back in steps, or each new line would move all that follow

_TURN_BEGINS = "<start_of_turn>user\n"
_TURN_ENDS = "<end_of_turn>\n<start_of_turn>model\n"


def lay_out(prompt: Prompt, tokenize: Tokenize, room: int) -> list[int]:
    """The tokens of a prompt, at most `room`, without a beginning-of-sequence token.

    The chat form is Gemma's: it has no system turn, so the system part opens the user's
    (source: tokenizer.chat_template of Gemma 3). If there are too many tokens, the transcript's oldest lines are
    left out, and of a single line too long its beginning.

    Raises OrstateError if there is no room for the rest of the prompt.
    """
    if prompt.form == "chat":
        head = tokenize(_TURN_BEGINS, True) + tokenize(f"{prompt.shared.strip()}\n\n", False)
        end = tokenize(prompt.tail.rstrip(), False) + tokenize(_TURN_ENDS, True)
    else:
        head, end = tokenize(prompt.shared, False), tokenize(prompt.tail, False)
    free = room - len(head) - len(end)
    if free < 0:
        raise OrstateError(
            f"the prompt takes {len(head) + len(end)} tokens without any transcript, there is room for {room}; "
            "raise inference.context or lower inference.max_tokens"
        )
    lines = [tokenize(line, False) for line in prompt.transcript.splitlines(keepends=True)]
    return head + _newest(lines, free) + end


def _newest(lines: list[list[int]], free: int) -> list[int]:
    size = sum(map(len, lines))
    while size > free and len(lines) > 1:
        cut = min(CUT_LINES, len(lines) - 1)
        size -= sum(map(len, lines[:cut]))
        lines = lines[cut:]
    return [token for line in lines for token in line][max(0, size - free) :]
