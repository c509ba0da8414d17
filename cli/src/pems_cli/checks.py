"""`./pems check` and `./pems test`: the same commands a developer, the pre-commit hook and CI run."""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from pems_cli.paths import ROOT

__all__ = ["COVERAGE_PCT", "run_checks", "run_tests", "shell_scripts"]

COVERAGE_PCT = 85.0
"""Least line coverage of `./pems test` [%]."""

_SOURCES = ("libs", "services", "lab", "cli", "benchmarks", "tests")
_QUICK = ("tests/unit", "tests/property", "tests/contract")
_LONG = ("tests/integration", "tests/browser")
_LOCKSTEP = ("tests/e2e",)
_PYTEST_FOUND_NOTHING = 5


def _tool(name: str) -> str:
    """A program installed beside this Python, else the one on PATH."""
    beside = Path(sys.executable).parent / name
    return str(beside) if beside.is_file() else (shutil.which(name) or name)


def _existing(folders: Sequence[str]) -> list[str]:
    return [folder for folder in folders if any((ROOT / folder).rglob("*.py"))]


def shell_scripts(root: Path = ROOT) -> list[str]:
    """Shell scripts of the checkout: committed or new, by their first line."""
    listed = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard", "-z"], cwd=root, capture_output=True, check=True
    )
    scripts = []
    for name in filter(None, listed.stdout.decode().split("\0")):
        path = root / name
        if path.is_file() and path.suffix in {"", ".sh"} and path.parent.name != ".git":
            with path.open("rb") as file:
                first = file.readline(80)
            if first.startswith(b"#!") and (b"/sh" in first or b"bash" in first):
                scripts.append(name)
    return sorted(scripts)


def run_checks(console: Console, *, fix: bool = False) -> int:
    """Run every static check; all of them, even when one fails. Returns the exit status."""
    folders = _existing(_SOURCES)
    scripts = shell_scripts()
    steps: list[tuple[str, list[str]]] = [
        ("ruff check", [_tool("ruff"), "check", *(["--fix"] if fix else []), *folders]),
        ("ruff format", [_tool("ruff"), "format", *([] if fix else ["--check"]), *folders]),
        ("lint-imports", [_tool("lint-imports"), "--no-logo"]),
        ("mypy", [_tool("mypy"), *folders]),
        ("shellcheck", [_tool("shellcheck"), *scripts]),
    ]
    failed = []
    for name, command in steps:
        begun = time.monotonic()
        try:
            done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
            code, output = done.returncode, done.stdout + done.stderr
        except OSError as error:
            code, output = 127, f"{error}\ninstall it, for example with apt-get install {name}\n"
        word = "[green]ok[/green]" if code == 0 else "[red]FAILED[/red]"
        console.print(f"{name:<14} {word}  {time.monotonic() - begun:.1f} s")
        if code != 0:
            failed.append(name)
            console.print(output, markup=False, highlight=False)
    if failed:
        console.print(f"[red]failed: {', '.join(failed)}[/red]")
    return 1 if failed else 0


def _pytest(arguments: Sequence[str]) -> int:
    command = [sys.executable, "-m", "pytest", *arguments]
    return subprocess.run(command, cwd=ROOT, check=False).returncode


def run_tests(console: Console, arguments: Sequence[str], *, fast: bool, least_pct: float) -> int:
    """Run the tests; returns the exit status.

    Args:
        console: For what is said in between.
        arguments: Handed to pytest; when any are given, only that one pytest run is made.
        fast: Only what needs no servers, without coverage.
        least_pct: Line coverage below this fails [%].
    """
    if arguments:
        return _pytest(arguments)
    quick, long = _existing(_QUICK), _existing(_LONG)
    if fast:
        return _pytest(["-q", "-n", "2", *quick])
    for old in ROOT.glob(".coverage*"):
        old.unlink()
    measured = ["-q", "--cov", "--cov-append", "--cov-report="]
    # Real servers and processes are timed in wall time, so they do not share the cores with other tests.
    codes = [_pytest([*measured, "-n", "2", *quick])]
    if long:
        codes.append(_pytest([*measured, "-m", "not compose", *long]))
    # Whole days in lockstep: nothing in them waits for wall time, and measuring coverage would double theirs.
    if lockstep := _existing(_LOCKSTEP):
        codes.append(_pytest(["-q", "-n", "2", "--dist", "worksteal", *lockstep]))
    report = [_tool("coverage"), "report", f"--fail-under={least_pct:g}", "--skip-covered"]
    environment = {**os.environ, "COLUMNS": "110"}
    codes.append(subprocess.run(report, cwd=ROOT, check=False, env=environment).returncode)
    if codes[-1] != 0:
        console.print(f"[red]coverage is below {least_pct:g} %[/red]")
    return next((code for code in codes if code not in (0, _PYTEST_FOUND_NOTHING)), 0)
