"""Watches a running stack from outside, by its REST and Redis, and adds up what a report tells."""

from collections import Counter, defaultdict
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import httpx
import redis

from pems_cli.stack import Stack

__all__ = ["Observer", "difference", "mode_shares"]

_TIMEOUT_S = 2.0


def mode_shares(counts: Mapping[str, Counter[str]]) -> dict[str, dict[str, float]]:
    """Share of the samples that each device spent in each mode, 0..1."""
    return {
        device: {mode: round(n / counter.total(), 4) for mode, n in counter.most_common()}
        for device, counter in sorted(counts.items())
        if counter.total()
    }


def difference(before: Any, after: Any) -> Any:
    """`after - before` for counters, however nested; what is no number is left out."""
    if isinstance(after, Mapping):
        old = before if isinstance(before, Mapping) else {}
        pairs = {key: difference(old.get(key), value) for key, value in after.items()}
        return {key: value for key, value in pairs.items() if value is not None}
    if isinstance(after, int | float) and not isinstance(after, bool):
        start = before if isinstance(before, int | float) else 0.0
        return round(after - start, 6)
    return None


class Observer:
    """Reads status and truth; whatever does not answer is simply missing from the sums.

    Attributes:
        modes: Samples of each device's mode.
        house_modes: Samples of the house's mode.
        plan_ids: Plans that the controller followed.
        violations: What the controller called broken, each once.
        missed: Samples that the controller did not answer.
    """

    def __init__(self, stack: Stack) -> None:
        """Watch this stack."""
        self._stack = stack
        self._http = httpx.Client(
            timeout=_TIMEOUT_S, headers={"X-API-Key": stack.api_key}, trust_env=False, follow_redirects=True
        )
        self.modes: defaultdict[str, Counter[str]] = defaultdict(Counter)
        self.house_modes: Counter[str] = Counter()
        self.plan_ids: set[str] = set()
        self.violations: set[str] = set()
        self.missed = 0
        self._truth_before: Any = None

    def get(self, service: str, path: str) -> Any:
        """JSON of a service's page, or None when it does not answer well."""
        try:
            reply = self._http.get(self._stack.url(service) + path)
            return reply.json() if reply.status_code == httpx.codes.OK else None
        except (httpx.HTTPError, ValueError):
            return None

    def status(self) -> dict[str, Any] | None:
        """The controller's status (the body of the `status` message)."""
        status = self.get("controller", "/v1/status")
        if isinstance(status, dict) and isinstance(status.get("body"), dict):
            status = status["body"]
        return status if isinstance(status, dict) else None

    def begin(self) -> None:
        """Remember the counters as they are: the report tells what came after."""
        self._truth_before = self.get("house", "/v1/truth")

    def sample(self) -> dict[str, Any] | None:
        """Count the modes as they are now; returns the status."""
        status = self.status()
        if status is None:
            self.missed += 1
            return None
        for device, state in (status.get("devices") or {}).items():
            self.modes[device][str(state.get("mode"))] += 1
        self.house_modes[str(status.get("house_mode"))] += 1
        if status.get("plan_id"):
            self.plan_ids.add(str(status["plan_id"]))
        for violation in status.get("violations") or []:
            self.violations.add(str(violation))
        return status

    def stored(self) -> dict[str, int]:
        """Points stored per series, from ingest; empty when it does not answer."""
        answer = self.get("ingest", "/v1/series")
        rows = answer.get("series", []) if isinstance(answer, dict) else []
        return {str(row["series"]): int(row["count"]) for row in rows}

    def plan_status(self) -> str | None:
        """How the newest plan came about (optimal, incumbent, fallback), from the optimizer."""
        plan = self.get("optimizer", "/v1/plan")
        if isinstance(plan, dict) and isinstance(plan.get("body"), dict):
            plan = plan["body"]
        solver = plan.get("solver") if isinstance(plan, dict) else None
        return str(solver["status"]) if isinstance(solver, dict) and "status" in solver else None

    def bus(self) -> dict[str, Any]:
        """Dead letters and entries ever written per stream, from Redis itself."""
        dead: dict[str, int] = {}
        written: dict[str, int] = {}
        with suppress(redis.RedisError):
            client = redis.Redis.from_url(
                self._stack.env.get("PEMS_REDIS_URL", ""), socket_timeout=_TIMEOUT_S, decode_responses=True
            )
            with client:
                for key in client.scan_iter(match="pems.*", count=500, _type="stream"):
                    if key.endswith(".dlq"):
                        dead[key] = int(client.xlen(key))
                    else:
                        written[key.removeprefix("pems.")] = int(client.xinfo_stream(key)["entries-added"])
        return {"dead_letters": dead, "written": written}

    def beyond_limits_s(self) -> dict[str, float]:
        """House seconds since `begin` that something was beyond a limit, by the house's own account."""
        truth = self.get("house", "/v1/truth")
        gained = difference(self._truth_before, truth) if isinstance(truth, dict) else {}
        return {str(name): float(seconds) for name, seconds in (gained.get("violations_s") or {}).items()}

    def report(self) -> dict[str, Any]:
        """What was seen since `begin`."""
        truth = self.get("house", "/v1/truth")
        gained = difference(self._truth_before, truth) if isinstance(truth, dict) else {}
        bus = self.bus()
        comfort = gained.get("comfort_below_k_h") or {}
        return {
            "house_modes": mode_shares({"house": self.house_modes}).get("house", {}),
            "modes": mode_shares(self.modes),
            "samples": self.house_modes.total(),
            "samples_missed": self.missed,
            "plans": bus["written"].get("plan", 0),
            "plans_used": len(self.plan_ids),
            "cost_czk": gained.get("energy_cost_czk"),
            "comfort_below_band_k_h": round(sum(comfort.values()), 3) if comfort else None,
            "violations": sorted(self.violations),
            "beyond_limits_s": gained.get("violations_s"),
            "truth_gained": gained,
            "truth": truth,
            "dead_letters": sum(bus["dead_letters"].values()),
            "dead_letters_by_stream": bus["dead_letters"],
            "messages": bus["written"],
        }

    def close(self) -> None:
        """End connections."""
        self._http.close()
