"""All fuzz targets by name. `benchmarks/fuzz/worker.py` imports what it needs of the program before it imports this."""

from typing import Final

from benchmarks.fuzz import answers, client, codec, gguf, inner, journal, lines, machines, stages, words
from benchmarks.fuzz.target import Target

TARGETS: Final[dict[str, Target]] = {
    module.TARGET.name: module.TARGET
    for module in (codec, stages, answers, inner, client, journal, lines, machines, words, gguf)
}
