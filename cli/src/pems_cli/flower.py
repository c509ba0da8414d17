"""Flower, the view on Celery, with basic auth: `python -m pems_cli.flower --address A --port P`.

User `pems`; the password lies in `flower.password` beside the internal key, made at first start. It reaches Flower
by environment, never by the command line, where every process list would show it.
"""

import argparse
import os
import sys
from pathlib import Path

from pems_cli.run import secret_file

__all__ = ["main"]


def main() -> None:
    """Replace this process by Flower."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--address", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=5555)
    arguments = parser.parse_args()
    password, _ = secret_file(Path(os.environ["PEMS_INTERNAL_KEY_FILE"]).with_name("flower.password"))
    command = [sys.executable, "-P", "-m", "celery", "-A", "pems_optimizer.worker:app", "flower"]
    command += [f"--address={arguments.address}", f"--port={arguments.port}"]
    os.execve(command[0], command, {**os.environ, "FLOWER_BASIC_AUTH": f"pems:{password}"})  # noqa: S606


if __name__ == "__main__":
    main()
