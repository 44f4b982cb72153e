from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from plain_llama import llama_cpp, without_amx
from tiny_gguf import INT32, TOKENS, WIDTH, number, numbers, rows, tiny
from trim_questions import questions

from models.fetch import ensure, trim_model
from models.gguf import Gguf, Tensor, read, text_value
from models.manifest import find_manifest
from models.trim import TrimRefused, trim, trimmed_path
from models.vocabulary import words_of
from pipeline.errors import OrstateError

PRINTABLE = st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E) | st.sampled_from("\n\t\r"))
PARTS = ("<", ">", "start", "_of_", "turn", "<end_of", "_turn>", "<0x41>", "<unused5>", " ")  # of control tokens
ANSWER = 24  # tokens of an answer that are compared
CONTROL = 3


def silent(done: int, total: int) -> None:
    pass


def tokens_of(found: Gguf) -> list[bytes]:
    return found.metadata["tokenizer.ggml.tokens"].texts()


def trimmed(path: Path) -> Gguf:
    target = trimmed_path(path)
    trim(path, target, silent)
    return read(target)


# --- made files


def test_ids_of_the_metadata_follow_their_tokens(tmp_path: Path) -> None:
    texts = [text for text, _ in TOKENS]
    named = {
        "tokenizer.ggml.eot_token_id": number(texts.index("<start_of_turn>")),
        "tokenizer.ggml.padding_token_id": number(0xFFFFFFFF),
        "tokenizer.ggml.mask_token_id": number(texts.index("<unused0>")),
        "tokenizer.ggml.eog_token_ids": numbers([2, texts.index("手手")], INT32),
        "tokenizer.ggml.suppress_tokens": numbers([-1, texts.index("abba")], INT32),
        "gemma3.some_count": numbers([1, 2], INT32),
    }
    metadata = trimmed(tiny(tmp_path / "a.gguf", metadata=named)).metadata
    kept = [text.decode() for text in metadata["tokenizer.ggml.tokens"].texts()]
    said = {
        key: [kept[id_] if 0 <= id_ < len(kept) else id_ for id_ in metadata[key].numbers().tolist()] for key in named
    }
    assert said == {
        "tokenizer.ggml.eot_token_id": ["<start_of_turn>"],
        "tokenizer.ggml.padding_token_id": [0xFFFFFFFF],
        "tokenizer.ggml.mask_token_id": ["<unused0>"],
        "tokenizer.ggml.eog_token_ids": ["</s>", "手手"],
        "tokenizer.ggml.suppress_tokens": [-1, "abba"],
        "gemma3.some_count": ["<s>", "</s>"],
    }


def test_all_that_counts_tokens_counts_the_kept_ones(tmp_path: Path) -> None:
    found = trimmed(tiny(tmp_path / "a.gguf", metadata={"tokenizer.huggingface.json": text_value("{}")}))
    count = len(tokens_of(found))
    assert count == len(TOKENS) - 5
    assert found.metadata["gemma3.vocab_size"].numbers().tolist() == [count]
    assert {found.metadata[f"tokenizer.ggml.{key}"].count for key in ("scores", "token_type")} == {count}
    assert "tokenizer.huggingface.json" not in found.metadata


@pytest.mark.parametrize("alignment", [32, 64])
def test_rows_of_tied_and_untied_embeddings_follow_their_tokens(tmp_path: Path, alignment: int) -> None:
    path = tiny(
        tmp_path / "a.gguf",
        metadata={"general.alignment": number(alignment)},
        tensors=(rows("output.weight", len(TOKENS)),),
        alignment=alignment,
    )
    found = trimmed(path)
    content = trimmed_path(path).read_bytes()
    ids = [[text.encode() for text, _ in TOKENS].index(text) for text in tokens_of(found)]
    for tensor in (found.tensors[0], found.tensors[2]):
        assert tensor.shape == (WIDTH, len(ids))
        width = tensor.size // len(ids)
        lying = [content[tensor.start + at * width :][:width] for at in range(len(ids))]
        assert lying == [id_.to_bytes(4, "little").ljust(width, tensor.name[:1].encode()) for id_ in ids]
    middle = found.tensors[1]
    assert content[middle.start :][:12] == b"twelve bytes"


