"""`./pems identify` on made-up rooms: parameters with units, a file, a picture, mistakes by line and column."""

import json

import numpy as np
import pandas as pd
import pytest
from benchmarks._rooms_faults import TRUE, lived_by_model
from typer.testing import CliRunner

from pems_cli.main import app

DAYS = 9


@pytest.fixture(scope="module")
def lived():
    return lived_by_model(TRUE, DAYS, seed=6)


@pytest.fixture
def frame(lived):
    columns = {
        "time": pd.to_datetime(lived.time_s, unit="s", utc=True).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "outdoor_c": lived.outdoor_c.round(2),
        "sun_south_w_m2": lived.solar_w_m2["south"].round(1),
    }
    for room in TRUE:
        columns[f"{room}_air_c"] = lived.air_c[room]
        columns[f"{room}_heat_w"] = lived.heat_w[room]
    return pd.DataFrame(columns)


def identify(frame, tmp_path, *arguments):
    path = tmp_path / "rooms.csv"
    frame.to_csv(path, index=False)
    done = CliRunner().invoke(app, ["identify", "--data", str(path), *arguments])
    return done.exit_code, " ".join(done.output.split())


def test_rooms_are_told_written_and_drawn(frame, tmp_path):
    target = tmp_path / "model.json"
    code, said = identify(
        frame.sample(frac=1.0, random_state=1), tmp_path, "--room", "study", "-o", str(target), "--plot"
    )
    assert code == 0, said
    for words in (
        "study: tier",
        "loss to outdoors",
        "W/K",
        "slowest time constant",
        "to hall",
        "yesterday",
        "excitation",
    ):
        assert words in said
    assert "bath: tier" not in said
    found = json.loads(target.read_text())["rooms"]
    assert list(found) == ["study"]
    assert 10.0 < 1.0 / found["study"]["model"]["rea_k_w"] < 45.0
    assert found["study"]["interval_90"]["rea_k_w"][0] < found["study"]["model"]["rea_k_w"]
    assert found["study"]["tier"] in ("observe", "suggest", "control")
    assert (tmp_path / "model.png").read_bytes().startswith(b"\x89PNG")


def test_one_room_with_a_relay(frame, tmp_path):
    alone = frame[["time", "outdoor_c", "study_air_c"]].rename(columns={"study_air_c": "air_c"})
    alone["relay"] = (frame["study_heat_w"] > 0.0).astype(int)
    code, said = identify(alone, tmp_path)
    assert code == 2
    assert "--heater-w" in said
    code, said = identify(alone, tmp_path, "--heater-w", "1200")
    assert code == 0, said
    assert "room: tier" in said


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda f: f.drop(columns="outdoor_c"), "columns are missing: outdoor_c"),
        (lambda f: f.drop(columns=[f"{room}_air_c" for room in TRUE]), "no room is in it"),
        (lambda f: f.assign(time=f["time"].str.removesuffix("Z")), "line 2, time"),
        (lambda f: pd.concat([f, f.iloc[[5]]]), "is there twice"),
        (lambda f: f.iloc[::7], "rows are 6300 s apart"),
        (lambda f: f.iloc[:200], "days are too few"),
        (lambda f: f.assign(study_heat_w="much"), "line 2, study_heat_w = much: is no number"),
        (lambda f: f.assign(study_air_c=np.where(f.index == 3, 300.0, f["study_air_c"])), "line 5, study_air_c"),
    ],
)
def test_mistakes_are_named(frame, tmp_path, change, words):
    code, said = identify(change(frame), tmp_path)
    assert code == 2
    assert words in said


def test_wrong_names_and_targets(frame, tmp_path):
    assert "there are study, hall, bath" in identify(frame, tmp_path, "--room", "attic")[1]
    assert "no such folder" in identify(frame, tmp_path, "-o", str(tmp_path / "none" / "m.json"))[1]
    assert "let it end in" in identify(frame, tmp_path, "--picture", str(tmp_path / "m.txt"))[1]
    code, said = identify(frame, tmp_path, "--site", "config/home.yaml")
    assert code == 2
    assert "study, hall, bath is no room of" in said
    code, said = identify(frame, tmp_path, "--site", str(tmp_path / "none.yaml"))
    assert code == 2
