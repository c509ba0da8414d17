"""A room's last days as ECharts options: measured against what was said a day before."""

from typing import Any
from zoneinfo import ZoneInfo

from pems_monitor.domain.formats import Language, day_and_time
from pems_monitor.domain.room_models import RoomPicture
from pems_monitor.domain.texts import t
from pems_monitor.web.palette import palette

__all__ = ["room_model_options"]


def room_model_options(
    picture: RoomPicture, lang: Language, zone: ZoneInfo, *, dark: bool, phone: bool = False
) -> dict[str, Any]:
    """Three lines on the local time axis; only numbers and the page's own texts go in."""
    colors = palette(dark)
    instants = [picture.start + k * picture.step for k in range(len(picture.measured_c))]
    labels = [day_and_time(at, zone, lang) for at in instants]
    # One label a day, where it begins, on a phone every other day; the tooltip has the time.
    days = [at.astimezone(zone).date() for at in instants]
    beginnings = [k for k in range(1, len(days)) if days[k] != days[k - 1]][:: 2 if phone else 1]
    lines = (
        ("model.yesterday", picture.yesterday_c, colors.sell, 1.2, "dashed"),
        ("model.predicted", picture.predicted_c, colors.heating, 2.2, "solid"),
        ("model.measured", picture.measured_c, colors.ink, 1.6, "solid"),
    )
    text = {"color": colors.soft, "fontFamily": "inherit", "fontSize": 12}
    return {
        "animation": False,
        "textStyle": {"fontFamily": "Roboto, system-ui, sans-serif"},
        "grid": {"left": 44, "right": 14, "top": 34, "bottom": 26},
        "legend": {"top": 0, "left": 0, "itemWidth": 18, "itemHeight": 8, "icon": "roundRect", "textStyle": text},
        "tooltip": {
            "trigger": "axis",
            "renderMode": "richText",
            "backgroundColor": colors.card,
            "borderColor": colors.line,
            "textStyle": {"color": colors.ink, "fontSize": 12.5},
        },
        "xAxis": {
            "type": "category",
            "data": labels,
            "boundaryGap": False,
            "axisLabel": {
                **text,
                "hideOverlap": True,
                ":interval": f"index => {beginnings}.includes(index)",
                ":formatter": "value => value.slice(0, -6)",
            },
            "axisLine": {"lineStyle": {"color": colors.line}},
            "axisTick": {"show": False},
        },
        "yAxis": {
            "type": "value",
            "scale": True,
            "axisLabel": {**text, "formatter": "{value} °C"},
            "splitLine": {"lineStyle": {"color": colors.line}},
        },
        "series": [
            {
                "type": "line",
                "name": t(key, lang),
                "data": [None if v is None else round(v, 2) for v in values],
                "symbol": "none",
                "connectNulls": False,
                "lineStyle": {"color": color, "width": width, "type": dash},
                "itemStyle": {"color": color},
                "z": z,
            }
            for z, (key, values, color, width, dash) in enumerate(lines, start=2)
        ],
    }
