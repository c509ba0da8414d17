"""Health check of a container: asks the service in it, or its Celery worker. Exit 0 means healthy.

python -m pems_cli.health_probe 8081                  # GET /health/ready answers 200
python -m pems_cli.health_probe 5555 / 401            # another path, another status
python -m pems_cli.health_probe celery                # the worker of this host sends its heartbeat
"""

import base64
import binascii
import json
import os
import socket
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

__all__ = ["heartbeat_host", "http_healthy", "main", "worker_healthy"]


def http_healthy(port: int, path: str = "/health/ready", wanted: int = 200) -> bool:
    """Tell whether a server of this host answers a path with the wanted status within 3 s."""
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with direct.open(f"http://127.0.0.1:{port}{path}", timeout=3.0) as reply:
            return int(reply.status) == wanted
    except urllib.error.HTTPError as error:
        error.close()
        return error.code == wanted
    except OSError:
        return False


def heartbeat_host(message: bytes) -> str:
    """Return the host that a worker's heartbeat (a message of Celery's event exchange) comes from, or nothing."""
    try:
        body = base64.b64decode(json.loads(message)["body"])
        return str(json.loads(body)["hostname"]).partition("@")[2]
    except (ValueError, KeyError, TypeError, binascii.Error):
        return ""


def worker_healthy(wait_s: float = 8.0) -> bool:
    """Tell whether the Celery worker of this host sends a heartbeat (it does every 2 s, also while it solves).

    Listening costs a fraction of what a ping by Celery's own command does, which imports the solver each time.
    """
    from redis import Redis
    from redis.exceptions import RedisError

    password_file = os.environ.get("PEMS_REDIS_PASSWORD_FILE")
    password = Path(password_file).read_text().strip() if password_file else None
    client = Redis.from_url(os.environ["PEMS_REDIS_URL"], password=password, socket_timeout=3, socket_connect_timeout=3)
    try:
        with client.pubsub(ignore_subscribe_messages=True) as channel:  # type: ignore[no-untyped-call]
            channel.psubscribe("/*.celeryev/worker.heartbeat")
            end = time.monotonic() + wait_s
            while time.monotonic() < end:
                message = channel.get_message(timeout=1.0)
                if message is not None and heartbeat_host(message["data"]) == socket.gethostname():
                    return True
    except RedisError:
        pass
    finally:
        client.close()
    return False


def main(arguments: list[str]) -> int:
    """Run the check that the arguments name; returns the exit status."""
    if arguments[:1] == ["celery"]:
        return 0 if worker_healthy() else 1
    port = int(arguments[0])
    path = arguments[1] if len(arguments) > 1 else "/health/ready"
    wanted = int(arguments[2]) if len(arguments) > 2 else 200
    return 0 if http_healthy(port, path, wanted) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
