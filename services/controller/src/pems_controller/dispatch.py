"""Carries decisions out: one command per device at a time, recorded before and after, handed back when not live.

In a real run each device has its own task, so that an inverter that does not answer never holds up the rooms or the
tick. In lockstep (`background=False`) everything is done inside the call.
"""

import asyncio
from collections import deque
from collections.abc import Collection, Coroutine, Mapping
from contextlib import suppress
from typing import Any

from pems_common.clock import Clock
from pems_common.home import Home
from pems_common.ids import new_id
from pems_common.logs import get_logger
from pems_common.messages import Command
from pems_controller.adapters.reporter import Reporter
from pems_controller.adapters.store import ControllerStore
from pems_controller.domain.decide import Decided
from pems_controller.domain.state import describe
from pems_controller.ports import Actuator, Outcome

__all__ = ["Dispatcher"]

TICK_BOUND_WALL_S = 1.5
RELEASE_BOUND_WALL_S = 6.0
_SHOWN = 5
_log = get_logger("dispatch")
_EXEMPT_LIMIT = "soc_min_pct"
_TROUBLES = {
    "register_budget": "the inverter's register writes of today are used up: load_first, near the lower limit a hold",
    "inverter_nak": "the inverter refused a command: the battery stays in load_first for a while",
    "inverter_silent": "the inverter does not answer commands: it falls back to load_first by its own clock",
    "inverter_clock": "the inverter's clock cannot be checked: without it no timeslot is safe, so load_first",
}


