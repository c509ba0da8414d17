"""Flower, the view on Celery, with basic auth: `python -m pems_cli.flower --address A --port P`.

User `pems`; the password lies in `flower.password` beside the internal key, made at first start. It and the queue's
address reach Flower by environment, never by the command line, where every process list would show them. Flower is
not given the workers' app: it only needs the address, and would load the whole solver with it.
"""

import argparse
import os
import sys
from pathlib import Path

from pems_cli.run import secret_file
from pems_common.settings import ServiceSettings
from pems_optimizer.adapters.celery_app import broker_url

__all__ = ["main"]


def main() -> None:
    """Replace this process by Flower."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--address", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=5555)
    arguments = parser.parse_args()
    password, _ = secret_file(Path(os.environ["PEMS_INTERNAL_KEY_FILE"]).with_name("flower.password"))
    command = [sys.executable, "-P", "-m", "celery", "flower"]
    command += [f"--address={arguments.address}", f"--port={arguments.port}"]
    secrets = {
        "CELERY_BROKER_URL": broker_url(ServiceSettings().redis_address()),
        "FLOWER_BASIC_AUTH": f"pems:{password}",
    }
    os.execve(command[0], command, {**os.environ, **secrets})  # noqa: S606


if __name__ == "__main__":
    main()
