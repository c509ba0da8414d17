"""Starts the simulated house as a process."""

import sys

from pems_common.errors import PemsError
from pems_common.home import load_home
from pems_common.runner import Running, Runtime, run_service
from pems_common.settings import ServiceSettings
from pems_common.world import open_world
from pems_house.adapters.udp import UdpSender
from pems_house.api import create_router
from pems_house.handlers import HouseHandlers
from pems_house.settings import HouseSettings

__all__ = ["build", "main"]


def build(rt: Runtime) -> Running:
    """Wire the house."""
    settings, site = HouseSettings(), rt.home.site
    world = open_world(rt.settings.world_file, latitude=site.latitude, longitude=site.longitude, seed=rt.settings.seed)
    udp = UdpSender(settings.loxone_udp_host, settings.loxone_udp_port or rt.home.devices.sensors.udp_port)

    async def drop(gone: bool) -> None:
        await (rt.mqtt.stop() if gone else rt.mqtt.start())

    house = HouseHandlers(rt.home, rt.clock, rt.mqtt, world, seed=rt.settings.seed, udp=udp, drop=drop)
    rt.mqtt.will(rt.home.devices.inverter.state_topic, '{"InverterStatus": -1}', True)
    rt.mqtt.on_connect(house.reconnected)
    rt.log.info("simulated house", world=world.label, rooms=len(rt.home.rooms), seed=rt.settings.seed)
    return Running(house, routers=[create_router(house, rt.auth)])


def _devices_are_real() -> bool:
    try:
        return not load_home(ServiceSettings().home).devices.simulated
    except (PemsError, ValueError):
        return False  # run_service tells what is wrong


def main() -> None:
    """Run until told to stop; end at once, and well, where home.yaml names real devices."""
    if _devices_are_real():
        print("house: home.yaml names real devices (devices.simulated: false), nothing to simulate", file=sys.stderr)
        return
    run_service("house", build, requires=("mqtt",))


if __name__ == "__main__":
    main()