class Dispatcher:
    """Knows the actuators, which devices are live, and what was sent last."""

    def __init__(
        self,
        home: Home,
        clock: Clock,
        store: ControllerStore,
        reporter: Reporter,
        actuators: Mapping[str, Actuator],
        *,
        background: bool,
    ) -> None:
        """Prepare to command these devices."""
        self._clock, self._store, self._reporter = clock, store, reporter
        self._actuators, self._background = dict(actuators), background
        self._spacing_s = home.devices.relays.command_spacing_s
        self._last_s: dict[str, float] = {}
        self._running: dict[str, asyncio.Task[None]] = {}
        self._recorded: dict[str, tuple[object, ...]] = {}
        self._live: set[str] = set()
        self.last_actions: deque[Command] = deque(maxlen=_SHOWN)

    def load(self) -> None:
        """Take over which devices a former process left live; one that is no longer in home.yaml cannot be told."""
        left = set(self._store.kept("live", []))
        self._live = left & set(self._actuators)
        if gone := left - self._live:
            _log.warning("devices left live are no longer in home.yaml: look after them", devices=sorted(gone))

    @property
    def live(self) -> frozenset[str]:
        """Devices that may have been commanded and were not handed back since."""
        return frozenset(self._live)

    def _set_live(self, device: str, live: bool) -> None:
        if live != (device in self._live):
            (self._live.add if live else self._live.discard)(device)
            self._store.keep("live", sorted(self._live))

    async def carry_out(self, decided: Mapping[str, Decided], *, silent: bool) -> None:
        """Do what was decided. `silent`: another controller rules, so not even a hand-back is sent."""
        started: list[asyncio.Task[None]] = []
        for device, one in decided.items():
            work: Coroutine[Any, Any, None] | None = None
            if device not in self._actuators:
                continue
            if one.decision.live:
                self._recorded.pop(device, None)
                if self._may_send(device) and self._actuators[device].due(one.wish):
                    self._set_live(device, True)
                    work = self._apply(one)
            else:
                self._record_only(one)
                await self._break_off(device, release_too=silent)
                if silent:
                    self._set_live(device, False)
                    self._actuators[device].forget()
                elif device in self._live and self._may_send(device):
                    work = self._release(device, one.decision.why)
            if work is None:
                continue
            self._last_s[device] = self._clock.monotonic()
            if self._background:
                what = "command" if one.decision.live else "release"
                self._running[device] = asyncio.create_task(work, name=f"{what}:{device}")
                started.append(self._running[device])
            else:
                await work
        await self._wait_a_moment(started)

    async def _break_off(self, device: str, *, release_too: bool) -> None:
        """Send no more of a command that is under way for a device that is not live any more.

        A slow inverter can be minutes into a sequence; what was sent without an answer stays in doubt.
        """
        task = self._running.get(device)
        if task is None or task.done() or (task.get_name() == f"release:{device}" and not release_too):
            return
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        del self._running[device]

    def _may_send(self, device: str) -> bool:
        """One command per device at a time, and per wall second."""
        if device in self._running and not self._running[device].done():
            return False
        return self._clock.monotonic() - self._last_s.get(device, -1e9) >= self._spacing_s

    async def _wait_a_moment(self, tasks: Collection["asyncio.Task[None]"]) -> None:
        """Give what was started a moment; failures of ours (not of a device) come out here.

        Such a failure fails the tick: no pulse, and the devices fall back to themselves.
        """
        if tasks:
            with suppress(TimeoutError):
                await self._clock.wait_for(asyncio.wait(tasks), TICK_BOUND_WALL_S)
        for device, task in list(self._running.items()):
            if task.done():
                del self._running[device]
                task.result()

    async def _apply(self, one: Decided) -> None:
        exempt = one.decision.mode == "safety" or any(c.limit == _EXEMPT_LIMIT for c in one.clamps)
        sent_at = self._clock.now()
        outcome = await self._actuators[one.device].apply(one.wish, exempt=exempt)
        self._tell_trouble(one.device, outcome)
        if not outcome.changed:
            return
        action, params = describe(one.wish)
        self._record(
            Command(
                command_id=new_id(self._clock.wall_now()),
                device=one.device,
                action=action,
                params=params,
                decided_by=one.decided_by,
                reason=one.decision.why if not outcome.detail else f"{one.decision.why}: {outcome.detail}"[:300],
                clamp=one.clamps,
                dry_run=False,
                sent_at=sent_at,
                ack=outcome.ack,
                ack_at=outcome.ack_at,
                read_back=outcome.read_back,
            )
        )

    async def _release(self, device: str, why: str) -> None:
        sent_at = self._clock.now()
        outcome = await self._actuators[device].release()
        if outcome.ack == "success":
            self._set_live(device, False)
            self._actuators[device].forget()
        self._record(
            Command(
                command_id=new_id(self._clock.wall_now()),
                device=device,
                action="release",
                decided_by="hand_back",
                reason=why if not outcome.detail else f"{why}: {outcome.detail}"[:300],
                dry_run=False,
                sent_at=sent_at,
                ack=outcome.ack,
                ack_at=outcome.ack_at,
            )
        )

    def _record_only(self, one: Decided) -> None:
        """Dry run and shadow: the decision is kept when it changes, nothing is sent."""
        action, params = describe(one.wish)
        seen = (action, one.decision.acts_as, one.decision.why, *sorted(c.limit for c in one.clamps))
        if self._recorded.get(one.device) == seen:
            return
        self._recorded[one.device] = seen
        now = self._clock.now()
        self._record(
            Command(
                command_id=new_id(self._clock.wall_now()),
                device=one.device,
                action=action,
                params=params,
                decided_by=one.decided_by,
                reason=f"{one.decision.why}, would be {one.decision.acts_as}",
                clamp=one.clamps,
                dry_run=True,
                sent_at=now,
                ack="none",
            )
        )

    def _record(self, command: Command) -> None:
        data = command.model_dump(mode="json", exclude={"device"})
        self._store.audit(command.sent_at, "command", command.device, data)
        self.last_actions.append(command)
        self._reporter.post(command)
        if self._background:
            _log.info(
                "would do" if command.dry_run else "command",
                device=command.device,
                action=command.action,
                by=command.decided_by,
                reason=command.reason,
                ack=command.ack,
                clamped=[f"{c.limit}: {c.asked} -> {c.sent}" for c in command.clamp],
            )

    def _tell_trouble(self, device: str, outcome: Outcome) -> None:
        if device != "battery":
            return
        for code, text in _TROUBLES.items():
            self._reporter.alert(code, outcome.trouble == code, text, "see the audit and the inverter", device)

    async def hand_everything_back(self, why: str) -> bool:
        """Hand every live device back, within 6 wall seconds; True when all of them confirmed."""
        for task in self._running.values():
            task.cancel()
        if self._running:
            await asyncio.gather(*self._running.values(), return_exceptions=True)
            self._running.clear()
        if not self._background:
            for device in sorted(self._live):
                await self._release(device, why)
            return not self._live
        tasks = [asyncio.create_task(self._release(device, why)) for device in sorted(self._live)]
        if tasks:
            with suppress(TimeoutError):
                await self._clock.wait_for(asyncio.wait(tasks), RELEASE_BOUND_WALL_S)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        return not self._live
