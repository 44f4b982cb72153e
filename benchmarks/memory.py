"""How much memory a process takes. Used by the benchmarks."""

from pathlib import Path

import psutil


def memory_mb(pid: int) -> dict[str, float]:
    """`peak`: most that was resident at any time, shared pages (a mapped model file) too; `own`: USS, now."""
    status = Path(f"/proc/{pid}/status").read_text()
    peak = next(line for line in status.splitlines() if line.startswith("VmHWM:"))
    return {"peak": int(peak.split()[1]) * 1024 / 1e6, "own": psutil.Process(pid).memory_full_info().uss / 1e6}
