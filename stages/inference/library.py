"""The only door to llama.cpp: sets what it must find when it is loaded. Used by the inference process only.

AMX: some compilers drop most of the stores that `ldtilecfg` reads (GCC bug 114098, seen with GCC 12.2), so that a
llama.cpp compiled by one of them on a machine with AMX dies of its first matrix product. The library does not say
how it was compiled, so no build with AMX is trusted. The weights of such a build are not repacked, which costs
speed; a build without AMX is left as it is.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager

# Threads that spin at each barrier of llama.cpp made an answer 30 to 100 times as slow once another process wanted
# a core; those that sleep are 1.7 times as slow on an idle machine. The OpenMP library reads this at its loading.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")

import llama_cpp
from llama_cpp import llama_cpp as low_level
from llguidance.llamacpp import lltokenizer_from_vocab

__all__ = ["llama_cpp", "lltokenizer_from_vocab", "low_level", "without_amx"]


@contextmanager
def without_amx() -> Iterator[None]:
    """A model that is loaded meanwhile has its weights in plain buffers, which AMX is not used for."""
    if b"AMX_INT8 = 1" not in low_level.llama_print_system_info():
        yield
        return
    defaults = low_level.llama_model_default_params

    def plain_buffers() -> low_level.llama_model_params:
        parameters: low_level.llama_model_params = defaults()
        parameters.use_extra_bufts = False
        return parameters

    low_level.llama_model_default_params = plain_buffers  # Llama() has no argument for it
    try:
        yield
    finally:
        low_level.llama_model_default_params = defaults
