"""The controller's account of itself: the mode of each device, how modes changed, and the status message."""

from collections import deque
from math import isfinite

from pems_common.clock import Clock
from pems_common.home import Home
from pems_common.messages import Command, DeviceMode, ModeSwitch, OverrideEntry, Status
from pems_controller.adapters.reporter import Reporter
from pems_controller.adapters.store import ControllerStore
from pems_controller.domain.decide import Decided, in_rollout
from pems_controller.domain.ladder import house_mode
from pems_controller.domain.limits import violations
from pems_controller.domain.overrides import Override
from pems_controller.domain.state import HouseState, describe

__all__ = ["Account"]

_SWITCHES_SHOWN = 10


class Account:
    """Keeps the last status."""

    def __init__(self, home: Home, clock: Clock, store: ControllerStore, reporter: Reporter) -> None:
        """Begin without a status."""
        self._home, self._clock, self._store, self._reporter = home, clock, store, reporter
        self._modes: dict[str, DeviceMode] = {}
        self._switches: deque[ModeSwitch] = deque(maxlen=_SWITCHES_SHOWN)
        self._started_s = clock.monotonic()
        self.status: Status | None = None

    def update(
        self,
        state: HouseState,
        decided: dict[str, Decided],
        *,
        plan_id: str,
        plan_age_s: float | None,
        telemetry_age_s: float,
        overrides: tuple[Override, ...],
        last_actions: tuple[Command, ...],
        armed: bool,
        tick_ms: float,
    ) -> None:
        """Bring modes, their changes, alerts and the status up to date."""
        for device, one in decided.items():
            self._update_mode(device, one, state)
        self.status = Status(
            house_mode=house_mode([one.decision for one in decided.values()]),
            devices=dict(self._modes),
            plan_id=plan_id,
            plan_age_s=plan_age_s,
            telemetry_age_s=telemetry_age_s if isfinite(telemetry_age_s) else None,
            overrides=tuple(OverrideEntry(**vars(o)) for o in overrides),
            violations=violations(self._home, state),
            last_actions=last_actions,
            mode_switches=tuple(self._switches),
            armed=armed,
            shadow=self._home.control.shadow,
            rollout=tuple(d for d in self._home.device_names if in_rollout(self._home, d)),
            tick_ms=tick_ms,
            uptime_s=self._clock.monotonic() - self._started_s,
        )
        unknown = [device for device, one in decided.items() if one.decision.why == "state_unknown"]
        self._reporter.alert(
            "state_unknown",
            bool(unknown),
            f"no fresh state of {', '.join(unknown)}",
            "look after its sensor, the gateway and the broker",
        )

    def _update_mode(self, device: str, one: Decided, state: HouseState) -> None:
        mode, why, old = one.decision.mode, one.decision.why, self._modes.get(device)
        since = old.since if old is not None and old.mode == mode else state.at
        if old is not None and old.mode != mode:
            switch = ModeSwitch(device=device, at=state.at, old=old.mode, new=mode, why=why)
            self._switches.append(switch)
            self._store.audit(state.at, "mode", device, switch.model_dump(mode="json", exclude={"device"}))
        action, params = describe(one.wish)
        did = {"action": action, **params, "acts_as": one.decision.acts_as}
        if one.clamps:
            did["clamped_by"] = ", ".join(clamp.limit for clamp in one.clamps)
        self._modes[device] = DeviceMode(mode=mode, since=since, why=why, until=one.until, action=did)
