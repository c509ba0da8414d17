"""Starts the forecaster as a process."""

import sys

if __name__ == "__main__":
    # pandas loads Arrow where it is installed (ingest's extra), 30 MB, and does as well without: so in this process
    # it is not there. To be taken away with the first Arrow that the forecaster reads.
    sys.modules.setdefault("pyarrow", None)  # type: ignore[arg-type]

from pems_common.runner import Running, Runtime, run_service
from pems_forecaster.adapters.history_http import HistoryHttp
from pems_forecaster.adapters.trainers import ProcessTrainer
from pems_forecaster.api import forecaster_router
from pems_forecaster.handlers import ForecasterHandlers

__all__ = ["build", "main"]

TRAINING_THREADS, TRAINING_MEMORY_MB = 1, 1500


def build(rt: Runtime) -> Running:
    """Wire the forecaster."""
    history = HistoryHttp(rt.settings.url_of("ingest"), api_key=rt.auth.internal_key)
    folder = rt.settings.data / "forecaster"
    lock = folder / "models" / rt.home.site.id / "training.lock"
    handlers = ForecasterHandlers(
        rt.home,
        rt.clock,
        rt.bus,
        history,
        state_dir=folder,
        trainer=ProcessTrainer(lock, threads=TRAINING_THREADS, memory_mb=TRAINING_MEMORY_MB),
        background=True,
        source=rt.source,
        health=rt.health,
    )
    return Running(service=handlers, routers=[forecaster_router(handlers, rt.auth)])


def main() -> None:
    """Run until told to stop."""
    run_service("forecaster", build, mqtt=False, requires=("redis",))


if __name__ == "__main__":
    main()
