import random
from typing import Any, Literal

import jsonschema_rs
import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from llguidance import LLTokenizer
from stages.inference.grammar import Constraints, Mask, check

from pipeline.errors import OrstateError
from stages.answer import answer_schema
from stages.surgery import Surgery

BYTES = LLTokenizer("byte")  # a token for each byte


@pytest.fixture(scope="module")
def constraints(surgery: Surgery) -> Constraints:
    return Constraints(BYTES, {"PCNL": surgery})


@given(seed=st.integers(0, 2**32), form=st.sampled_from(["small", "full"]))
def test_whatever_the_mask_lets_through_keeps_the_schema(
    constraints: Constraints, surgery: Surgery, seed: int, form: Literal["small", "full"]
) -> None:
    choose = random.Random(seed)
    matcher = constraints.matcher("PCNL", form)
    mask = Mask(matcher, BYTES.vocab_size)
    written: list[int] = []
    while not matcher.is_stopped():
        scores = mask(np.empty(0, np.intc), np.zeros(BYTES.vocab_size, np.single))
        allowed = [int(token) for token in np.flatnonzero(scores == 0.0)]
        likely = [token for token in allowed if token < 128] or allowed
        written.append(choose.choice(likely))
        matcher.consume_token(written[-1])
    assert mask.error is None
    check(matcher, "the walk")
    jsonschema_rs.validate(answer_schema(surgery, form), msgspec.json.decode(BYTES.decode_bytes(written)))


def test_each_answer_begins_anew(constraints: Constraints) -> None:
    first = constraints.matcher("PCNL", "small")
    first.consume_tokens(list(b'{"on":['))
    second = constraints.matcher("PCNL", "small")
    assert second.validate_tokens(list(b'{"on":["M01"')) == len(b'{"on":["M01"')


def test_an_id_of_no_machine_is_not_let_through(constraints: Constraints) -> None:
    matcher = constraints.matcher("PCNL", "small")
    assert matcher.validate_tokens(list(b'{"on":["M77"')) == len(b'{"on":["M')


def test_a_surgery_without_a_dictionary_is_named_with_the_known_ones(constraints: Constraints) -> None:
    with pytest.raises(OrstateError, match=r"'Appendectomy' is not known .* knows PCNL"):
        constraints.matcher("Appendectomy", "small")


def test_a_mask_keeps_its_error_because_its_caller_cannot_take_it() -> None:
    broken: Any = object()
    mask = Mask(broken, BYTES.vocab_size)
    mask(np.empty(0, np.intc), np.zeros(BYTES.vocab_size, np.single))
    assert isinstance(mask.error, AttributeError)


def test_a_token_that_the_grammar_forbids_is_an_error(constraints: Constraints) -> None:
    matcher = constraints.matcher("PCNL", "small")
    matcher.consume_token(ord("x"))
    with pytest.raises(OrstateError, match="token 0"):
        check(matcher, "token 0")
