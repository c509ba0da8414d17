"""A stand-in for one service of the stack: ``python toy_service.py NAME``, for tests of the command line.

The toy controller follows a plan while the toy optimizer answers, and its rules otherwise; the toy house counts
cost; the toy ingest stores a point and writes to the stream each tenth of a second, and loses a series when killed.
"""

import contextlib
import json
import os
import sys
import threading
import time
import urllib.error
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import redis

NAME = sys.argv[1]
BEGUN = time.monotonic()
stored = 0
forgotten = 0


def _optimizer_answers() -> bool:
    try:
        with urllib.request.urlopen(os.environ["PEMS_OPTIMIZER_URL"] + "/health/ready", timeout=0.5):
            return True
    except OSError:
        return False


def _status() -> dict[str, Any]:
    planned = _optimizer_answers()
    device = {"mode": "mpc" if planned else "rule_based", "since": "2026-01-15T05:00:00Z", "why": "toy"}
    devices = {"battery": device, "obyvak": device, "ev": {**device, "mode": "released"}}
    return {
        "house_mode": device["mode"],
        "devices": devices,
        "plan_id": "plan-1" if planned else "",
        "plan_age_s": 60.0,
        "violations": os.environ.get("TOY_VIOLATIONS", "").split(),
    }


def _answer(path: str) -> Any:
    seconds = time.monotonic() - BEGUN
    if path == "/health/ready":
        return {"ready": True}
    if (NAME, path) == ("controller", "/v1/status"):
        return _status()
    if (NAME, path) == ("house", "/v1/truth"):
        return {"energy_cost_czk": 10 + seconds, "comfort_below_k_h": {"obyvak": 0.5 * seconds}}
    if (NAME, path) == ("ingest", "/v1/series"):
        return {"series": [{"series": "pv_power_w", "count": stored}, {"series": "forgotten", "count": forgotten}]}
    if (NAME, path) == ("optimizer", "/v1/plan"):
        return {"solver": {"status": "optimal"}}
    return None


class _Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        content = _answer(self.path)
        self.send_response(200 if content is not None else 404)
        self.end_headers()
        self.wfile.write(json.dumps(content).encode())

    def log_message(self, *_: object) -> None:
        """Stay silent."""


def _store_for_ever() -> None:
    global stored
    client = redis.Redis.from_url(os.environ["PEMS_REDIS_URL"])
    while True:
        stored += 1
        with contextlib.suppress(redis.RedisError):
            client.xadd("pems.telemetry", {"n": stored})
        time.sleep(0.1)


if __name__ == "__main__":
    if NAME == "ingest":
        marker = Path(os.environ["PEMS_DATA"]) / "ingest-was-here"
        forgotten = 0 if marker.exists() else 5  # what this toy loses when it is killed
        marker.touch()
        threading.Thread(target=_store_for_ever, daemon=True).start()
    ThreadingHTTPServer(("127.0.0.1", int(os.environ[f"PEMS_{NAME.upper()}_PORT"])), _Handler).serve_forever()