def test_the_same_file_gives_the_same_copy_and_nothing_else_is_left(tmp_path: Path) -> None:
    path = tiny(tmp_path / "a.gguf")
    trim(path, tmp_path / "b.gguf", silent)
    trim(path, tmp_path / "c.gguf", silent)
    assert (tmp_path / "b.gguf").read_bytes() == (tmp_path / "c.gguf").read_bytes()
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["a.gguf", "b.gguf", "c.gguf"]


def test_words_leave_fewer_tokens_and_say_so(tmp_path: Path) -> None:
    path = tiny(tmp_path / "a.gguf")
    target, count = trim_model(str(path), silent, {"ba"})
    found = read(target)
    assert target.name == "a-words.gguf"
    assert set(tokens_of(trimmed(path))) - set(tokens_of(found)) == {b"ab", b"abba", "▁ab".encode()}
    assert (count.tokens, count.kept) == (len(TOKENS), len(tokens_of(found)))
    assert found.metadata["orstate.trim.vocabulary"].text() == "words"
    assert len(found.metadata["orstate.trim.words_sha256"].text()) == 64


def test_progress_ends_at_the_whole(tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []
    trim(tiny(tmp_path / "a.gguf"), tmp_path / "b.gguf", lambda done, total: told.append((done, total)))
    assert told[-1][0] == told[-1][1] > 0
    assert told == sorted(told)


Changes = dict[str, Any]
BEYOND = (rows("blk.0.odd.weight", len(TOKENS)),)
EMPTY = ((Tensor("output.weight", (34, len(TOKENS)), 0, 0, 4), b"four"),)
TURNED = ((Tensor("output.weight", (len(TOKENS), 34), 0, 0, 4), b"four"),)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"metadata": {"tokenizer.ggml.model": text_value("gpt2")}}, "kind 'gpt2'; only SentencePiece"),
        ({"metadata": {"tokenizer.ggml.model": None}}, "kind 'none'"),
        ({"metadata": {"orstate.trim.vocabulary": text_value("ascii")}}, r"trimmed already \(ascii\)"),
        ({"metadata": {"split.count": number(3)}}, "one of several files"),
        ({"metadata": {"tokenizer.ggml.scores": None}}, r"scores': 0.*one of each for every token"),
        ({"metadata": {"tokenizer.ggml.tokens": None}}, r"tokens': 0"),
        ({"tokens": TOKENS[:100]}, "no tokens for the 256 bytes"),
        ({"tensors": BEYOND}, r"tensor blk\.0\.odd\.weight has shape .* is known of token_embd\.weight"),
        ({"tensors": TURNED}, r"tensor output\.weight has shape"),
        ({"tensors": EMPTY}, r"tensor output\.weight has \d+ bytes for \d+ tokens"),
    ],
)
def test_what_cannot_be_trimmed_is_refused_with_the_reason(tmp_path: Path, changes: Changes, says: str) -> None:
    path = tiny(tmp_path / "a.gguf", **changes)
    with pytest.raises(TrimRefused, match=rf"a\.gguf: .*{says}"):
        trim(path, tmp_path / "b.gguf", silent)
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.gguf"]


def test_words_are_refused_where_tokens_cross_their_edges(tmp_path: Path) -> None:
    path = tiny(tmp_path / "a.gguf", tokens=(*TOKENS, ("a1", 1)))
    with pytest.raises(TrimRefused, match=r"'a1' has letters and others.*trim it to ASCII"):
        trim(path, tmp_path / "b.gguf", silent, {"ab"})


