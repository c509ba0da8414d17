"""`./pems bench NAME`: runs `python -m benchmarks.NAME` from the checkout."""

import subprocess
import sys
from collections.abc import Sequence

import typer

from pems_cli.paths import ROOT

__all__ = ["benchmark_names", "run_bench"]


def benchmark_names() -> list[str]:
    """The benchmarks of this checkout: modules or packages in `benchmarks/` without a leading underscore."""
    folder = ROOT / "benchmarks"
    modules = {path.stem for path in folder.glob("*.py")} | {path.parent.name for path in folder.glob("*/__main__.py")}
    return sorted(name for name in modules if not name.startswith("_"))


def run_bench(name: str, arguments: Sequence[str]) -> int:
    """Run one benchmark; returns its exit status."""
    names = benchmark_names()
    if name not in names:
        known = ", ".join(names) or "none"
        typer.echo(f"benchmarks: {known}" if not name else f"no benchmark {name}; there are: {known}", err=bool(name))
        return 2 if name else 0
    command = [sys.executable, "-m", f"benchmarks.{name}", *arguments]
    return subprocess.run(command, cwd=ROOT, check=False).returncode
