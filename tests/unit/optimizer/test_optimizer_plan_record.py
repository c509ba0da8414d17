"""What is kept of a plan: the whole problem exactly, the solver's memory where it fits, never too much."""

import zlib
from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest
from tests.unit.optimizer.plan_record_cases import a_record

from pems_optimizer.domain.plan_record import read_record, record_bytes
from pems_optimizer.domain.problem import ApplianceSpec, Note, PlanningProblem, Scenario, Uncertainty
from pems_optimizer.domain.problem_store import StoreError, from_bytes, to_bytes


def test_the_whole_house_comes_back_exactly():
    record = a_record(rooms=3)
    zeros = np.zeros(record.problem.slots)
    problem = replace(
        record.problem,
        battery=replace(record.problem.battery, taper_from_wh=np.inf),
        appliances=(ApplianceSpec("washer", 2000.0, 6, 4, 90, forced=1, forced_on=(True,)),),
        uncertainty=Uncertainty("scenarios", scenarios=(Scenario("bad", 0.3, zeros, zeros, zeros, zeros),)),
        notes=(Note("prior", {"room": "pokoj_1", "share": 0.5}),),
        step=timedelta(minutes=5),
    )
    record = replace(record, problem=problem, solver_memory={"duals": np.array([0.1, np.nan, -0.0])})
    again = read_record(record_bytes(record))
    assert to_bytes(again) == to_bytes(record)
    assert to_bytes(from_bytes(PlanningProblem, to_bytes(problem))) == to_bytes(problem)
    assert again.problem.battery.taper_from_wh == np.inf


def test_a_memory_that_is_too_large_is_left_out_and_a_plan_that_is_too_large_is_refused():
    noise = np.random.default_rng(1).normal(size=40_000)
    record = replace(a_record(), solver_memory={"columns": noise})
    size = len(record_bytes(a_record()))
    assert read_record(record_bytes(record)).solver_memory["columns"].tobytes() == noise.tobytes()
    assert read_record(record_bytes(record, most=size + 100)).solver_memory == {}
    with pytest.raises(StoreError, match="at most 100 are kept"):
        record_bytes(record, most=100)


@pytest.mark.parametrize("bad", [b"", b"no zlib", zlib.compress(b"no record"), zlib.compress(b"PEMSdc1\n")])
def test_foreign_bytes_are_refused(bad):
    with pytest.raises(StoreError):
        read_record(bad)


def test_a_bomb_is_not_unpacked():
    with pytest.raises(StoreError, match="larger than any plan"):
        read_record(zlib.compress(bytes(80_000_000)))
