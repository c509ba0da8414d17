"""The controller as a process."""

from pems_common.runner import Running, Runtime, run_service
from pems_controller.adapters.claim import HostLock
from pems_controller.adapters.home_assistant import availability_topic
from pems_controller.adapters.store import ControllerStore
from pems_controller.api import build_router
from pems_controller.handlers import ControllerHandlers
from pems_controller.metrics import exporter

__all__ = ["build", "main"]

_locks: list[HostLock] = []  # held until the process ends, however it ends


def build(rt: Runtime) -> Running:
    """Wire the controller.

    Raises:
        PemsError: Another controller of this site runs on this host, or the store cannot be opened.
    """
    folder, site = rt.settings.data / "controller", rt.home.site.id
    _locks.append(HostLock(folder / f"{site}.lock"))
    handlers = ControllerHandlers(
        rt.home,
        rt.clock,
        rt.bus,
        rt.mqtt,
        ControllerStore(folder / f"{site}.sqlite"),
        armed_env=rt.settings.arm,
        instance=rt.instance,
        background=True,
    )
    rt.mqtt.will(availability_topic(site), "offline", retain=True)
    rt.mqtt.on_connect(handlers.on_mqtt_connect)
    return Running(
        service=handlers,
        routers=[build_router(handlers, rt.clock, rt.auth.require_write)],
        background=[handlers.beat_for_ever, handlers.report_for_ever, exporter(rt.metrics, handlers, rt.clock)],
    )


def main() -> None:
    """Run until told to stop."""
    run_service("controller", build, mqtt=True, requires=("mqtt",))


if __name__ == "__main__":
    main()
