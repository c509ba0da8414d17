"""The Growatt inverter over MQTT: one command at a time, each answered, written only when it changes something.

An answer counts only if it is live and carries the id of the command (the result topic is retained). Every write is
counted before it is sent, since a lost answer may have been a write all the same.
"""

import asyncio
from collections import Counter
from contextlib import suppress
from datetime import datetime
from math import inf
from typing import Literal

from pems_common.clock import Clock
from pems_common.dialects import growatt_oig as oig
from pems_common.dialects.result import Rejected
from pems_common.errors import UnavailableError
from pems_common.home import Battery, Home
from pems_common.ids import new_id
from pems_common.mqtt import Mqtt, MqttMessage
from pems_controller.adapters.live_state import LiveState
from pems_controller.adapters.store import ControllerStore
from pems_controller.domain.battery_limits import FLOOR_LEAVE_PCT
from pems_controller.domain.inverter_modes import (
    InverterTarget,
    Registers,
    after,
    before,
    read_back,
    refused,
    target_of,
    writes,
)
from pems_controller.domain.state import BatteryWish, Wish
from pems_controller.ports import Outcome

__all__ = ["GrowattInverter"]

ANSWER_WALL_S = 10.0
HAND_BACK_ANSWER_WALL_S = 2.0  # a stopping process has a few seconds only: the command is said again within them
TIMEOUT_RETRIES = 4
NAK_TRIES = 2
_AFTER_SILENCE_S = 60.0  # house seconds without a new attempt after the retries were in vain
_AFTER_NAK_S = 900.0
_CLOCK_OFF_S = 60.0
_KINDS: tuple[oig.SlotKind, ...] = ("batteryfirst", "gridfirst")
Ack = Literal["success", "nak", "timeout"]