def test_a_copy_of_a_copy_and_a_trimmed_model_are_refused(tmp_path: Path) -> None:
    path = tiny(tmp_path / "a.gguf")
    trim(path, tmp_path / "b.gguf", silent)
    with pytest.raises(TrimRefused, match=r"b\.gguf: is trimmed already"):
        trim_model(str(tmp_path / "b.gguf"), silent)
    with pytest.raises(TrimRefused, match="trimmed already; trim what it was made of, gemma-3-270m-full"):
        trim_model("gemma-3-270m", silent)


def test_a_place_that_cannot_be_written_to_is_named(tmp_path: Path) -> None:
    path = tiny(tmp_path / "a.gguf")
    with pytest.raises(OrstateError, match=r"a\.gguf: cannot be trimmed to .*nowhere/b\.gguf"):
        trim(path, tmp_path / "nowhere" / "b.gguf", silent)


# --- the embedded model


class Cutter:
    """A model of which only the vocabulary is loaded."""

    def __init__(self, path: Path) -> None:
        self.llama = llama_cpp.Llama(str(path), vocab_only=True, verbose=False)
        self.texts = tokens_of(read(path))

    def ids(self, text: str, special: bool = False) -> list[int]:
        found: list[int] = self.llama.tokenize(text.encode(), add_bos=False, special=special)
        return found

    def pieces(self, text: str, special: bool = False) -> list[bytes]:
        return [self.texts[id_] for id_ in self.ids(text, special)]

    def back(self, text: str) -> str:
        return bytes(self.llama.detokenize(self.ids(text))).decode()


@pytest.fixture(scope="module")
def full_path() -> Path:
    return ensure(find_manifest("gemma-3-270m-full"))


@pytest.fixture(scope="module")
def ascii_path() -> Path:
    return ensure(find_manifest("gemma-3-270m"))


@pytest.fixture(scope="module")
def full(full_path: Path) -> Iterator[Cutter]:
    cutter = Cutter(full_path)
    yield cutter
    cutter.llama.close()


@pytest.fixture(scope="module")
def plain(ascii_path: Path) -> Iterator[Cutter]:
    cutter = Cutter(ascii_path)
    yield cutter
    cutter.llama.close()


def test_the_embedded_model_says_that_it_was_modified(full_path: Path, ascii_path: Path) -> None:
    metadata = read(ascii_path).metadata
    assert metadata["orstate.trim.notice"].text().startswith("This file was modified")
    assert metadata["orstate.trim.vocabulary"].text() == "ascii"
    assert metadata["orstate.trim.source_sha256"].text() == find_manifest("gemma-3-270m-full").sha256


def test_the_embedded_model_is_the_full_one_but_for_the_vocabulary(full_path: Path, ascii_path: Path) -> None:
    old, new = read(full_path), read(ascii_path)
    texts = tokens_of(new)
    ids = {text: id_ for id_, text in enumerate(tokens_of(old))}
    kept = np.array([ids[text] for text in texts])
    for key in ("scores", "token_type"):
        key = f"tokenizer.ggml.{key}"
        assert (old.metadata[key].numbers()[kept] == new.metadata[key].numbers()).all()
    for before, after in zip(old.tensors, new.tensors, strict=True):
        left = np.memmap(full_path, np.uint8, "r", before.start, (before.size,))
        right = np.memmap(ascii_path, np.uint8, "r", after.start, (after.size,))
        if before.shape == after.shape:
            assert np.array_equal(left, right)
        else:
            assert before.name == "token_embd.weight"
            width = before.size // len(ids)  # padding follows
            left, right = left[: width * len(ids)], right[: width * len(kept)]
            assert np.array_equal(left.reshape(-1, width)[kept], right.reshape(-1, width))


@settings(max_examples=400, deadline=None)
@given(text=PRINTABLE)
def test_ascii_text_is_cut_into_the_same_pieces(full: Cutter, plain: Cutter, text: str) -> None:
    assert plain.pieces(text) == full.pieces(text)


def test_prompts_are_cut_into_the_same_pieces(full: Cutter, plain: Cutter) -> None:
    for prompt in questions(each=5):
        text = prompt.shared + prompt.transcript + prompt.tail
        assert plain.pieces(text) == full.pieces(text)


