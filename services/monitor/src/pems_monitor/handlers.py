"""What the monitor does with messages: it keeps the latest of each type and turns them into what the page shows."""

from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, Protocol

from pems_common.bus import Bus
from pems_common.clock import Clock
from pems_common.errors import PemsError, PermanentError
from pems_common.home import Home
from pems_common.messages import (
    Alert,
    Certificate,
    Envelope,
    Forecast,
    Plan,
    Prices,
    Score,
    Status,
    Telemetry,
    Thermal,
    Weather,
    read_body,
)
from pems_common.timegrid import slot_start
from pems_monitor.domain.alerts import AlertBook
from pems_monitor.domain.kpi import DayLedger, Kpi
from pems_monitor.domain.measured import SlotMeans, merged_past
from pems_monitor.domain.plan_view import PAST, PlanView, plan_view
from pems_monitor.domain.room_models import read_room_models
from pems_monitor.domain.state import DayScore, HouseState, ServiceHealth

__all__ = ["Documents", "MonitorHandlers"]

_STATUS_SILENT_HOUSE_S = 300.0
_STATUS_SILENT_WALL_S = 10.0


class Documents(Protocol):
    """Where the monitor keeps small JSON documents over a restart."""

    def document(self, name: str) -> Any:
        """A kept document, None where there is none."""

    def keep(self, name: str, content: Any) -> None:
        """Keep a document."""


