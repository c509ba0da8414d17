"""The other services over HTTP: their health, measured history, room models, and the controller's overrides.

Every call has a limit in wall time and answers with a plain outcome: a page must not hang on a dead service.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import httpx

from pems_common.home import Home
from pems_monitor.domain.measured import HISTORY_SERIES
from pems_monitor.domain.state import ServiceHealth

__all__ = ["Outcome", "OverrideRequest", "ServiceClients"]

_HEALTH_TIMEOUT_S = 2.0
_CALL_TIMEOUT_S = 5.0
_MAX_REPLY_BYTES = 8_000_000


@dataclass(frozen=True)
class OverrideRequest:
    """What a person asks of a device for a while."""

    device: str
    action: str
    params: Mapping[str, float]
    minutes: int
    by: str = "page"


@dataclass(frozen=True)
class Outcome:
    """What became of a wish. `reason` is the service's own words, or empty where it did not answer."""

    ok: bool
    reachable: bool
    reason: str = ""


class ServiceClients:
    """Calls the services of one house. The internal key stays on this side."""

    def __init__(self, client: httpx.AsyncClient, urls: Mapping[str, str], *, internal_key: str, home: Home) -> None:
        """Use `client` for the base URLs by service name."""
        self._client = client
        self._urls = {name: url.rstrip("/") for name, url in urls.items() if url}
        self._headers = {"X-API-Key": internal_key}
        self._home = home

    @property
    def names(self) -> tuple[str, ...]:
        """Services that have an address."""
        return tuple(self._urls)

    async def health(self, name: str) -> ServiceHealth:
        """Ask a service whether it is ready."""
        try:
            reply = await self._client.get(f"{self._urls[name]}/health/ready", timeout=_HEALTH_TIMEOUT_S)
        except httpx.HTTPError:
            return ServiceHealth(name, "down", "does not answer")
        if reply.status_code == httpx.codes.OK:
            return ServiceHealth(name, "ready")
        failing = _json_object(reply).get("failing", [])
        detail = ", ".join(str(item) for item in failing) if isinstance(failing, list | dict) else ""
        return ServiceHealth(name, "degraded", detail[:200])

    async def history(self, start: datetime, end: datetime) -> dict[str, list[float | None]]:
        """Slot means of the measured series over `[start, end)`; empty where ingest is away or has none."""
        if "ingest" not in self._urls:
            return {}
        series = [*HISTORY_SERIES, "ev.power_w", "water.power_w"]
        series += [f"room.{name}.relay_on" for name in self._home.rooms]
        params: list[tuple[str, str | int | float | bool | None]] = [("series", name) for name in series]
        params += [("start", start.isoformat()), ("end", end.isoformat()), ("step_s", "900")]
        try:
            reply = await self._client.get(
                f"{self._urls['ingest']}/v1/history", params=params, headers=self._headers, timeout=_CALL_TIMEOUT_S
            )
        except httpx.HTTPError:
            return {}
        if reply.status_code != httpx.codes.OK or len(reply.content) > _MAX_REPLY_BYTES:
            return {}
        columns = _json_object(reply).get("series", {})
        if not isinstance(columns, dict):
            return {}
        return {str(name): [_float(v) for v in values] for name, values in columns.items() if isinstance(values, list)}

    async def set_override(self, request: OverrideRequest) -> Outcome:
        """Ask the controller to override a device."""
        body = {
            "action": request.action,
            "params": dict(request.params),
            "minutes": request.minutes,
            "by": request.by,
        }
        return await self._controller("PUT", request.device, body)

    async def end_override(self, device: str) -> Outcome:
        """Ask the controller to end the override of a device."""
        return await self._controller("DELETE", device, None)

    async def room_models(self) -> dict[str, Any]:
        """What the forecaster knows of all rooms; empty where it is away or does not tell."""
        return await self._forecaster("/v1/rooms")

    async def room_model(self, room: str) -> dict[str, Any]:
        """What it knows of one room, with parameters and a picture; empty where it is away or does not know it."""
        return await self._forecaster(f"/v1/rooms/{room}") if room in self._home.rooms else {}

    async def identify_rooms(self) -> Outcome:
        """Ask the forecaster to identify all rooms anew."""
        return await self._ask("forecaster", "POST", "/v1/rooms/identify", None)

    async def _forecaster(self, path: str) -> dict[str, Any]:
        if "forecaster" not in self._urls:
            return {}
        url = f"{self._urls['forecaster']}{path}"
        try:
            reply = await self._client.get(url, headers=self._headers, timeout=_CALL_TIMEOUT_S)
        except httpx.HTTPError:
            return {}
        if reply.status_code != httpx.codes.OK or len(reply.content) > _MAX_REPLY_BYTES:
            return {}
        return _json_object(reply)

    async def _controller(self, method: str, device: str, body: Mapping[str, Any] | None) -> Outcome:
        if device not in self._home.device_names:
            return Outcome(False, True, "unknown device")
        return await self._ask("controller", method, f"/v1/overrides/{device}", body)

    async def _ask(self, service: str, method: str, path: str, body: Mapping[str, Any] | None) -> Outcome:
        if service not in self._urls:
            return Outcome(False, False)
        url = f"{self._urls[service]}{path}"
        try:
            reply = await self._client.request(method, url, json=body, headers=self._headers, timeout=_CALL_TIMEOUT_S)
        except httpx.HTTPError:
            return Outcome(False, False)
        if reply.is_success:
            return Outcome(True, True)
        problem = _json_object(reply)
        return Outcome(False, True, str(problem.get("detail") or problem.get("title") or "")[:300])


def _json_object(reply: httpx.Response) -> dict[str, Any]:
    try:
        data = reply.json()
    except ValueError:
        return {}
    return data if isinstance(data, dict) else {}


def _float(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None
