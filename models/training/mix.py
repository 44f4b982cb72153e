"""An adapter between the one that a training began with and the one it came to. Training only; needs no PyTorch.

What is learned anew is learned in few lessons, and pulls a little at all that was known before; on the way between the
two lie weights that know both (source: Wortsman and others, Robust fine-tuning of zero-shot models, 2022). That holds
for a training that began with the other adapter, and for nothing else.
"""

from pathlib import Path
from typing import Final

from models.adapter import Pair, read_adapter, write_adapter
from models.gguf import read
from models.store import ModelBroken

_WRITTEN: Final = ("general.architecture", "general.type", "adapter.type", "adapter.lora.alpha")


def mix(start: Path, best: Path, share: float, target: Path) -> None:
    """Write to `target` the adapter that is `share` (0 to 1) of the way from `start` to `best`; both in half precision.

    Raises ModelBroken if one is no adapter or they are of different shapes, and OrstateError if it cannot be written.
    """
    (before, alpha), (after, same) = read_adapter(start), read_adapter(best)
    shapes = [{name: (pair.a.shape, pair.b.shape) for name, pair in pairs.items()} for pairs in (before, after)]
    if alpha != same or shapes[0] != shapes[1]:
        raise ModelBroken(f"{start}: has other matrices than {best}; give the adapter that the training began with")
    pairs = {
        name: Pair(*((1 - share) * old + share * new for old, new in zip(before[name], pair, strict=True)))
        for name, pair in after.items()
    }
    metadata = {key: value.text() for key, value in read(best).metadata.items() if key not in _WRITTEN}
    architecture = read(best).metadata["general.architecture"].text()
    write_adapter(target, pairs, architecture=architecture, alpha=alpha, notice=metadata)
