"""Whatever a model would rather say: what a guide lets through is an answer of that surgery in that form."""

import random

import jsonschema_rs
import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from llguidance import LLTokenizer

from pipeline.config import resolve
from pipeline.errors import OrstateError
from stages.answer import AnswerForm, answer_schema
from stages.inference.grammar import Grammars, Guide
from stages.inference.sampling import Sampler, Sampling, Words
from stages.surgery import load_surgeries

BYTES = LLTokenizer("byte")  # a token for each byte
SURGERIES = load_surgeries(resolve("configs/machines"))
QUOTE, BACKSLASH = ord('"'), ord("\\")
FORMS: tuple[AnswerForm, ...] = ("small", "full")


@pytest.fixture(scope="module")
def grammars() -> Grammars:
    return Grammars(BYTES, BYTES.vocab_size, SURGERIES)


def tokens_of(words: Words) -> list[int]:
    return np.flatnonzero(np.unpackbits(words.view(np.uint8), bitorder="little")).tolist()


def take(guide: Guide, text: str) -> None:
    for token in text.encode():
        guide.take(token)


def write(guide: Guide, seed: int, ends: float) -> str:
    """An answer by random logits. `ends`: how much likelier texts and lists are to end than to go on."""
    random = np.random.default_rng(seed)
    sampler = Sampler(Sampling(temperature=1.0, top_p=1.0, seed=seed))
    written = guide.forced()
    while not guide.over:
        logits = random.normal(0.0, 3.0, BYTES.vocab_size).astype(np.float32)
        logits[128:] -= 30.0  # else most of a text would be pieces of characters
        logits[[QUOTE, ord("]")]] += ends
        logits[BACKSLASH] -= ends
        written.append(sampler.choose(logits, guide.allowed()).token)
        guide.take(written[-1])
        if not guide.over:
            written += guide.forced()
    assert guide.whole
    return BYTES.decode_bytes(written).decode()


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("surgery", SURGERIES)
@given(seed=st.integers(0, 2**32), ends=st.sampled_from([0.0, 4.0]))
def test_random_weights_write_whole_answers_that_keep_the_schema(
    grammars: Grammars, surgery: str, form: AnswerForm, seed: int, ends: float
) -> None:
    text = write(grammars.guide(surgery, form), seed, ends)
    jsonschema_rs.validate(answer_schema(SURGERIES[surgery], form), msgspec.json.decode(text))


@given(seed=st.integers(0, 2**32))
def test_only_what_the_mask_allows_can_be_taken(grammars: Grammars, seed: int) -> None:
    choose = random.Random(seed)
    guide = grammars.guide("PCNL", "small")
    guide.forced()
    for _ in range(choose.randrange(20)):
        guide.take(choose.choice(tokens_of(guide.allowed())))
        guide.forced()
    allowed = tokens_of(guide.allowed())
    forbidden = choose.choice(sorted(set(range(128)) - set(allowed)))
    with pytest.raises(OrstateError, match=f"token {forbidden}"):
        guide.take(forbidden)


def test_what_must_follow_is_known_without_a_choice_and_is_taken(grammars: Grammars) -> None:
    guide = grammars.guide("PCNL", "small")
    assert BYTES.decode_str(guide.forced()) == '{"on":['
    assert guide.forced() == []
    assert tokens_of(guide.allowed()) == [QUOTE, ord("]")]
    guide.take(ord("]"))
    assert BYTES.decode_str(guide.forced()) == ',"off":['
    assert not guide.whole


def test_an_answer_is_over_once_it_is_whole(grammars: Grammars) -> None:
    guide = grammars.guide("PCNL", "small")
    take(guide, '{"on":[],"off":[],"phase":"Phase1","next":"Phase2","why":"","tips":[]')
    assert (guide.whole, guide.over) == (False, False)
    take(guide, "}")
    assert (guide.whole, guide.over) == (True, True)


def test_each_answer_begins_anew(grammars: Grammars) -> None:
    take(grammars.guide("PCNL", "small"), '{"on":["M0')
    assert BYTES.decode_str(grammars.guide("PCNL", "small").forced()) == '{"on":['


def test_answers_that_are_written_at_the_same_time_do_not_disturb_each_other(grammars: Grammars) -> None:
    first, second = grammars.guide("PCNL", "small"), grammars.guide("PCNL", "full")
    take(first, '{"on":["M01')
    second.forced()
    second.allowed()
    assert tokens_of(first.allowed()) == [QUOTE]


@pytest.mark.parametrize("text", ['{"on":["M7', '{"on": ', '{"of', '{"on":[],"off":[],"phase":"Phase7', "x"])
def test_an_id_of_no_machine_a_space_or_another_order_is_not_let_through(grammars: Grammars, text: str) -> None:
    guide = grammars.guide("PCNL", "small")
    take(guide, text[:-1])
    with pytest.raises(OrstateError, match=r"^token \d+: .*doesn't satisfy the grammar.*$") as caught:
        take(guide, text[-1])
    assert "\n" not in str(caught.value)


def test_machines_of_another_surgery_have_the_names_of_this_one(grammars: Grammars) -> None:
    for surgery in SURGERIES.values():
        guide = grammars.guide(surgery.surgery, "full")
        take(guide, '{"metadata":{"phase":"Phase1","next_phase":"Phase2","reasoning":""},"machines":{"0":[],"1":[]}')
        take(guide, ',"details":{"toggles":[{"machine_id":"M05","name":')
        take(guide, f'"{surgery.machines[4].name}"')


def test_a_surgery_without_a_dictionary_is_named_with_the_known_ones(grammars: Grammars) -> None:
    with pytest.raises(OrstateError, match=r"'Appendectomy' is not known .* knows .*PCNL"):
        grammars.guide("Appendectomy", "small")
