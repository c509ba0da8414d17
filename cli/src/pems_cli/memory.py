"""Memory of the run's processes as Linux counts it: the highest resident size ever, and the proportional share."""

import os
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import psutil

__all__ = ["MemoryWatch"]

_KB_PER_MB = 1024


def _field_kb(path: Path, name: str) -> int:
    for line in path.read_text().splitlines():
        if line.startswith(name + ":"):
            return int(line.split()[1])
    return 0


def _with_children(pid: int) -> list[int]:
    try:
        return [pid, *(child.pid for child in psutil.Process(pid).children(recursive=True))]
    except psutil.Error:
        return []


@dataclass
class MemoryWatch:
    """Samples the memory of named processes and their children, and of this process, their parent.

    Attributes:
        peak_mb: Highest resident size of the largest single process of each part (VmHWM) [MB].
        pss_mb: Highest sum over all processes of their proportional set size [MB], 0 where unknown.
    """

    peak_mb: dict[str, float] = field(default_factory=dict)
    pss_mb: float = 0.0

    def sample(self, pids: Mapping[str, int]) -> None:
        """Look at the processes now; those that are gone are left out."""
        total_kb = 0
        groups = {name: _with_children(pid) for name, pid in pids.items()} | {"supervisor": [os.getpid()]}
        for name, group in groups.items():
            peak_kb, pss_kb = _measure(group)
            total_kb += pss_kb
            if peak_kb:
                self.peak_mb[name] = max(self.peak_mb.get(name, 0.0), round(peak_kb / _KB_PER_MB, 1))
        self.pss_mb = max(self.pss_mb, round(total_kb / _KB_PER_MB, 1))


def _measure(pids: Iterable[int]) -> tuple[int, int]:
    peak_kb = pss_kb = 0
    for pid in pids:
        with suppress(OSError, ValueError, IndexError):
            peak_kb = max(peak_kb, _field_kb(Path(f"/proc/{pid}/status"), "VmHWM"))
            pss_kb += _field_kb(Path(f"/proc/{pid}/smaps_rollup"), "Pss")
    return peak_kb, pss_kb
