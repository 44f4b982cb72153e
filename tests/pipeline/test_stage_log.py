"""The log of a stage process: what is said goes there, and a disk that is full does not end who says it."""

import subprocess
import sys
from pathlib import Path

CHILD = """
import os, sys, traceback
from pathlib import Path
from pipeline.process import _redirect_stderr

_redirect_stderr(Path(sys.argv[1]))
print("from print \\udcff", file=sys.stderr)
os.system("echo from native code >&2")
try:
    1 / 0
except ZeroDivisionError:
    traceback.print_exc()
sys.exit(7)
"""


def run(log: Path) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run([sys.executable, "-c", CHILD, str(log)], capture_output=True, check=False)


def test_what_python_and_native_code_say_is_in_the_log_in_order(tmp_path: Path) -> None:
    log = tmp_path / "parse.log"
    assert run(log).returncode == 7
    said = log.read_text()
    assert said.startswith("from print \\udcff\nfrom native code\nTraceback")
    assert said.endswith("ZeroDivisionError: division by zero\n")
    assert log.stat().st_mode & 0o777 == 0o600


def test_a_log_on_a_full_disk_ends_nobody() -> None:
    ended = run(Path("/dev/full"))
    assert (ended.returncode, ended.stdout) == (7, b"")