class GrowattInverter:
    """Carries battery wishes out on one inverter."""

    def __init__(
        self,
        home: Home,
        battery: Battery,
        clock: Clock,
        mqtt: Mqtt,
        store: ControllerStore,
        live: LiveState,
        counters: Counter[str],
    ) -> None:
        """Subscribe to the answers."""
        self._home, self._battery, self._clock, self._mqtt = home, battery, clock, mqtt
        self._store, self._live, self._counters = store, live, counters
        self._zone = home.site.zone
        self._waiting: dict[str, asyncio.Future[oig.CommandResult]] = {}
        self._registers = Registers()
        self._loaded = self._synced = False
        self._clock_set: tuple[str, str] | None = None
        self._not_before_s = -inf
        self._naked: dict[oig.Command | str, float] = {}
        mqtt.subscribe(home.devices.inverter.result_topic, self._on_result)

    async def _on_result(self, message: MqttMessage) -> None:
        if message.retained:
            return
        result = oig.parse_result(message.payload)
        if isinstance(result, Rejected):
            self._counters[f"rejected:inverter_result:{result.reason}"] += 1
            return
        future = self._waiting.get(result.correlation_id)
        if future is None:
            self._counters["foreign_results"] += 1
        elif not future.done():
            future.set_result(result)

    # --- one command ---------------------------------------------------------------------------

    async def _once(self, command: oig.Command, wait_s: float) -> oig.CommandResult | None:
        """Send once and wait for its answer; None when there was none."""
        correlation_id = new_id(self._clock.wall_now())
        future: asyncio.Future[oig.CommandResult] = asyncio.get_running_loop().create_future()
        self._waiting[correlation_id] = future
        try:
            topic = command.topic(self._home.devices.inverter.command_topic)
            await self._mqtt.publish(topic, command.payload(correlation_id))
            if future.done():
                return future.result()
            return await self._clock.wait_for(future, wait_s)
        except (TimeoutError, UnavailableError):
            return None
        finally:
            del self._waiting[correlation_id]

    async def _ask(
        self, command: oig.Command, *, count: bool, wait_s: float = ANSWER_WALL_S
    ) -> tuple[Ack, oig.CommandResult | None]:
        """Send until answered: a timeout is repeated four times (questions once), a NAK is final after two tries."""
        naks = timeouts = 0
        retries = TIMEOUT_RETRIES if count else 1
        while True:
            if count:
                self._store.count_register(self._clock.now().astimezone(self._zone).date())
            result = await self._once(command, wait_s)
            if result is None:
                timeouts += 1
                self._counters["inverter_timeouts"] += 1
                if timeouts > retries or not self._mqtt.connected:
                    return "timeout", None
            elif result.success:
                return "success", result
            else:
                naks += 1
                self._counters["inverter_naks"] += 1
                if naks >= NAK_TRIES:
                    return "nak", result

    def _know(self, registers: Registers) -> None:
        self._registers = registers
        self._store.keep("registers", registers.to_json())

    async def _write(
        self, commands: list[oig.Command], wait_s: float = ANSWER_WALL_S
    ) -> tuple[Ack, oig.Command | None, str]:
        """Write in order and stop at the first that fails; returns what failed."""
        for command in commands:
            with self._store.together():
                self._know(before(self._registers, command))
            ack, result = await self._ask(command, count=True, wait_s=wait_s)
            if ack == "success":
                self._know(after(self._registers, command))
                continue
            if ack == "nak":
                self._know(refused(self._registers, command))
            return ack, command, result.message if result is not None else "no answer"
        return "success", None, ""

    # --- clock and read-back ---------------------------------------------------------------------

    async def _clock_is_right(self) -> bool:
        """Check the inverter's clock once a local day and after each change of summer time; set it if it is off."""
        local = self._clock.now().astimezone(self._zone)
        stamp = (local.date().isoformat(), str(local.utcoffset()))
        if self._clock_set == stamp:
            return True
        ack, result = await self._ask(oig.Command("datetime/get"), count=False)
        told: datetime | None = None
        if ack == "success" and result is not None:
            with suppress(ValueError, TypeError):
                told = datetime.fromisoformat(str(result.data.get("value", result.message)))
        now_local = self._clock.now().astimezone(self._zone).replace(tzinfo=None)
        tolerance_s = _CLOCK_OFF_S + 5 * self._clock.speed
        if told is None or abs((told.replace(tzinfo=None) - now_local).total_seconds()) > tolerance_s:
            ack, _ = await self._ask(oig.set_clock(now_local), count=False)
        if ack == "success":
            self._clock_set = stamp
        return ack == "success"

    async def _read(self, kinds: tuple[oig.SlotKind, ...]) -> dict[str, object]:
        """Ask the inverter what it holds, and believe it."""
        told: dict[str, object] = {}
        for kind in kinds:
            ack, result = await self._ask(oig.get_settings(kind), count=False)
            settings = oig.parse_settings(result) if ack == "success" and result is not None else None
            if isinstance(settings, oig.ModeSettings):
                self._know(read_back(self._registers, kind, settings))
                told[kind] = {
                    "stop_soc_pct": settings.stop_soc_pct,
                    "power_rate_pct": settings.power_rate_pct,
                    "slot": vars(settings.slots[0]) if settings.slots else None,
                }
        return told

    def _load(self) -> None:
        if not self._loaded:
            self._loaded = True
            kept = self._store.kept("registers")
            if kept is not None:
                self._registers = Registers.from_json(kept)

    # --- what the controller asks ---------------------------------------------------------------

    def _target(self, wish: Wish) -> InverterTarget:
        assert isinstance(wish, BatteryWish)  # noqa: S101
        soc = self._live.soc_pct
        if soc is None:
            return InverterTarget()
        top_w = self._home.control.limits.battery_max_w
        return target_of(self._battery, wish, soc, self._clock.now(), self._zone, top_w=top_w)

    def _needed(self, target: InverterTarget) -> list[oig.Command]:
        return writes(self._registers, target, self._clock.now(), self._zone)

    def _plan(self, wish: Wish, *, exempt: bool) -> tuple[list[oig.Command], str]:
        """Return the writes for a wish; load_first instead (with the reason) when they may not be made."""
        target = self._target(wish)
        commands = self._needed(target)
        if self._refused(commands):
            return self._instead(), "inverter_nak"
        used = self._store.registers_written(self._clock.now().astimezone(self._zone).date())
        special = target.kind is not None or not target.inverter_on or not target.export
        exempt = exempt or self._guards_floor(wish)
        if not exempt and special and used + len(commands) > self._battery.registers_per_day_max and commands:
            return self._instead(), "register_budget"
        return commands, ""

    def _refused(self, commands: list[oig.Command]) -> bool:
        """Whether the inverter has just said no to one of them."""
        now_s = self._clock.house_monotonic()
        return any(now_s < self._naked.get(command.name, -inf) for command in commands)

    def _instead(self) -> list[oig.Command]:
        """What is written where a wish may not be: load_first, but near the lower limit a hold.

        load_first would empty the battery below the limit, whatever the wish was (a charge, say).
        """
        hold = BatteryWish("hold")
        if self._guards_floor(hold):
            commands = self._needed(self._target(hold))
            if not self._refused(commands):
                return commands
        return self._needed(InverterTarget())

    def _guards_floor(self, wish: Wish) -> bool:
        """Whether a hold keeps the battery from its lower limit, whoever asked for it: load_first would not."""
        soc = self._live.soc_pct
        hold = isinstance(wish, BatteryWish) and wish.intent == "hold"
        return hold and soc is not None and soc <= self._battery.soc_min_pct + FLOOR_LEAVE_PCT

    def due(self, wish: Wish) -> bool:
        """Whether registers have to be written, and the inverter has not just been found silent."""
        self._load()
        if self._clock.house_monotonic() < self._not_before_s:
            return False
        commands, trouble = self._plan(wish, exempt=False)
        return bool(commands) or bool(trouble) or not self._synced

    async def apply(self, wish: Wish, *, exempt: bool) -> Outcome:
        """Write what differs, the timeslot last; read it back."""
        self._load()
        if not self._synced:
            await self._read(_KINDS)
            self._synced = True
        commands, trouble = self._plan(wish, exempt=exempt)
        # A slot ends by the inverter's own clock: with that unknown there is no dead man, so no slot.
        slot = any(c.name.endswith("set/timeslot") and c.params["enabled"] for c in commands)
        if slot and not await self._clock_is_right():
            commands, trouble = self._needed(InverterTarget()), "inverter_clock"
        if not commands:
            return Outcome("success" if not trouble else "none", False, self._clock.now(), trouble=trouble)
        outcome = await self._carry_out(commands)
        return outcome if outcome.trouble else Outcome(**{**vars(outcome), "trouble": trouble})

    async def _carry_out(self, commands: list[oig.Command]) -> Outcome:
        ack, failed, message = await self._write(commands)
        now_s = self._clock.house_monotonic()
        if failed is not None and ack == "nak":
            self._naked[failed.name] = now_s + _AFTER_NAK_S
            return Outcome("nak", trouble="inverter_nak", detail=f"{failed.name} {dict(failed.params)}: {message}")
        if failed is not None:
            self._not_before_s = now_s + _AFTER_SILENCE_S
            return Outcome("timeout", trouble="inverter_silent", detail=f"{failed.name}: no answer")
        kinds = tuple(k for k in _KINDS if any(c.name.startswith(k) for c in commands))
        told = await self._read(kinds)
        return Outcome("success", True, self._clock.now(), told or None)

    async def release(self) -> Outcome:
        """Hand back: both timeslots off (load_first), the inverter on, export as it was.

        Each write is said again after two seconds without an answer: it may have been lost while the inverter's side
        was not connected, and a process that stops has no later tick to notice.
        """
        self._load()
        commands = self._needed(InverterTarget())
        if not commands:
            return Outcome("success", False, self._clock.now())
        ack, failed, message = await self._write(commands, HAND_BACK_ANSWER_WALL_S)
        if failed is not None:
            return Outcome(ack, trouble="inverter_silent", detail=f"{failed.name}: {message}")
        return Outcome("success", True, self._clock.now())

    def forget(self) -> None:
        """Read everything back before the next writes. Power and export cannot be read: what PEMS took away it owes."""
        self._load()
        known = self._registers
        owed = Registers(
            inverter_on=None if known.inverter_on else known.inverter_on,
            export=None if known.export else known.export,
            in_doubt=tuple(name for name in known.in_doubt if name in {"inverter_on", "export"}),
        )
        self._registers, self._synced = owed, False
