"""Weights for tests: tiny files, in a folder of their own."""

import hashlib
from pathlib import Path

import pytest

from models.manifest import HubSource, Licence, Manifest, PackageSource, TrimmedSource

WEIGHTS = b"GGUF" + bytes(range(256)) * 40


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of weights, for this test only."""
    path = tmp_path / "weights"
    monkeypatch.setenv("ORSTATE_MODELS", str(path))
    return path


@pytest.fixture
def weights() -> bytes:
    return WEIGHTS


@pytest.fixture
def packaged() -> Manifest:
    return Manifest(
        name="tiny",
        label="tiny",
        file="tiny.gguf",
        prompt="completion",
        context=512,
        sha256=hashlib.sha256(WEIGHTS).hexdigest(),
        source=PackageSource(package="tiny-gguf", module="tiny_gguf_of_tests"),
        licence=Licence(name="none", terms="none", notice="none"),
    )


@pytest.fixture
def on_hub() -> Manifest:
    return Manifest(
        name="far",
        label="far",
        file="far.gguf",
        prompt="chat",
        context=512,
        size_gib=len(WEIGHTS) / 2**30,
        source=HubSource(repository="someone/far-GGUF"),
        licence=Licence(name="none", terms="none", notice="none"),
    )


@pytest.fixture
def smaller() -> Manifest:
    """What is trimmed of a model named "tiny" or "far"; its own sum is not known."""
    return Manifest(
        name="smaller",
        label="tiny",
        file="smaller.gguf",
        prompt="completion",
        context=512,
        source=TrimmedSource(model="tiny"),
        licence=Licence(name="none", terms="none", notice="none"),
    )
