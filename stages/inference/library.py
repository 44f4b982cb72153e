"""The only door to llama.cpp: sets what it must find when it is loaded. Used by the inference process only.

AMX: some compilers drop most of the stores that `ldtilecfg` reads (GCC bug 114098, seen with GCC 12.2), so that a
llama.cpp compiled by one of them on a machine with AMX dies of its first matrix product. The library does not say
how it was compiled, so no build with AMX is trusted. The weights of such a build are not repacked, which costs
speed; a build without AMX is left as it is.
"""

import os

# Threads that wait at a barrier of llama.cpp spin for a moment and then sleep. Those that only spin made an answer
# many times as slow once another process wanted a core; those that sleep at once were slower on an idle machine. So
# many turns outlast the waits within a step, and end soon when a core is gone. OpenMP reads this at its loading.
os.environ.setdefault("GOMP_SPINCOUNT", "1000")

from llama_cpp import llama_cpp as low_level

__all__ = ["allows_repacking", "low_level"]


def allows_repacking() -> bool:
    """Whether weights may be laid out anew for faster instructions: not if those are AMX."""
    return b"AMX_INT8 = 1" not in low_level.llama_print_system_info()
