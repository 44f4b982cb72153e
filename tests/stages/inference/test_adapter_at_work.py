"""A model that was taught: it answers otherwise than before, and what was computed is not shared between the two."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from backend_asking import ask
from tiny_adapters import taught, write_random_adapter

from models.manifest import Manifest, find_manifest
from pipeline.config import Config, InferenceSection
from pipeline.errors import OrstateError
from pipeline.messages import PromptJob
from stages.inference.llama import LlamaBackend
from stages.inference.stage import open_llama
from stages.surgery import Surgery

Make = Callable[..., PromptJob]


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


def test_the_backend_answers_otherwise_with_the_manifests_adapter(
    open_: Callable[[Manifest], LlamaBackend], manifest: Manifest, tiny_gemma: Path, make_job: Make
) -> None:
    (plain,) = ask(open_(find_manifest(str(tiny_gemma))), make_job())
    (taught_,) = ask(open_(manifest), make_job())
    assert plain.outcome == taught_.outcome == "ok"
    assert plain.text != taught_.text


def test_computed_prefixes_of_a_model_with_and_without_an_adapter_are_apart(
    open_: Callable[[Manifest], LlamaBackend], manifest: Manifest, adapters: Path, tiny_gemma: Path, make_job: Make
) -> None:
    other = taught(tiny_gemma, write_random_adapter(adapters / "other.gguf", tiny_gemma, seed=6))
    for number, each in enumerate((find_manifest(str(tiny_gemma)), manifest, other)):
        first, again = open_(each), open_(each)
        ask(first, make_job(f"{number} first"))
        ask(again, make_job(f"{number} again"))
        assert (first.counters()["prefixes_loaded"], again.counters()["prefixes_loaded"]) == (0, 1)


def test_weights_that_were_changed_are_not_loaded(
    open_: Callable[[Manifest], LlamaBackend], manifest: Manifest
) -> None:
    with Path(manifest.file).open("r+b") as file:
        file.seek(-1, 2)
        file.write(b"x")
    with pytest.raises(OrstateError, match=r"random\.merged\.gguf: sha256 is"):
        open_(manifest)