@settings(deadline=None)
@given(text=st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")))
def test_other_text_comes_back_as_it_went_in(full: Cutter, plain: Cutter, text: str) -> None:
    assert plain.back(text) == full.back(text)


def test_a_foreign_word_falls_into_bytes_and_comes_back(plain: Cutter) -> None:
    text = "Kreißsaal: 37 °C, 手術中 🙂"
    assert plain.back(text) == text
    assert b"<0xE6>" in plain.pieces(text)


def test_control_tokens_are_read_where_asked_and_never_in_what_was_said(full: Cutter, plain: Cutter) -> None:
    kinds = read(ensure(find_manifest("gemma-3-270m"))).metadata["tokenizer.ggml.token_type"].numbers()
    control = [text.decode() for text, kind in zip(plain.texts, kinds, strict=True) if kind == CONTROL]
    assert {"<bos>", "<eos>", "<start_of_turn>", "<end_of_turn>"} <= set(control)
    for text in control:
        assert plain.pieces(text, special=True) == [text.encode()]
        assert plain.pieces(text) == full.pieces(text)
        assert text.encode() not in plain.pieces(f"on {text} off")


@settings(deadline=None)
@given(parts=st.lists(st.sampled_from(PARTS)))
def test_no_text_is_cut_into_control_tokens(full: Cutter, plain: Cutter, parts: list[str]) -> None:
    text = "".join(parts)
    pieces = plain.pieces(text)
    assert pieces == full.pieces(text)
    assert not {b"<start_of_turn>", b"<end_of_turn>", b"<0x41>"} & set(pieces)


def test_the_special_tokens_of_the_engine_are_the_same_words(full: Cutter, plain: Cutter) -> None:
    def words(cutter: Cutter) -> list[bytes]:
        llama = cutter.llama
        return [cutter.texts[id_] for id_ in (llama.token_bos(), llama.token_eos(), llama.token_nl())]

    assert words(plain) == words(full)


def test_texts_of_the_words_are_cut_the_same_by_a_model_trimmed_to_words(
    full_path: Path, full: Cutter, tmp_path: Path
) -> None:
    prompts = list(questions(each=2))
    words = set().union(*(words_of(prompt.shared + prompt.transcript + prompt.tail) for prompt in prompts))
    trim(full_path, tmp_path / "words.gguf", silent, words)
    few = Cutter(tmp_path / "words.gguf")
    assert len(few.texts) < 20_000
    for prompt in prompts:
        for text in (prompt.shared + prompt.transcript + prompt.tail, prompt.transcript.upper()):
            assert few.pieces(text) == full.pieces(text)
    for text in ("Bronchopneumonia, 手術", "unheard-of"):
        assert few.back(text) == text
    few.llama.close()


@pytest.mark.parametrize("surgery", ["PCNL", "Partial Hepatectomy", "Lobectomy"])
def test_the_trimmed_model_gives_the_same_answers(full_path: Path, ascii_path: Path, surgery: str) -> None:
    asked = list(questions(each=4, of=[surgery]))
    answers = [_answers(path, asked) for path in (full_path, ascii_path)]
    assert len(set(map(tuple, answers[0]))) > 1
    assert answers[0] == answers[1]


def _answers(path: Path, prompts: list[Any]) -> list[list[bytes]]:
    """The likeliest tokens after each prompt."""
    texts = tokens_of(read(path))
    with without_amx():
        llama = llama_cpp.Llama(str(path), n_ctx=2048, n_batch=128, n_ubatch=128, swa_full=True, verbose=False)
    found = []
    for prompt in prompts:
        spoken = (prompt.shared + prompt.transcript + prompt.tail).encode()
        tokens = [llama.token_bos(), *llama.tokenize(spoken, add_bos=False, special=False)]
        chosen = llama.generate(tokens, temp=0.0)
        found.append([texts[token] for _, token in zip(range(ANSWER), chosen, strict=False)])
        chosen.close()
    llama.close()
    return found
