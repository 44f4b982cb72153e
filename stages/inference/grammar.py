"""What a model may write: a grammar for each surgery and form of answer. Used by the inference process.

llguidance computes the mask of one step over 262,144 tokens in 0.3 ms; the library's own grammar sampler took
35 ms when it came first, and made decoding 2.5 times as slow.
"""

from collections.abc import Mapping
from typing import Protocol

import llguidance.numpy
from llguidance import LLMatcher, LLTokenizer

from pipeline.errors import OrstateError
from stages.answer import AnswerForm, answer_schema
from stages.inference.sampling import Words
from stages.surgery import Surgery


class Guide(Protocol):
    """Leads one answer from its beginning to its end."""

    @property
    def whole(self) -> bool:
        """Whether what was taken is a whole answer."""

    @property
    def over(self) -> bool:
        """Whether nothing can follow."""

    def forced(self) -> list[int]:
        """The tokens that must follow, taken already; none where there is a choice."""

    def allowed(self) -> Words:
        """The tokens that may follow, as bits; valid until the next call of anything here."""

    def follow(self, tokens: list[int]) -> list[bool]:
        """Of as many of the tokens as may follow: whether there is a choice behind each. None is taken."""

    def take(self, token: int) -> None:
        """The next token. Raises OrstateError for one that may not follow."""


class Grammars:
    """The grammars of all surgeries, each made when it is first asked for."""

    def __init__(self, tokenizer: LLTokenizer, vocabulary: int, surgeries: Mapping[str, Surgery]) -> None:
        """`vocabulary`: how many tokens the model has."""
        self._tokenizer = tokenizer
        self._bits = llguidance.numpy.allocate_token_bitmask(1, vocabulary)
        self._surgeries = surgeries
        self._fresh: dict[tuple[str, AnswerForm], LLMatcher] = {}

    def guide(self, surgery: str, form: AnswerForm) -> Guide:
        """A guide at the beginning of an answer. Raises OrstateError for a surgery without a dictionary."""
        if surgery not in self._surgeries:
            known = ", ".join(self._surgeries)
            raise OrstateError(f"surgery {surgery!r} is not known to the inference stage; it knows {known}")
        key = (surgery, form)
        if key not in self._fresh:
            schema = answer_schema(self._surgeries[surgery], form)
            grammar = LLMatcher.grammar_from_json_schema(schema, overrides={"whitespace_flexible": False})
            matcher = LLMatcher(self._tokenizer, grammar)
            _check(matcher, f"grammar of {surgery}, form {form}")
            self._fresh[key] = matcher
        return _Matcher(self._fresh[key].deep_copy(), self._bits)


class _Matcher:
    """A guide by llguidance, whose matchers never raise by themselves. All share one array of bits."""

    def __init__(self, matcher: LLMatcher, bits: Words) -> None:
        self._matcher = matcher
        self._bits = bits

    @property
    def whole(self) -> bool:
        return self._matcher.is_accepting()

    @property
    def over(self) -> bool:
        return self._matcher.is_stopped()

    def forced(self) -> list[int]:
        tokens = self._matcher.compute_ff_tokens()
        if tokens:
            self._matcher.consume_tokens(tokens)
            _check(self._matcher, "forced tokens")
        return tokens

    def allowed(self) -> Words:
        llguidance.numpy.fill_next_token_bitmask(self._matcher, self._bits)
        _check(self._matcher, "the mask of a step")
        words: Words = self._bits[0]
        return words

    def follow(self, tokens: list[int]) -> list[bool]:
        matcher = self._matcher.deep_copy()
        choices: list[bool] = []
        for token in tokens[: matcher.validate_tokens(tokens)]:
            matcher.consume_token(token)
            choices.append(not (matcher.is_stopped() or matcher.compute_ff_tokens()))
        return choices

    def take(self, token: int) -> None:
        self._matcher.consume_token(token)
        _check(self._matcher, f"token {token}")


def _check(matcher: LLMatcher, what: str) -> None:
    if matcher.is_error():
        raise OrstateError(f"{what}: {matcher.get_error().splitlines()[0]}")  # the rest is the whole grammar