class MonitorHandlers:
    """The monitor's use cases. Nothing here waits for another service: those results are handed in."""

    def __init__(self, home: Home, clock: Clock, bus: Bus, documents: Documents) -> None:
        """Watch the house of `home` on `bus`."""
        self.home = home
        self.clock = clock
        self._bus = bus
        self._documents = documents
        self._state = HouseState()
        self._book = AlertBook()
        self._ledger = DayLedger()
        self._means = SlotMeans()
        self._history: Mapping[str, Sequence[float | None]] = {}
        self._history_start: datetime | None = None
        self._version = 0
        self._plan_view: tuple[tuple[int, datetime], PlanView] | None = None

    # --- Service

    @property
    def name(self) -> str:
        """Name of the service."""
        return "monitor"

    @property
    def tick_every(self) -> timedelta:
        """House time between ticks."""
        return timedelta(minutes=1)

    @property
    def watches(self) -> Collection[str]:
        """State messages that the page shows."""
        return ("telemetry", "prices", "weather", "forecast", "plan", "certificate", "status", "thermal", "score")

    async def start(self) -> None:
        """Take up the day's sums and the alerts where the last run left them."""
        ledger = self._documents.document("day")
        if isinstance(ledger, dict):
            self._ledger = DayLedger.from_json(ledger)
        stored = self._documents.document("alerts")
        for item in stored if isinstance(stored, list) else ():
            try:
                self._book.put(Alert.read(item))
            except ValueError:
                continue
        self._alerts_changed(save=False)

    async def on_state(self, poke: Envelope) -> None:
        """Load the latest of the poked type and subject; the poke itself where the key cannot be read now."""
        if poke.site != self.home.site.id:
            return
        envelope: Envelope | None = None
        with suppress(PemsError):
            envelope = await self._bus.latest(poke.type, poke.site, poke.subject)
        self._show(poke if envelope is None or envelope.seq < poke.seq else envelope)

    def _show(self, envelope: Envelope) -> None:
        try:
            self._take(envelope)
        except PermanentError:
            return  # of a newer version, or damaged: keep showing what was understood last
        self._version += 1

    async def tick(self) -> None:
        """Refresh the measured past, save the day's sums, and ask again for what never came."""
        await self._fetch_missing()
        self._refresh_past()
        self._documents.keep("day", self._ledger.to_json())

    async def stop(self) -> None:
        """Save the day's sums."""
        self._documents.keep("day", self._ledger.to_json())

    # --- what the outside hands in

    async def on_alert(self, envelope: Envelope) -> None:
        """Take in one entry of the alert work stream.

        Raises:
            PermanentError: It cannot be read.
        """
        if envelope.site != self.home.site.id:
            return
        if self._book.put(read_body(envelope, Alert)):
            self._alerts_changed(save=True)

    def set_services(self, services: Sequence[ServiceHealth]) -> None:
        """Keep who is alive."""
        if tuple(services) != self._state.services:
            self._state = replace(self._state, services=tuple(services))
            self._version += 1

    def set_history(self, start: datetime, series: Mapping[str, Sequence[float | None]]) -> None:
        """Keep slot means from the history on the grid beginning at `start`; an empty answer keeps the last one."""
        if series:
            self._history, self._history_start = series, start
            self._refresh_past()

    def set_room_models(self, answer: Mapping[str, Any]) -> None:
        """Keep what the forecaster told of the rooms' models; an empty answer keeps the last one."""
        models = read_room_models(answer)
        if answer and models != self._state.room_models:
            self._state = replace(self._state, room_models=models)
            self._version += 1

    def dismiss_alert(self, alert: Alert) -> None:
        """End an alert by hand."""
        if self._book.dismiss(alert, self.clock.now()):
            self._alerts_changed(save=True)

    def set_status_after_override(self, device: str, *, ended: bool) -> None:
        """Show the end of an override at once; the controller's next report confirms it."""
        status = self._state.status
        if status is not None and ended:
            kept = tuple(entry for entry in status.overrides if entry.device != device)
            self._state = replace(self._state, status=status.model_copy(update={"overrides": kept}))
            self._version += 1

    # --- what the page asks

    @property
    def state(self) -> HouseState:
        """The latest messages."""
        return self._state

    @property
    def version(self) -> int:
        """Grows with every change of the state."""
        return self._version

    @property
    def history_window(self) -> tuple[datetime, datetime]:
        """The past slots that the page shows: `[start, end)`."""
        end = slot_start(self.clock.now())
        return end - PAST, end

    @property
    def status_silent_after(self) -> timedelta:
        """House time after which a controller that said nothing counts as silent."""
        return timedelta(seconds=max(_STATUS_SILENT_HOUSE_S, _STATUS_SILENT_WALL_S * self.clock.speed))

    def kpi(self) -> Kpi | None:
        """Key figures of the running local day."""
        return self._ledger.kpi(self.clock.now(), self.home)

    def plan_chart(self) -> tuple[int, PlanView]:
        """The plan's arrays and a number that changes when they do; computed once for all clients."""
        now = self.clock.now()
        here = slot_start(now)
        stamp = (hash((self._sources_of_plan(), here)), here)
        if self._plan_view is None or self._plan_view[0] != stamp:
            self._plan_view = (stamp, plan_view(self._state, self.home, now))
        return self._plan_view[0][0], self._plan_view[1]

    # --- inside

    async def _fetch_missing(self) -> None:
        """Read the keys of types of which nothing is known: their only poke may have come in a bad moment."""
        state = self._state
        known: dict[str, object] = {
            "telemetry": state.telemetry,
            "prices": state.prices,
            "weather": state.weather or None,
        }
        known |= {"forecast": state.forecast, "plan": state.plan, "status": state.status, "score": state.scores or None}
        for name in (name for name, value in known.items() if value is None):
            with suppress(PemsError):
                for envelope in (await self._bus.latest_all(name, self.home.site.id)).values():
                    self._show(envelope)

    def _sources_of_plan(self) -> tuple[int, ...]:
        state = self._state
        return tuple(id(part) for part in (state.plan, state.prices, state.forecast, state.past))

    def _take(self, envelope: Envelope) -> None:
        state = self._state
        if envelope.type == "telemetry":
            telemetry = read_body(envelope, Telemetry)
            self._state = replace(state, telemetry=telemetry, telemetry_at=envelope.at)
            self._ledger.add(envelope.at, telemetry, state.prices, self.home)
            self._means.add(envelope.at, telemetry, self.home)
        elif envelope.type == "prices":
            self._state = replace(state, prices=read_body(envelope, Prices))
        elif envelope.type == "weather":
            weather = {**state.weather, envelope.subject: read_body(envelope, Weather)}
            self._state = replace(state, weather=weather)
        elif envelope.type == "forecast":
            self._state = replace(state, forecast=read_body(envelope, Forecast))
        elif envelope.type == "plan":
            self._state = replace(state, plan=read_body(envelope, Plan))
        elif envelope.type == "certificate":
            self._state = replace(state, certificate=read_body(envelope, Certificate))
        elif envelope.type == "status":
            self._state = replace(state, status=read_body(envelope, Status), status_at=envelope.at)
        elif envelope.type == "thermal":
            thermal = {**state.thermal, envelope.subject: read_body(envelope, Thermal)}
            self._state = replace(state, thermal=thermal)
        elif envelope.type == "score":
            scores = {**state.scores, envelope.subject: DayScore(read_body(envelope, Score), envelope.at)}
            self._state = replace(state, scores=scores)

    def _refresh_past(self) -> None:
        start, end = self.history_window
        history: dict[str, list[float | None]] = {}
        if self._history_start is not None:
            shift = int((start - self._history_start) / timedelta(minutes=15))
            count = int((end - start) / timedelta(minutes=15))
            for name, values in self._history.items():
                history[name] = [values[i] if 0 <= i < len(values) else None for i in range(shift, shift + count)]
        past = merged_past(self._means, history, start, end, self.home)
        if past != self._state.past:
            self._state = replace(self._state, past=past)
            self._version += 1

    def _alerts_changed(self, *, save: bool) -> None:
        self._state = replace(self._state, alerts=self._book.active, ended_alerts=self._book.ended)
        self._version += 1
        if save:
            alerts = [*self._book.active, *self._book.ended]
            self._documents.keep("alerts", [alert.model_dump(mode="json") for alert in alerts])
