"""How the model's process shares the machine with the video process beside it. Runs in the inference process."""

import os
from contextlib import suppress
from pathlib import Path
from typing import Final

from pipeline.config import InferenceSection
from pipeline.errors import ConfigError

OOM_SCORE: Final = Path("/proc/self/oom_score_adj")
FIRST_TO_GO: Final = 500  # of 1000: as if it took half of the memory more


def cores_of(settings: InferenceSection) -> set[int]:
    """The cores that the model may run on. Raises ConfigError if the configuration names none that are here."""
    here = os.sched_getaffinity(0)
    if not settings.affinity:
        return here
    if missing := sorted(set(settings.affinity) - here):
        raise ConfigError(
            f"inference.affinity: there is no core {', '.join(map(str, missing))} for this process; "
            f"give some of {', '.join(map(str, sorted(here)))}"
        )
    return set(settings.affinity)


def settle(settings: InferenceSection) -> None:
    """Take the cores and the niceness; threads that are made later inherit both. Raises ConfigError.

    Where memory runs out, this process is the one to be ended: it is the largest, and the rules carry on without it.
    """
    os.sched_setaffinity(0, cores_of(settings))
    os.nice(settings.niceness)
    with suppress(OSError):  # not every container has it
        OOM_SCORE.write_text(str(max(FIRST_TO_GO, int(OOM_SCORE.read_text()))))
