"""Prometheus metrics of the controller: its modes, and everything it counts."""

from collections import Counter
from collections.abc import Callable, Coroutine
from typing import Any, get_args

from pems_common.clock import Clock
from pems_common.messages import Mode
from pems_common.metrics import Metrics
from pems_controller.handlers import ControllerHandlers

__all__ = ["exporter"]

_EVERY_WALL_S = 5.0


def exporter(metrics: Metrics, handlers: ControllerHandlers, clock: Clock) -> Callable[[], Coroutine[Any, Any, None]]:
    """Return a background task that copies the controller's counts into metrics every 5 wall seconds."""
    modes = metrics.gauge("controller_devices", "Devices by mode", ["mode"])
    events = metrics.gauge("controller_events", "Events since the start (rejected payloads, NAKs, ...)", ["kind"])
    armed = metrics.gauge("controller_armed", "1 when both keys are turned and nobody disarmed")

    async def export_for_ever() -> None:
        while True:
            status = handlers.status
            if status is not None:
                count = Counter(device.mode for device in status.devices.values())
                for mode in get_args(Mode):
                    modes.labels(mode).set(count[mode])
                armed.set(status.armed)
            for kind, number in list(handlers.counters.items()):
                events.labels(kind).set(number)
            await clock.sleep_wall(_EVERY_WALL_S)

    return export_for_ever
