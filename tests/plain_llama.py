"""llama-cpp-python as it comes, for tests that hold our own calls or files against it."""

from collections.abc import Iterator
from contextlib import contextmanager

import llama_cpp
from llama_cpp import llama_cpp as low_level

from stages.inference.library import allows_repacking

__all__ = ["llama_cpp", "low_level", "without_amx"]


@contextmanager
def without_amx() -> Iterator[None]:
    """A model that is loaded meanwhile has its weights in plain buffers, where the build cannot be trusted with AMX."""
    defaults = low_level.llama_model_default_params

    def plain_buffers() -> low_level.llama_model_params:
        parameters: low_level.llama_model_params = defaults()
        parameters.use_extra_bufts = allows_repacking()
        return parameters

    low_level.llama_model_default_params = plain_buffers  # Llama() has no argument for it
    try:
        yield
    finally:
        low_level.llama_model_default_params = defaults
