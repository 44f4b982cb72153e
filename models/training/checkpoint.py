"""What a training needs to go on where it was cut off, in one file that is whole or not there. Training only.

There is no chance in a step but the order of lessons, which follows from the seed and the step: so pairs, moments of
the optimiser and the place in the lessons are all.
"""

import os
from pathlib import Path
from typing import Final

import msgspec
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from pipeline.errors import ConfigError

NAME: Final = "checkpoint.safetensors"
_MOMENTS: Final = ("exp_avg", "exp_avg_sq", "step")  # of torch.optim.AdamW


class Progress(msgspec.Struct, frozen=True, kw_only=True):
    """Where a training is. `step`: steps done; the next takes pack `pack` of chunk `chunk`."""

    settings: str  # their digest
    start: str = ""  # the sha256 of the adapter that it began with
    step: int = 0
    chunk: int = 0
    pack: int = 0
    seen: int = 0  # lessons
    best_step: int = 0
    best: float = -1.0  # exact, of the best so far
    seconds: float = 0.0  # of training, validation included


def save(folder: Path, progress: Progress, trained: dict[str, Tensor], optimiser: torch.optim.Optimizer) -> None:
    """Write it beside the last one, then put it in its place."""
    tensors = {name: each.detach() for name, each in trained.items()}
    for name, each in trained.items():
        tensors |= {f"{name}.{moment}": optimiser.state[each][moment] for moment in _MOMENTS}
    part = folder / f"{NAME}.part"
    save_file(tensors, part, metadata={"progress": msgspec.json.encode(progress).decode()})
    with part.open("rb") as file:
        os.fsync(file.fileno())
    part.replace(folder / NAME)


def restore(folder: Path, trained: dict[str, Tensor], optimiser: torch.optim.Optimizer) -> Progress | None:
    """Put what was saved into pairs and optimiser; None if nothing was. Raises ConfigError for a damaged file."""
    path = folder / NAME
    if not path.exists():
        return None
    try:
        with safe_open(path, framework="pt") as file:
            progress = msgspec.json.decode(file.metadata()["progress"], type=Progress)
            for name, each in trained.items():
                with torch.no_grad():
                    each.copy_(file.get_tensor(name))
                optimiser.state[each] = {moment: file.get_tensor(f"{name}.{moment}") for moment in _MOMENTS}
    except (SafetensorError, msgspec.DecodeError, KeyError, TypeError, RuntimeError) as error:
        raise ConfigError(f"{path}: is no checkpoint of such a training: {error}; give another --output") from error
    return progress


def read_progress(folder: Path) -> Progress | None:
    """Where the training in that folder is, read without its tensors; None if there is none."""
    if not (folder / NAME).exists():
        return None
    with safe_open(folder / NAME, framework="pt") as file:
        return msgspec.json.decode(file.metadata()["progress"], type=Progress)
