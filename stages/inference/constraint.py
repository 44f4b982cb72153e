"""What a model may write: a grammar for each surgery and form of answer. Used by the inference process.

llguidance computes the mask of one step over 262,144 tokens in 0.3 ms; the library's own grammar sampler took
35 ms when it came first, and made decoding 2.5 times as slow.
"""

from collections.abc import Mapping
from typing import Any

import llguidance.numpy
import numpy as np
import numpy.typing as npt
from llguidance import LLMatcher, LLTokenizer

from pipeline.errors import OrstateError
from stages.answer import AnswerForm, answer_schema
from stages.surgery import Surgery


class Constraints:
    """The grammars of all surgeries, each made when it is first asked for."""

    def __init__(self, tokenizer: LLTokenizer, surgeries: Mapping[str, Surgery]) -> None:
        self._tokenizer = tokenizer
        self._surgeries = surgeries
        self._fresh: dict[tuple[str, AnswerForm], LLMatcher] = {}

    def matcher(self, surgery: str, form: AnswerForm) -> LLMatcher:
        """A matcher at the beginning of an answer. Raises OrstateError for a surgery without a dictionary."""
        if surgery not in self._surgeries:
            known = ", ".join(self._surgeries)
            raise OrstateError(f"surgery {surgery!r} is not known to the inference stage; it knows {known}")
        key = (surgery, form)
        if key not in self._fresh:
            schema = answer_schema(self._surgeries[surgery], form)
            grammar = LLMatcher.grammar_from_json_schema(schema, overrides={"whitespace_flexible": False})
            matcher = LLMatcher(self._tokenizer, grammar)
            check(matcher, f"grammar of {surgery}, form {form}")
            self._fresh[key] = matcher
        return self._fresh[key].deep_copy()


class Mask:
    """Takes from the scores of one step all tokens that the grammar does not allow.

    It is called from C, where an exception would be printed and lost: it is kept in `error` instead, and whoever
    takes the token must look.
    """

    def __init__(self, matcher: LLMatcher, vocabulary: int) -> None:
        self.error: Exception | None = None
        self._matcher = matcher
        self._bits = llguidance.numpy.allocate_token_bitmask(1, vocabulary)

    def __call__(self, _: npt.NDArray[np.intc], scores: npt.NDArray[np.single]) -> npt.NDArray[np.single]:
        """`scores`: one for each token of the vocabulary, in the order of their ids; changed in place."""
        try:
            llguidance.numpy.fill_next_token_bitmask(self._matcher, self._bits)
            allowed: npt.NDArray[Any] = np.unpackbits(self._bits[0].view(np.uint8), bitorder="little")
            scores[allowed[: len(scores)] == 0] = -np.inf
        except Exception as error:
            self.error = error
        return scores


def check(matcher: LLMatcher, what: str) -> None:
    """Raises OrstateError if the matcher, which never raises by itself, is in error."""
    if matcher.is_error():
        raise OrstateError(f"{what}: {matcher.get_error()}")
