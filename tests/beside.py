"""llama.cpp with an adapter beside weights, as it loads one itself: what merged weights are compared with."""

import ctypes
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from stages.inference.library import low_level as c
from stages.inference.native import Context, Layout, Model


@contextmanager
def opened(path: Path, adapter: Path | None, layout: Layout) -> Iterator[tuple[Model, Context]]:
    """A model and its context. Raises OSError if llama.cpp refuses the adapter."""
    with closing(Model(path)) as model:
        loaded = c.llama_adapter_lora_init(model.handle, str(adapter).encode()) if adapter else None
        if adapter and not loaded:
            raise OSError(f"{adapter}: cannot be loaded beside {path}")
        with closing(Context(model, layout)) as context:
            if loaded:
                adapters, scales = (c.llama_adapter_lora_p_ctypes * 1)(loaded), (ctypes.c_float * 1)(1.0)
                assert c.llama_set_adapters_lora(context._handle, adapters, 1, scales) == 0
            yield model, context
