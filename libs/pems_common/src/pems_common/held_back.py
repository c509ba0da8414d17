"""Did PV give what the sun could, or was it held back? Told from where its power could have gone."""

from pems_common.home import Battery, Home

__all__ = ["held_back"]

CLIPPED_SHARE = 0.985
BALANCED_W = 150.0
FULL_PCT = 99.0
_NEARLY = 0.9
_DARK_W = 20.0


def held_back(
    home: Home,
    *,
    pv_w: float | None,
    grid_w: float | None,
    battery_w: float | None,
    soc_pct: float | None,
    sell_czk_kwh: float | None,
) -> bool:
    """Tell whether PV may have been held back: by a limit of inverter or grid, or because its power had no way out.

    An inverter that may not export leaves the grid at zero and gives what house and battery take. Where power is
    exported below the limit, or imported beside it, PV runs free; switched off whole, where selling costs, it is dark.
    Measurements of one moment or means of a slot; what is not known is not suspected.

    Args:
        home: The site.
        pv_w: PV power.
        grid_w: From the grid; negative is export.
        battery_w: From the battery; negative charges.
        soc_pct: The battery's state of charge.
        sell_czk_kwh: What export earns.
    """
    costs = sell_czk_kwh is not None and sell_czk_kwh < 0.0
    if pv_w is not None and (pv_w > CLIPPED_SHARE * home.pv.inverter_ac_limit_w or (costs and pv_w < _DARK_W)):
        return True
    if grid_w is None:
        return False
    if abs(grid_w) > BALANCED_W:
        limit_w = home.grid.export_limit_w
        return limit_w > 0.0 and grid_w <= BALANCED_W - limit_w
    battery = home.battery
    if battery is not None and soc_pct is not None and soc_pct >= min(FULL_PCT, battery.soc_max_pct - 1.0):
        return True
    may_not_export = costs or not home.grid.export_allowed
    return may_not_export and (battery is None or _takes_no_more(battery, battery_w, soc_pct))


def _takes_no_more(battery: Battery, battery_w: float | None, soc_pct: float | None) -> bool:
    """Tell whether a battery charges as fast as it can: near full that is less."""
    if battery_w is None:
        return False
    most_w, taper = battery.power_max_w, battery.taper
    if taper is not None and soc_pct is not None and soc_pct > taper.from_soc_pct:
        rest = (battery.soc_max_pct - soc_pct) / (battery.soc_max_pct - taper.from_soc_pct)
        most_w = taper.full_w + max(rest, 0.0) * (most_w - taper.full_w)
    return battery_w <= -_NEARLY * most_w
