"""A model with an adapter: it answers otherwise than without, and what was computed is not shared between the two."""

from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from backend_asking import ask
from tiny_adapters import random_pairs, taught, write_random_adapter

from models.adapter import write_adapter
from models.manifest import Manifest, find_manifest
from pipeline.config import Config, InferenceSection
from pipeline.errors import OrstateError
from pipeline.messages import PromptJob
from stages.inference.llama import LlamaBackend
from stages.inference.native import Context, Layout, Logits, Model, NativeError, Row
from stages.inference.stage import open_llama
from stages.surgery import Surgery

Make = Callable[..., PromptJob]
LAYOUT = Layout(cells=256, sequences=1, rows=64, threads=1)


def logits(path: Path, adapter: Path | None) -> Logits:
    """Those behind a short text."""
    with closing(Model(path, adapter)) as model, closing(Context(model, LAYOUT)) as context:
        tokens = [*model.begin, *model.tokenize("turn on the suction please", False)]
        context.decode([Row(token, at, 0, at == len(tokens) - 1) for at, token in enumerate(tokens)])
        return context.logits(len(tokens) - 1).copy()


@pytest.fixture
def manifest(adapters: Path, tiny_gemma: Path) -> Manifest:
    return taught(tiny_gemma, write_random_adapter(adapters / "random.gguf", tiny_gemma))


@pytest.fixture
def open_(surgery: Surgery, tmp_path: Path) -> Iterator[Callable[[Manifest], LlamaBackend]]:
    """Opens models that keep what they compute in one folder."""
    opened: list[LlamaBackend] = []

    def open_one(manifest: Manifest) -> LlamaBackend:
        section = InferenceSection(
            context=1024, max_tokens=300, temperature=0.0, threads=1, prefix_cache=str(tmp_path / "prefixes")
        )
        opened.append(open_llama(Config(inference=section), manifest, {"PCNL": surgery}))
        return opened[-1]

    yield open_one
    for backend in opened:
        backend.close()


def test_an_adapter_changes_what_follows_and_one_of_zeros_does_not(tmp_path: Path, tiny_gemma: Path) -> None:
    zeros = {name: pair._replace(b=np.zeros_like(pair.b)) for name, pair in random_pairs(tiny_gemma).items()}
    write_adapter(tmp_path / "zeros.gguf", zeros, architecture="gemma3", alpha=8.0, notice={})
    without = logits(tiny_gemma, None)
    np.testing.assert_array_equal(logits(tiny_gemma, tmp_path / "zeros.gguf"), without)
    changed = logits(tiny_gemma, write_random_adapter(tmp_path / "random.gguf", tiny_gemma))
    assert np.abs(changed - without).max() > 0.5


def test_what_an_adapter_adds_is_its_product_by_alpha_and_rank(tmp_path: Path, tiny_gemma: Path) -> None:
    """Twice the alpha is half of B."""
    pairs = random_pairs(tiny_gemma)
    halved = {name: pair._replace(b=pair.b / 2) for name, pair in pairs.items()}
    write_adapter(tmp_path / "a.gguf", pairs, architecture="gemma3", alpha=8.0, notice={})
    write_adapter(tmp_path / "b.gguf", halved, architecture="gemma3", alpha=16.0, notice={})
    one, other = (logits(tiny_gemma, tmp_path / name) for name in ("a.gguf", "b.gguf"))
    np.testing.assert_allclose(one, other, atol=1e-3)


def test_an_adapter_of_another_shape_is_refused_by_the_library_too(
    tmp_path: Path, tiny_gemma: Path, tiny_llama: Path
) -> None:
    adapter = write_random_adapter(tmp_path / "other.gguf", tiny_llama)
    with pytest.raises(NativeError, match=r"other\.gguf: cannot be loaded beside .*tiny-gemma\.gguf"):
        Model(tiny_gemma, adapter)


def test_the_backend_answers_otherwise_with_the_manifests_adapter(
    open_: Callable[[Manifest], LlamaBackend], manifest: Manifest, tiny_gemma: Path, make_job: Make
) -> None:
    (plain,) = ask(open_(find_manifest(str(tiny_gemma))), make_job())
    (taught_,) = ask(open_(manifest), make_job())
    assert plain.outcome == taught_.outcome == "ok"
    assert plain.text != taught_.text


def test_the_adapter_counts_as_the_models_memory(
    open_: Callable[[Manifest], LlamaBackend], manifest: Manifest, adapters: Path, tiny_gemma: Path
) -> None:
    plain, with_it = (open_(each).counters()["model_mb_now"] for each in (find_manifest(str(tiny_gemma)), manifest))
    assert with_it - plain == pytest.approx((adapters / "random.gguf").stat().st_size / 1e6)


def test_computed_prefixes_of_a_model_with_and_without_an_adapter_are_apart(
    open_: Callable[[Manifest], LlamaBackend], manifest: Manifest, adapters: Path, tiny_gemma: Path, make_job: Make
) -> None:
    other = taught(tiny_gemma, write_random_adapter(adapters / "other.gguf", tiny_gemma, seed=6))
    for number, each in enumerate((find_manifest(str(tiny_gemma)), manifest, other)):
        first, again = open_(each), open_(each)
        ask(first, make_job(f"{number} first"))
        ask(again, make_job(f"{number} again"))
        assert (first.counters()["prefixes_loaded"], again.counters()["prefixes_loaded"]) == (0, 1)


def test_a_changed_adapter_is_not_loaded(
    open_: Callable[[Manifest], LlamaBackend], manifest: Manifest, adapters: Path, tiny_gemma: Path
) -> None:
    write_random_adapter(adapters / "random.gguf", tiny_gemma, seed=7)
    with pytest.raises(OrstateError, match=r"random\.gguf: sha256 is"):
        open_(manifest)
