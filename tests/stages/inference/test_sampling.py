"""Only what is allowed is chosen, the likeliest or by chance, and it is known how likely it was."""

from collections import Counter

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from stages.inference.sampling import FEW_RIVALS, FEW_WORDS, Choice, Sampler, Sampling, Words

Floats = npt.NDArray[np.float32]
Bools = npt.NDArray[np.bool_]
MANY = 32 * FEW_WORDS * 2  # tokens in more words than are looked at one by one


def words(allowed: Bools) -> Words:
    padded = np.zeros(-(-len(allowed) // 32) * 32, bool)
    padded[: len(allowed)] = allowed
    return np.packbits(padded, bitorder="little").view(np.int32)


def sampler(temperature: float = 0.0, top_p: float = 1.0, seed: int = 7) -> Sampler:
    return Sampler(Sampling(temperature=temperature, top_p=top_p, seed=seed))


def exact(logits: Floats, allowed: Bools, token: int) -> float:
    """The logarithmic probability of a token among the allowed ones."""
    scores = logits[allowed & np.isfinite(logits)].astype(np.float64)
    top = scores.max()
    return float(logits[token] - top - np.log(np.exp(scores - top).sum()))


@st.composite
def steps(draw: st.DrawFn) -> tuple[Floats, Bools]:
    """Logits of a small or a large vocabulary with strange ones among them, and a mask of few or of many words."""
    size = draw(st.sampled_from([33, 64, 1000, MANY, MANY + 5]))
    random = np.random.default_rng(draw(st.integers(0, 2**32)))
    logits = random.normal(0.0, draw(st.sampled_from([0.0, 0.1, 3.0, 30.0])), size).astype(np.float32)
    for strange in (-np.inf, np.nan):
        logits[random.random(size) < draw(st.sampled_from([0.0, 0.0, 0.3]))] = strange
    allowed = random.random(size) < draw(st.sampled_from([0.001, 0.03, 0.5, 1.0]))
    allowed[draw(st.integers(0, size - 1))] = True
    return logits, allowed


@given(step=steps(), temperature=st.sampled_from([0.0, 0.1, 1.0, 2.0]), top_p=st.sampled_from([0.1, 0.9, 1.0]))
def test_only_what_is_allowed_and_finite_is_chosen_and_its_probability_is_exact(
    step: tuple[Floats, Bools], temperature: float, top_p: float
) -> None:
    logits, allowed = step
    if not np.isfinite(logits[allowed]).any():
        with pytest.raises(ValueError, match="none of them has a finite logit"):
            sampler(temperature, top_p).choose(logits, words(allowed))
        return
    choice = sampler(temperature, top_p).choose(logits, words(allowed))
    assert allowed[choice.token]
    assert np.isfinite(logits[choice.token])
    assert choice.logprob == pytest.approx(exact(logits, allowed, choice.token), abs=1e-3)
    if temperature == 0.0:
        assert logits[choice.token] == logits[allowed & np.isfinite(logits)].max()


@given(
    logits=arrays.arrays(np.float32, 70, elements=st.floats(-50, 50, width=32)),
    allowed=arrays.arrays(np.bool_, 70).filter(lambda bits: bits.any()),
)
def test_greedy_takes_the_first_of_the_likeliest_allowed_ones(logits: Floats, allowed: Bools) -> None:
    best = int(np.argmax(np.where(allowed, logits, -np.inf)))
    assert sampler().choose(logits, words(allowed)).token == best


@pytest.mark.parametrize("temperature", [0.0, 2.0])
@pytest.mark.parametrize("lead", [0.0, 5.0, 9.9, 15.0, 30.0])
@pytest.mark.parametrize("gap", [11.0, 21.0])
def test_a_likely_token_that_is_not_allowed_makes_no_difference(gap: float, lead: float, temperature: float) -> None:
    """So many unlikely ones weigh as much as the best allowed one, however far the best of all is ahead."""
    size = 262_144
    logits = np.full(size, -gap - lead, np.float32)
    logits[0], logits[1] = 0.0, -lead
    allowed = np.arange(size) > 0
    choice = sampler(temperature).choose(logits, words(allowed))
    assert choice.logprob == pytest.approx(exact(logits, allowed, choice.token), abs=1e-3)
    if temperature:  # token 1 has 0.1 % or 12 % of the weight
        drawn = [sampler(temperature, seed=seed).choose(logits, words(allowed)).token for seed in range(20)]
        assert sum(token == 1 for token in drawn) <= 10


@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_where_few_are_allowed_those_that_are_not_chosen_are_told_with_their_probabilities(temperature: float) -> None:
    logits = np.log(np.array([0.1, 0.4, 0.3, 0.2], np.float32))
    choice = sampler(temperature).choose(logits, words(np.array([True, True, False, True])))
    told = dict(choice.rivals) | {choice.token: choice.logprob}
    assert {token: np.exp(logprob) for token, logprob in told.items()} == pytest.approx({0: 1 / 7, 1: 4 / 7, 3: 2 / 7})
    assert len(choice.rivals) == 2
    many = np.ones(FEW_RIVALS + 1, bool)
    assert sampler(temperature).choose(np.zeros(len(many), np.float32), words(many)).rivals == ()


def test_what_is_not_allowed_is_never_drawn_even_at_the_end_of_the_vocabulary() -> None:
    allowed = np.ones(40, bool)
    logits = np.zeros(37, np.float32)  # the mask is padded: its last bits stand for no token
    drawn = {sampler(2.0, seed=seed).choose(logits, words(allowed)).token for seed in range(300)}
    assert drawn == set(range(37))


def test_the_same_seed_draws_the_same_tokens() -> None:
    logits, allowed = np.random.default_rng(1).normal(size=200).astype(np.float32), words(np.ones(200, bool))
    first, second, other = (sampler(1.0, seed=seed) for seed in (5, 5, 6))
    drawn = [[one.choose(logits, allowed).token for _ in range(50)] for one in (first, second, other)]
    assert drawn[0] == drawn[1] != drawn[2]
    assert len(set(drawn[0])) > 10


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.0])
def test_tokens_are_drawn_as_often_as_the_temperature_says(temperature: float) -> None:
    logits = np.log(np.array([0.5, 0.3, 0.15, 0.05], np.float32))
    weights = np.array([0.5, 0.3, 0.15, 0.05]) ** (1 / temperature)
    one, allowed = sampler(temperature), words(np.ones(4, bool))
    drawn = Counter(one.choose(logits, allowed).token for _ in range(20_000))
    assert [drawn[token] / 20_000 for token in range(4)] == pytest.approx(list(weights / weights.sum()), abs=0.015)


