"""The benchmark against EMHASS: its cases, our side of them, its gates, and what it does without data or index."""

import sys

import numpy as np
import pytest
from benchmarks.emhass.__main__ import failures, main
from benchmarks.emhass.case import SLOTS, House, make_loads
from benchmarks.emhass.ours import plan_ours
from benchmarks.emhass.simulator import idle_schedule, settle
from benchmarks.emhass.theirs import REQUIREMENT, Emhass, NotInstalled, python_with_emhass
from tests.unit.benchmarks.emhass_cases import a_day


def row(**changes):
    settings = {"pems_more_czk": -1.0, "wall_ratio": 0.1, "cpu_ratio": 0.1} | changes
    return {"case": "loads_4", "pems": {"faulty_days": 0}, "emhass_shipped": settings}


def test_machines_are_the_same_each_time_and_fit_their_windows():
    loads = make_loads(16, seed=3)
    assert loads == make_loads(16, seed=3)
    assert loads != make_loads(16, seed=4)
    for load in loads:
        assert 500.0 <= load.power_w <= 3000.0
        assert 2 <= load.run_slots <= 8
        assert 0 <= load.earliest <= load.deadline - load.run_slots <= SLOTS - load.run_slots
    assert {load.one_piece for load in loads} == {True, False}
    assert any(load.deadline - load.earliest < SLOTS for load in loads)


def test_fewer_machines_are_the_first_of_more():
    assert make_loads(4) == make_loads(16)[:4]


@pytest.mark.parametrize("count", [0, 3])
def test_our_plan_can_be_carried_out_and_is_cheaper_than_none(count):
    hour = np.arange(SLOTS) / 2
    day = a_day(load_w=500.0, buy=3.0 + np.sin(hour / 24 * 2 * np.pi), sell=1.0)
    house, loads = House(), make_loads(count)
    schedule, wall_s, _, status = plan_ours(day, house, loads)
    bill = settle(day, house, loads, schedule)
    assert status == "solved"
    assert wall_s > 0.0
    assert bill.faultless
    assert bill.cost_czk < settle(day, house, loads, idle_schedule(loads, SLOTS)).cost_czk - 1.0


def test_gates_hold_where_pems_is_cheaper_and_faster():
    assert failures(row()) == []


@pytest.mark.parametrize(
    ("changes", "word"),
    [({"pems_more_czk": 0.1}, "costs 0.1 CZK more"), ({"wall_ratio": 0.6}, "wall_ratio"), ({"cpu_ratio": 0.6}, "cpu")],
)
def test_each_gate_says_what_failed(changes, word):
    (failure,) = failures(row(**changes))
    assert failure.startswith("loads_4: ")
    assert word in failure


def test_a_plan_of_ours_that_cannot_be_carried_out_is_a_failure():
    assert "cannot be carried out" in failures(row() | {"pems": {"faulty_days": 2}})[0]


def test_without_data_it_is_skipped_with_a_message(monkeypatch, tmp_path, capsys):
    monkeypatch.setenv("PEMS_DATA_DIR", str(tmp_path))
    assert main(["--check"]) == 0
    assert "PEMS_DATA_DIR" in capsys.readouterr().err


def test_where_emhass_cannot_be_installed_it_is_skipped_and_nothing_half_made_stays(monkeypatch, tmp_path, capsys):
    for folder in ("french_house", "ote_cz"):
        (tmp_path / "data" / folder).mkdir(parents=True)
    monkeypatch.setenv("PEMS_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("PEMS_DATA", str(tmp_path / "var"))
    monkeypatch.setattr(sys, "executable", "/bin/false")
    assert main(["--check"]) == 0
    assert "skipped: EMHASS could not be installed" in capsys.readouterr().err
    assert not (tmp_path / "var" / "bench" / "emhass").exists()


def test_an_environment_is_made_once(monkeypatch, tmp_path):
    (tmp_path / "installed").write_text(REQUIREMENT)
    monkeypatch.setattr(sys, "executable", "/bin/false")
    assert python_with_emhass(tmp_path) == tmp_path / "bin" / "python"
    (tmp_path / "installed").write_text("emhass==0.17.*")
    with pytest.raises(NotInstalled):
        python_with_emhass(tmp_path)


def test_an_emhass_that_does_not_start_is_told_with_its_own_words(tmp_path):
    with (
        Emhass(sys.executable, House(), (), mip_rel_gap=None, kept=True) as planner,
        pytest.raises(RuntimeError, match=r"status 1: (?s:.*)No module named 'emhass'"),
    ):
        planner.versions()


def test_a_wrong_option_says_what_may_be_given(capsys):
    with pytest.raises(SystemExit):
        main(["--emhass", "fast"])
    assert "shipped, exact, rebuilt" in capsys.readouterr().err
