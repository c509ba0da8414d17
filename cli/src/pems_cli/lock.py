"""`./pems lock`: resolves pyproject.toml into the two lock files, with names, versions and hashes only."""

import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from pems_cli.paths import ROOT

__all__ = ["write_locks"]

_HEADER = '# Made by "./pems lock" from pyproject.toml; names, versions and hashes only.\n'
_COMMON = ("--universal", "--generate-hashes", "--no-header", "--no-annotate", "--quiet")


def _compile(arguments: Sequence[str]) -> str:
    uv = Path(sys.executable).parent / "uv"
    done = subprocess.run(
        [str(uv), "pip", "compile", *_COMMON, *arguments], cwd=ROOT, check=True, capture_output=True, text=True
    )
    return done.stdout


def _versions(lock: str) -> str:
    """The requirement lines of a lock, without hashes: as constraints for the other one."""
    return "\n".join(line.rstrip(" \\") for line in lock.splitlines() if line[:1].isalnum())


def write_locks(*, upgrade: bool) -> None:
    """Write requirements.lock and build.lock; versions that still fit stay, unless `upgrade`.

    Raises:
        subprocess.CalledProcessError: It does not resolve; `stderr` says why.
    """
    packages, build = ROOT / "requirements.lock", ROOT / "build.lock"
    with tempfile.TemporaryDirectory() as folder:
        kept = Path(folder) / "kept.txt"
        kept.write_text("" if upgrade or not packages.is_file() else _versions(packages.read_text()))
        # An existing output file is what uv takes its preferences from.
        output = ["--output-file", str(kept)]
        _compile(["--all-extras", "pyproject.toml", *output])
        text = kept.read_text()
        constraints = Path(folder) / "constraints.txt"
        constraints.write_text(_versions(text))
        build_text = _compile(["--group", "build", "--constraint", str(constraints)])
    packages.write_text(_HEADER + text)
    build.write_text(_HEADER + build_text)