@pytest.mark.parametrize(("top_p", "kept"), [(0.05, 1), (0.49, 1), (0.51, 2), (0.79, 2), (0.81, 3), (1.0, 4)])
def test_top_p_keeps_the_likeliest_that_weigh_so_much_together(top_p: float, kept: int) -> None:
    logits = np.log(np.array([0.15, 0.5, 0.05, 0.3], np.float32))
    one, allowed = sampler(1.0, top_p), words(np.ones(4, bool))
    drawn = {one.choose(logits, allowed).token for _ in range(3000)}
    assert drawn == set([1, 3, 0, 2][:kept])


def test_the_probability_of_a_drawn_token_is_that_at_temperature_1_and_without_top_p() -> None:
    logits = np.log(np.array([0.6, 0.4], np.float32))
    choice = sampler(0.1, 0.5).choose(logits, words(np.ones(2, bool)))
    assert choice[:2] == (0, pytest.approx(np.log(0.6)))


def test_a_token_that_is_forced_by_the_mask_is_certain() -> None:
    logits = np.array([5.0, -30.0, 7.0], np.float32)
    assert sampler().choose(logits, words(np.array([False, True, False]))) == Choice(1, 0.0)


@settings(max_examples=20)
@given(size=st.sampled_from([32, MANY]))
@example(size=1)
def test_nothing_allowed_is_an_error(size: int) -> None:
    with pytest.raises(ValueError, match="0 tokens are allowed"):
        sampler().choose(np.zeros(size, np.float32), words(np.zeros(size, bool)))
