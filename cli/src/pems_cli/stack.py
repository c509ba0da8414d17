"""The whole native stack as parts for the supervisor: which processes, with which environment and ports."""

import os
import sys
import urllib.error
import urllib.request
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

from pems_cli.embedded import MqttBroker, RedisServer
from pems_cli.paths import data_sets_directory
from pems_cli.ports import PortChooser
from pems_cli.run import Run, secret_file
from pems_cli.supervisor import Part, Stage

__all__ = ["SERVICES", "Stack", "StackOptions", "build_stack"]

SERVICES: Mapping[str, int] = {
    "house": 8085,
    "controller": 8084,
    "ingest": 8081,
    "forecaster": 8082,
    "optimizer": 8083,
    "monitor": 8080,
}
"""Services with their usual ports, in the order of starting."""

# Small servers at home: one core for numbers in each process, and little memory kept in reserve.
_FRUGAL = {
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "NUMEXPR_NUM_THREADS": "1",
    "MALLOC_ARENA_MAX": "2",
    "PYTHONUNBUFFERED": "1",
}


@dataclass(frozen=True)
class StackOptions:
    """What of the stack is wanted.

    Attributes:
        services: Names of `SERVICES` to run.
        home: Path of home.yaml.
        armed: Whether the second arming key is given (the first stands in home.yaml).
        sources: live, replay, generated or auto.
        seed: Of the simulated house.
        own_servers: Always start Redis and the broker, even where the environment names others.
    """

    services: Collection[str]
    home: Path
    armed: bool
    sources: str = "auto"
    seed: int = 1
    own_servers: bool = True


@dataclass(frozen=True)
class Stack:
    """The stack of one run.

    Attributes:
        parts: For the supervisor.
        env: Environment of all parts.
        ports: Port of each service that runs, and of `flower`.
        redis: The embedded Redis, None when an outside one is used.
        broker: The embedded broker, None when an outside one is used.
        chooser: Holds the claims on the ports; it knows which servers had to move.
        api_key: The services' internal key.
        flower_password: For user `pems`.
    """

    parts: tuple[Part, ...]
    env: Mapping[str, str]
    ports: Mapping[str, int]
    redis: RedisServer | None
    broker: MqttBroker | None
    chooser: PortChooser
    api_key: str
    flower_password: str

    @property
    def moved(self) -> Mapping[str, tuple[int, int]]:
        """Server name -> (usual port, port taken), where the usual one was busy."""
        return self.chooser.moved

    def url(self, service: str) -> str:
        """Base address of a service."""
        return f"http://127.0.0.1:{self.ports[service]}"


# A proxy named in the environment must not be asked for servers on this machine.
_DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def _http_answers(url: str, accept: Collection[int] = (200,)) -> Callable[[], bool]:
    def answers() -> bool:
        try:
            with _DIRECT.open(url, timeout=1.0) as reply:
                return reply.status in accept
        except urllib.error.HTTPError as error:
            error.close()
            return error.code in accept
        except OSError:
            return False

    return answers


def _log_says(log: Path, words: bytes) -> Callable[[], bool]:
    return lambda: log.is_file() and words in log.read_bytes()


def _optimizer_helpers(run: Run, flower_port: int) -> list[Part]:
    celery = [sys.executable, "-P", "-m", "celery", "-A", "pems_optimizer.worker:app"]
    options = ["--concurrency", "1", "--pool", "prefork", "--loglevel", "INFO"]
    quiet = ["--without-gossip", "--without-mingle"]
    logs = run.directory / "log"
    return [
        Part(
            "worker",
            [*celery, "worker", "-Q", "plan", "-n", "plan@%h", *options, *quiet],
            _log_says(logs / "worker.log", b" ready."),
        ),
        Part(
            "bulk",
            ["nice", "-n", "10", *celery, "worker", "-Q", "bulk", "-n", "bulk@%h", *options, *quiet],
            _log_says(logs / "bulk.log", b" ready."),
        ),
        Part(
            "flower",
            [sys.executable, "-P", "-m", "pems_cli.flower", f"--port={flower_port}"],
            _http_answers(f"http://127.0.0.1:{flower_port}/", (200, 401)),
        ),
    ]


def build_stack(run: Run, options: StackOptions) -> Stack:
    """Choose ports, make secrets, and describe every process of a run.

    Raises:
        ServerStartError: No Redis server is on this machine.
    """
    chooser = PortChooser()
    key_file = run.directory / "internal.key"
    api_key, _ = secret_file(key_file)
    flower_password, _ = secret_file(run.directory / "flower.password")
    env = {
        **_FRUGAL,
        "PEMS_DATA": str(run.directory),
        "PEMS_HOME": str(options.home),
        "PEMS_CLOCK_FILE": str(run.clock_file),
        "PEMS_WORLD_FILE": str(run.world_file),
        "PEMS_INTERNAL_KEY_FILE": str(key_file),
        "PEMS_SOURCES": options.sources,
        "PEMS_RUN_ID": run.run_id,
        "PEMS_SEED": str(options.seed),
        "PEMS_ARM": "yes" if options.armed else "no",
        "NICEGUI_STORAGE_PATH": str(run.directory / "nicegui"),
    }
    if (data_sets := data_sets_directory()) is not None:
        env["PEMS_DATA_DIR"] = str(data_sets)

    parts: list[Part] = []
    redis: RedisServer | None = None
    if options.own_servers or not os.environ.get("PEMS_REDIS_URL"):
        redis = RedisServer(run.directory / "redis", chooser.choose("Redis", 6379))
        env["PEMS_REDIS_URL"] = redis.url
        parts.append(Part("redis", redis.command(), redis.answers, Stage.SERVER))
    broker: MqttBroker | None = None
    if options.own_servers or not os.environ.get("PEMS_MQTT_HOST"):
        broker = MqttBroker(run.directory / "mqtt", chooser.choose("MQTT", 1883))
        env |= {"PEMS_MQTT_HOST": broker.host, "PEMS_MQTT_PORT": str(broker.port)}
        parts.append(Part("broker", broker.command(), broker.answers, Stage.SERVER))

    ports = {name: chooser.choose(name, port) for name, port in SERVICES.items()}
    for name, port in ports.items():
        env[f"PEMS_{name.upper()}_PORT"] = str(port)
        env[f"PEMS_{name.upper()}_URL"] = f"http://127.0.0.1:{port}"
    ports["flower"] = chooser.choose("Flower", 5555)
    env["PEMS_FLOWER_PORT"] = str(ports["flower"])

    if options.own_servers:  # real devices send to the port that home.yaml names
        env["PEMS_LOXONE_UDP_PORT"] = str(chooser.choose("Loxone UDP", 2000, udp=True))

    for name in SERVICES:
        if name in options.services:
            command = [sys.executable, "-P", "-m", f"pems_{name}.main"]
            stage = Stage.HOUSE if name == "house" else Stage.SERVICE
            parts.append(Part(name, command, _http_answers(f"http://127.0.0.1:{ports[name]}/health/ready"), stage))
    if "optimizer" in options.services:
        parts += _optimizer_helpers(run, ports["flower"])
    return Stack(tuple(parts), env, ports, redis, broker, chooser, api_key, flower_password)
