"""The tiny models of the tests are whole models: the library loads them, and a grammar can lead them."""

import warnings
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import jsonschema_rs
import llguidance.numpy
import msgspec
import numpy as np
import numpy.typing as npt
import pytest
from llguidance import LLMatcher
from llguidance.llamacpp import lltokenizer_from_vocab
from plain_llama import llama_cpp, low_level, without_amx
from tiny_models import write_gemma, write_llama, write_qwen

from pipeline.config import resolve
from stages.answer import answer_schema
from stages.surgery import load_surgeries

SPOKEN = '[1.0s] Surgeon: turn the suction on, please.\n\n  {"on":["M01","M12"],"phase":"Phase3"} ~`!@#$%^&*_+=|\\?/'
FOREIGN = "Größe 5 °C, à l’hôpital — 手术室 🙂\t"


def load(path: Path) -> Any:
    with without_amx():
        return llama_cpp.Llama(str(path), n_ctx=1024, n_threads=1, n_threads_batch=1, swa_full=True, verbose=False)


def scores_after(llama: Any, tokens: list[int]) -> npt.NDArray[np.single]:
    """The scores of what comes after these tokens, computed from the beginning."""
    llama.reset()
    llama.eval(tokens)
    return scores(llama)


def scores(llama: Any) -> npt.NDArray[np.single]:
    pointer = low_level.llama_get_logits_ith(llama._ctx.ctx, -1)
    return np.ctypeslib.as_array(pointer, shape=(llama.n_vocab(),)).copy()


@pytest.fixture(scope="module", params=["tiny_gemma", "tiny_llama", "tiny_qwen"])
def llama(request: pytest.FixtureRequest) -> Iterator[Any]:
    """Each of the three, loaded."""
    with closing(load(request.getfixturevalue(request.param))) as loaded:
        yield loaded


def test_what_comes_next_is_finite_and_varied(llama: Any) -> None:
    prompt = llama.tokenize(SPOKEN.encode())
    assert np.isfinite(scores_after(llama, prompt)).all()
    said: list[int] = []
    for _ in range(40):
        assert 1.0 < scores(llama).std() < 10.0
        said.append(int(scores(llama).argmax()))
        llama.eval(said[-1:])
    assert len(set(said)) > 10


def test_what_comes_next_depends_on_what_was_said_first(llama: Any) -> None:
    prompt = llama.tokenize(SPOKEN.encode())
    other = [*prompt[:2], prompt[20], *prompt[3:]]
    assert abs(scores_after(llama, prompt) - scores_after(llama, other)).max() > 0.5


@pytest.mark.parametrize("text", [SPOKEN, FOREIGN, "\r\n\x00\x7f", bytes(range(128)).decode(), "a  b   c\n\n\n\nd"])
def test_any_text_comes_back_as_it_was(llama: Any, text: str) -> None:
    tokens = llama.tokenize(text.encode(), add_bos=True)
    added = b" " if llama.metadata["tokenizer.ggml.add_space_prefix"] == "true" else b""
    assert b"".join(llama.detokenize([token]) for token in tokens) == added + text.encode()


def test_what_is_often_said_is_short(llama: Any) -> None:
    assert len(llama.tokenize(b'{"on":["M01","M02"],"off":["M03"]}', add_bos=False)) < 22
    assert len(llama.tokenize(b"turn the suction and irrigation on please", add_bos=False)) < 20


def test_control_tokens_are_read_only_if_that_is_asked_for(llama: Any) -> None:
    names = {"gemma3": "<end_of_turn>", "llama": "</s>", "qwen2": "<|im_end|>"}
    name = names[llama.metadata["general.architecture"]].encode()
    [control] = llama.tokenize(name, add_bos=False, special=True)
    assert control not in llama.tokenize(name, add_bos=False)
    assert low_level.llama_vocab_is_eog(llama._model.vocab, control)
    assert low_level.llama_vocab_is_control(llama._model.vocab, control)
    assert llama.detokenize([control]) == b""


def test_a_grammar_leads_it_to_a_whole_answer(llama: Any) -> None:
    with warnings.catch_warnings(action="ignore", category=DeprecationWarning):  # one for each token
        tokenizer = lltokenizer_from_vocab(llama._model.vocab)
    schema = answer_schema(load_surgeries(resolve("configs/machines"))["PCNL"], "small")
    grammar = LLMatcher.grammar_from_json_schema(schema, overrides={"whitespace_flexible": False})
    matcher = LLMatcher(tokenizer, grammar)
    bits = llguidance.numpy.allocate_token_bitmask(1, llama.n_vocab())
    answer: list[int] = []
    after = scores_after(llama, llama.tokenize(SPOKEN.encode()))
    while not matcher.is_stopped():
        llguidance.numpy.fill_next_token_bitmask(matcher, bits)
        llguidance.numpy.apply_token_bitmask_inplace(after[np.newaxis], bits)
        answer.append(int(after.argmax()))
        assert matcher.consume_token(answer[-1]), matcher.get_error()
        llama.eval(answer[-1:])
        after = scores(llama)
    assert matcher.is_accepting()
    jsonschema_rs.validate(schema, msgspec.json.decode(llama.detokenize(answer)))


def test_a_prompt_begins_with_a_bos_token_only_where_the_model_has_one(llama: Any) -> None:
    begun = llama.tokenize(b"on")
    if llama.metadata["general.architecture"] == "qwen2":
        assert begun == llama.tokenize(b"on", add_bos=False)
        assert not low_level.llama_vocab_is_control(llama._model.vocab, llama.token_bos())  # any token at all
    else:
        assert begun[0] == llama.token_bos()
        assert low_level.llama_vocab_is_control(llama._model.vocab, begun[0])


def test_only_gemma_has_a_sliding_window_and_all_share_keys_among_heads(llama: Any) -> None:
    model = llama._model.model
    gemma = llama.metadata["general.architecture"] == "gemma3"
    assert low_level.llama_model_n_swa(model) == (64 if gemma else 0)
    assert low_level.llama_model_n_head_kv(model) < low_level.llama_model_n_head(model)


def test_what_the_sliding_window_hides_makes_a_difference(tiny_gemma: Path, tmp_path: Path) -> None:
    wide = write_gemma(tmp_path / "wide.gguf", sliding_window=512)
    with closing(load(tiny_gemma)) as short, closing(load(wide)) as long:
        prompt = short.tokenize(SPOKEN.encode() * 3)
        assert len(prompt) > 128
        np.testing.assert_allclose(scores_after(short, prompt[:60]), scores_after(long, prompt[:60]), atol=1e-3)
        assert abs(scores_after(short, prompt) - scores_after(long, prompt)).max() > 0.5


@pytest.mark.parametrize("write", [write_gemma, write_llama, write_qwen])
def test_a_seed_gives_the_same_few_megabytes_each_time(write: Callable[..., Path], tmp_path: Path) -> None:
    first, second, other = (
        write(tmp_path / f"{number}.gguf", seed=seed).read_bytes() for number, seed in enumerate((5, 5, 6))
    )
    assert first == second != other
    assert 1e6 < len(first) < 5e6
