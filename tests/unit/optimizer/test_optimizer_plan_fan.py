"""The fan of a plan's cost: the same to the last bit however it is cut, and wider where more is uncertain."""

from dataclasses import replace

import numpy as np
from tests.unit.optimizer.plan_record_cases import a_record

from pems_optimizer.domain.plan_fan import draw_seed, fan_item, fan_summary
from pems_optimizer.domain.plan_record import read_record, record_bytes


def test_a_draw_depends_on_its_number_alone_to_the_last_bit():
    record = a_record(1)
    item = fan_item(record, 7)
    forwards = [item(i) for i in range(6)]
    elsewhere = fan_item(read_record(record_bytes(record)), 7)
    assert [elsewhere(i) for i in (5, 0, 3)] == [forwards[5], forwards[0], forwards[3]]
    assert len(set(forwards)) == 6
    assert fan_item(record, 8)(0) != forwards[0]
    assert len({draw_seed(seed, draw) for seed in range(20) for draw in range(20)}) == 400


def test_without_uncertainty_every_day_costs_the_same():
    record = a_record(1)
    sure = replace(record, problem=replace(record.problem, bands={}))
    item = fan_item(sure, 1)
    assert item(0) == item(1)


def test_the_summary_tells_the_middle_and_the_bad_tail():
    found = fan_summary(list(np.random.default_rng(1).permutation(np.arange(1000.0))))
    assert (found["mean_czk"], found["p50_czk"], found["cvar90_czk"]) == (499.5, 499.5, 949.5)
    assert (found["least_czk"], found["most_czk"]) == (0.0, 999.0)
    assert found["p10_czk"] < found["p90_czk"] < found["p95_czk"]
    assert fan_summary([5.0])["cvar90_czk"] == 5.0
