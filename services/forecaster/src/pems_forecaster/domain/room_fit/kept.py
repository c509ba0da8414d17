"""Plain data of what goes to a training process and comes back, and of what is kept of rooms."""

import json
from collections.abc import Mapping
from dataclasses import asdict, fields
from typing import Any

import numpy as np

from pems_common.messages import Evidence, RoomModel
from pems_forecaster.domain.room_fit.arx import ArxModel
from pems_forecaster.domain.room_fit.identify import RoomFit
from pems_forecaster.domain.room_fit.predict import Beliefs
from pems_forecaster.domain.room_fit.series import HouseSeries

__all__ = ["fit_from_json", "fit_to_json", "series_arrays", "series_of_arrays"]

_BY_NAME = ("air_c", "heat_w", "solar_w_m2", "open_window")


def series_arrays(series: HouseSeries) -> dict[str, np.ndarray[Any, Any]]:
    """Return arrays for a file."""
    names = {part: list(getattr(series, part)) for part in _BY_NAME}
    head = {"start_s": series.start_s, "step_s": series.step_s, "names": names}
    arrays = {"series": np.array(json.dumps(head)), "outdoor_c": series.outdoor_c, "local_hour": series.local_hour}
    for part in _BY_NAME:
        columns = list(getattr(series, part).values())
        arrays[part] = np.stack(columns) if columns else np.zeros((0, series.steps))
    return arrays


def series_of_arrays(arrays: Mapping[str, np.ndarray[Any, Any]]) -> HouseSeries:
    """Read what `series_arrays` gave.

    Raises:
        KeyError: An array is missing.
    """
    head = json.loads(str(arrays["series"]))
    parts = {part: dict(zip(head["names"][part], arrays[part], strict=True)) for part in _BY_NAME}
    return HouseSeries(
        start_s=int(head["start_s"]),
        step_s=int(head["step_s"]),
        outdoor_c=arrays["outdoor_c"],
        local_hour=arrays["local_hour"],
        **parts,
    )


def fit_to_json(fit: RoomFit) -> dict[str, Any]:
    """Return plain data."""
    return {
        **vars(fit),
        "model": fit.model.model_dump(mode="json"),
        "evidence": fit.evidence.model_dump(mode="json"),
        "arx": None if fit.arx is None else fit.arx.to_json(),
        "beliefs": asdict(fit.beliefs),
        "interval": {name: list(ends) for name, ends in fit.interval.items()},
        "warnings": list(fit.warnings),
    }


def fit_from_json(data: Mapping[str, Any]) -> RoomFit:
    """Read what `fit_to_json` gave; what another version of the program added is passed over.

    Raises:
        ValueError, KeyError, TypeError, PermanentError: It is something else.
    """
    known = {part.name for part in fields(RoomFit)}
    return RoomFit(
        **{
            **{name: value for name, value in data.items() if name in known},
            "model": RoomModel.model_validate(data["model"]),
            "evidence": Evidence.model_validate(data["evidence"]),
            "arx": None if data["arx"] is None else ArxModel.from_json(data["arx"]),
            "beliefs": Beliefs(**data["beliefs"]),
            "interval": {name: (float(low), float(high)) for name, (low, high) in data["interval"].items()},
            "warnings": tuple(data["warnings"]),
        }
    )
