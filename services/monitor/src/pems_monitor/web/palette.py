"""The chart's colours in the light and the dark theme; page.css has the same for everything else."""

from dataclasses import dataclass

__all__ = ["Palette", "intent_colors", "palette"]


@dataclass(frozen=True)
class Palette:
    """Colours of a theme. The same meaning has the same colour everywhere on the page."""

    ink: str
    soft: str
    line: str
    card: str
    pv: str
    battery: str
    grid_import: str
    grid_export: str
    heating: str
    house: str
    ev: str
    price: str
    sell: str
    shade: str


_LIGHT = Palette(
    ink="#1c2420",
    soft="#6b7771",
    line="#e3e8e4",
    card="#ffffff",
    pv="#eca400",
    battery="#2f9e5f",
    grid_import="#2f74d0",
    grid_export="#d1495b",
    heating="#ee7a30",
    house="#5f7480",
    ev="#8a63d2",
    price="#44546a",
    sell="#9aa7b4",
    shade="rgba(28,36,32,0.045)",
)
_DARK = Palette(
    ink="#e6ece8",
    soft="#93a099",
    line="#2a332f",
    card="#18201c",
    pv="#ffc53d",
    battery="#4cc283",
    grid_import="#64a2f2",
    grid_export="#f0727f",
    heating="#ff9350",
    house="#9db2bd",
    ev="#b295f0",
    price="#b9c6d6",
    sell="#6f7f8e",
    shade="rgba(255,255,255,0.04)",
)


def palette(dark: bool) -> Palette:
    """Colours of the light or dark theme."""
    return _DARK if dark else _LIGHT


def intent_colors(dark: bool) -> dict[str, str]:
    """Colours of the battery's tasks."""
    p = palette(dark)
    return {
        "self_consume": "#9fd8b8" if not dark else "#2c6b4a",
        "charge_from_grid": p.grid_import,
        "hold": "#b9c2bd" if not dark else "#55615b",
        "discharge_to_grid": p.grid_export,
        "export_pv": p.pv,
        "off": p.soft,
    }
