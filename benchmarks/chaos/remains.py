"""What an instance left behind: processes, shared memory, its run directory, sockets."""

import tempfile
from pathlib import Path

import psutil

from pipeline.segment import PREFIX, folder

GONE_S = 30.0  # for processes whose supervisor was killed


def family(pid: int) -> list[psutil.Process]:
    """That process and all that it started; none if it is gone."""
    try:
        process = psutil.Process(pid)
        return [process, *process.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


def remains(processes: list[psutil.Process], run_directory: Path | None, supervisor: int) -> list[str]:
    """In words what is left of an instance with that supervisor; waits for its processes to end."""
    _, alive = psutil.wait_procs(processes, GONE_S)
    left = [f"process {process.pid} ({' '.join(process.cmdline()[-2:])})" for process in alive]
    for process in alive:
        process.kill()
    left += [f"segment {path.name}" for path in folder().glob(f"{PREFIX}-{supervisor}-*")]
    if run_directory is not None and run_directory.exists():
        left.append(f"run directory {run_directory}")
    return left


def run_directories() -> set[Path]:
    """Run directories that launchers have made and not removed."""
    return set(Path(tempfile.gettempdir()).glob("orstate-*"))
