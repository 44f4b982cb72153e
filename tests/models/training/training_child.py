"""Runs a training on small lessons; with a third argument it kills itself at that point.

`log N`: when step N was logged; `best N`: when the best adapter of step N is in its place and its scores are not;
`saving N`: within the checkpoint of step N, before it is in its place.
"""

import os
import signal
import sys
from pathlib import Path
from typing import Any

from small_lessons import small_lessons

import models.training.teaching
import models.training.train
import models.training.validating
from models.training import checkpoint
from models.training.train import Training, main


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def die_at(point: str, step: int) -> None:
    log, keep, save_file = Training._log, models.training.train.write_adapter, checkpoint.save_file

    def logged(self: Training, line: dict[str, Any]) -> None:
        log(self, line)
        if line["step"] == step and "loss" in line:
            die()

    def kept(path: Path, *arguments: Any, **options: Any) -> None:
        keep(path, *arguments, **options)
        die()

    def saved(tensors: Any, path: Path, metadata: dict[str, str]) -> None:
        save_file(tensors, path, metadata=metadata)
        if f'"step":{step},' in metadata["progress"]:
            die()

    if point == "log":
        Training._log = logged  # type: ignore[method-assign]
    elif point == "best":
        models.training.train.write_adapter = kept
    else:
        checkpoint.save_file = saved


if __name__ == "__main__":
    models.training.teaching.lessons = small_lessons  # type: ignore[assignment]
    models.training.validating.lessons = small_lessons  # type: ignore[assignment]
    config, output, *where = sys.argv[1:]
    if where:
        die_at(where[0], int(where[1]))
    main(Path(config), Path(output))
