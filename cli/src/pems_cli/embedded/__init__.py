"""Redis and MQTT servers without Docker: the ones on PATH, else the ones that came as packages."""

from pems_cli.embedded.mqtt_broker import MqttBroker
from pems_cli.embedded.redis_server import RedisServer
from pems_cli.embedded.server import EmbeddedServer, ServerStartError

__all__ = ["EmbeddedServer", "MqttBroker", "RedisServer", "ServerStartError"]
