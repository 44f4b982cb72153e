"""A command of ours in a process beside the pipeline, as long as the pipeline runs. Used by `run`."""

import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Final

from pipeline.config import ROOT
from pipeline.errors import ConfigError
from stages.options import say

END_S: Final = 10.0


@contextmanager
def beside(arguments: Sequence[str]) -> Iterator[None]:
    """Start a command that takes --with-launcher and prints a line once it serves; end it afterwards.

    It holds the other end of our pipe, so that it ends with this process, however that ends; and it is in a session of
    its own, so that Ctrl-C is ours alone. If it fails the pipeline goes on. Raises ConfigError if it does not begin.
    """
    process = subprocess.Popen(
        [sys.executable, str(ROOT / "run_pipeline.py"), *arguments, "--with-launcher"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        if not (line := process.stdout.readline()):
            raise ConfigError(f"{arguments[0]} cannot be served: its reason stands above")
        say(f"{arguments[0]}: {line.strip()}")
        yield
    finally:
        process.stdin.close()
        try:
            process.wait(END_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        process.stdout.close()
