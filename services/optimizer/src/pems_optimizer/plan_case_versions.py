"""What a plan is made by: the source of PEMS, the libraries that compute, and the processor."""

import hashlib
import os
import platform
from functools import cache
from importlib import metadata
from pathlib import Path

import pems_common
import pems_optimizer

__all__ = ["this_program"]

_LIBRARIES = ("numpy", "highspy", "numba", "llvmlite", "pydantic")
_PACKAGES = (pems_optimizer, pems_common)
_THREADS = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS")


def _source_digest() -> str:
    digest = hashlib.sha256()
    for package in _PACKAGES:
        folder = Path(str(package.__file__)).parent
        for file in sorted(folder.rglob("*.py")):
            digest.update(f"{package.__name__}/{file.relative_to(folder).as_posix()}\n".encode())
            digest.update(file.read_bytes())
    return digest.hexdigest()[:16]


def _cpu() -> str:
    """Name of the processor and a digest of what it can do: compiled loops and BLAS choose their code by it."""
    from llvmlite import binding  # type: ignore[import-untyped]

    features = binding.get_host_cpu_features().flatten()
    return f"{binding.get_host_cpu_name()} {hashlib.sha256(features.encode()).hexdigest()[:8]}"


def _threads() -> str:
    """Threads of the linear algebra, as far as the environment says."""
    return next((os.environ[name] for name in _THREADS if os.environ.get(name)), str(os.cpu_count()))


@cache
def this_program() -> dict[str, str]:
    """Return the versions of everything that takes part in making a plan, by name."""
    return {
        "pems_source": _source_digest(),
        "python": platform.python_version(),
        **{name: metadata.version(name) for name in _LIBRARIES},
        "machine": f"{platform.system()} {platform.machine()}",
        "cpu": _cpu(),
        "threads": _threads(),
    }
