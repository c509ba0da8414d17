"""EMHASS in an environment of its own: made once with pip, then asked day by day through a pipe."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from benchmarks.emhass.case import ZONE, Day, House, Load
from benchmarks.emhass.simulator import Schedule

__all__ = ["REQUIREMENT", "Answer", "Emhass", "NotInstalled", "python_with_emhass"]

REQUIREMENT = "emhass==0.18.*"
_STAMP = "installed"
_RUNNER = Path(__file__).with_name("runner.py")
_ON_LEVEL_W = 1.0  # a power this near to off or to the machine's own is that


class NotInstalled(Exception):
    """EMHASS cannot be had here; the message says why."""


@dataclass(frozen=True)
class Answer:
    """EMHASS's plan of a day.

    Attributes:
        schedule: On or off, and the battery; None where it found no plan.
        wall_s: Of its optimisation call, building the model included.
        cpu_s: CPU of the same, all threads.
        status: Its own word.
        fractional: Whether a machine was to run at part of its power: its fall-back without on/off does that.
    """

    schedule: Schedule | None
    wall_s: float
    cpu_s: float
    status: str
    fractional: bool


def _run(command: Sequence[str | Path], limit_s: float) -> None:
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=limit_s)
    except subprocess.TimeoutExpired:
        raise NotInstalled(f"installing {REQUIREMENT} took longer than {limit_s:.0f} s") from None
    if done.returncode:
        lines = (done.stderr or done.stdout).strip().splitlines()
        raise NotInstalled(lines[-1] if lines else f"status {done.returncode}")


def python_with_emhass(folder: Path, limit_s: float = 1200.0) -> Path:
    """Return the interpreter of an environment with EMHASS in it, making it where there is none.

    Args:
        folder: Where the environment is kept.
        limit_s: Wall seconds an installation may take.

    Raises:
        NotInstalled: The package index was not reached, or the installation failed.
    """
    python, stamp = folder / "bin" / "python", folder / _STAMP
    if stamp.is_file() and stamp.read_text(encoding="utf-8") == REQUIREMENT:
        return python
    shutil.rmtree(folder, ignore_errors=True)
    folder.parent.mkdir(parents=True, exist_ok=True)
    print(f"installing {REQUIREMENT} into {folder}, about 1.1 GB, a minute or two ...", file=sys.stderr)
    try:
        _run([sys.executable, "-m", "venv", folder], limit_s)
        _run([python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", REQUIREMENT], limit_s)
    except NotInstalled:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    stamp.write_text(REQUIREMENT, encoding="utf-8")
    return python


class Emhass:
    """One running EMHASS with one setting; a context manager."""

    def __init__(
        self,
        python: Path,
        house: House,
        loads: tuple[Load, ...],
        *,
        mip_rel_gap: float | None,
        kept: bool,
    ) -> None:
        """Start its process.

        Args:
            python: Interpreter of its environment.
            house: Battery and limits.
            loads: Machines.
            mip_rel_gap: Gap at which its solver may stop; None for its default.
            kept: Whether it keeps its model from day to day.
        """
        self._loads = loads
        self._setting = {
            "house": asdict(house),
            "loads": [asdict(load) for load in loads],
            "zone": str(ZONE),
            "mip_rel_gap": mip_rel_gap,
            "kept": kept,
        }
        self._log = tempfile.TemporaryFile("w+", encoding="utf-8")  # noqa: SIM115  (closed in __exit__)
        self._process = subprocess.Popen(
            [python, "-I", _RUNNER],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            text=True,
            env={name: value for name, value in os.environ.items() if name != "LP_SOLVER"},
        )

    def __enter__(self) -> "Emhass":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if kind is not None:
            self._process.kill()
        with suppress(BrokenPipeError):
            self._process.communicate()
        self._log.close()

    def versions(self) -> dict[str, str]:
        """Say what it is given, and return the versions of it and of its solver; before the first day."""
        return {name: str(value) for name, value in self._ask(self._setting).items()}

    def _ask(self, question: dict[str, Any]) -> dict[str, Any]:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        try:
            self._process.stdin.write(json.dumps(question) + "\n")
            self._process.stdin.flush()
            line = self._process.stdout.readline()
        except BrokenPipeError:
            line = ""
        if not line:
            self._process.wait()
            self._log.seek(0)
            raise RuntimeError(f"EMHASS ended with status {self._process.returncode}: {self._log.read()[-2000:]}")
        answer: dict[str, Any] = json.loads(line)
        return answer

    def plan(self, day: Day) -> Answer:
        """Let it plan a day."""
        question = {name: getattr(day, name).tolist() for name in ("load_w", "pv_w", "buy", "sell")}
        told = self._ask(question | {"start": day.start.isoformat()})
        schedule, fractional = None, False
        if "battery_w" in told:
            power_w = np.array([load.power_w for load in self._loads]).reshape(-1, 1)
            planned_w = np.array(told["load_w"], dtype=np.float64).reshape(len(self._loads), len(day.buy))
            on = planned_w >= 0.5 * power_w
            fractional = bool(np.any(np.abs(planned_w - on * power_w) > _ON_LEVEL_W))
            schedule = Schedule(on, np.array(told["battery_w"], dtype=np.float64))
        return Answer(schedule, told["wall_s"], told["cpu_s"], told["status"], fractional)
