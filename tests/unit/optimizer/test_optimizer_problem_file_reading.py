"""Bad problem files: each mistake is named by field, value and remedy, and nothing else is ever raised."""

import json

import pytest
from tests.unit.optimizer.problem_file_cases import EXAMPLES, ROOT, changed, example, small_file

from pems_optimizer.domain.problem_file.document import SLOTS_MOST, document_schema
from pems_optimizer.domain.problem_file.errors import FieldProblem, ProblemFileError
from pems_optimizer.domain.problem_file.reading import parse_json, read_document


def mistakes(data) -> list[FieldProblem]:
    with pytest.raises(ProblemFileError) as caught:
        read_document(data)
    return list(caught.value.problems)


def only_mistake(path: str, value) -> FieldProblem:
    found = mistakes(changed(small_file(), path, value))
    assert len(found) == 1, found
    return found[0]


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda p: p.stem)
def test_the_shipped_examples_are_good(path):
    assert read_document(json.loads(path.read_text())).slots in (24, 96)


def test_the_first_file_of_the_documentation_is_good():
    text = (ROOT / "docs" / "solve.md").read_text().split("```json\n")[1].split("```")[0]
    assert read_document(parse_json(text)).slots == 8


@pytest.mark.parametrize(
    ("path", "value", "field", "message"),
    [
        ("rooms.1.heater_w", 1_000_000, "rooms[1].heater_w", "at most 100000 (in W): 100 kW on one relay"),
        ("rooms.0.heater_w", 0, "rooms[0].heater_w", "at least 1"),
        ("rooms.0.heater_w", "2 kW", "rooms[0].heater_w", "must be a number (in W), not text"),
        ("rooms.0.heater_w", True, "rooms[0].heater_w", "must be a number"),
        ("battery.capacity_wh", -10, "battery.capacity_wh", "at least 1 (in Wh)"),
        ("battery.soc_pct", 120, "battery.soc_pct", "at most 100 (in %)"),
        ("battery.soc_min_pct", 100, "battery.soc_min_pct", "must be below soc_max_pct, which is 100"),
        ("battery.control", "auto", "battery.control", "must be 'setpoint' or 'intents'"),
        ("battery.dispatch_min_w", 500, "battery.dispatch_min_w", "any power"),
        ("battery.taper", {"from_soc_pct": 90, "full_w": 3000}, "battery.taper.full_w", "charge_max_w, which is 2500"),
        ("ev.power_min_w", 8000, "ev.power_min_w", "must not exceed power_max_w, which is 7000"),
        ("ev.ready_at", "2026-01-15T06:10:00+01:00", "ev.ready_at", "no whole slot"),
        ("ev.ready_at", "2026-01-15T08:00:00", "ev.ready_at", "has no time zone"),
        ("ev.plugged_at", "2026-01-16T08:00:00Z", "ev.plugged_at", "before the end of the horizon"),
        ("water.high_c", 40, "water.high_c", "must not be below low_c, which is 45"),
        ("appliances.0.run_minutes", 150, "appliances[0].run_minutes", "does not fit into its window"),
        ("appliances.0.run_minutes", 1.5, "appliances[0].run_minutes", "must be a whole number"),
        ("start", "2026-01-15T06:00:00", "start", "has no time zone, and PEMS never guesses one"),
        ("start", 5, "start", "is no text"),
        ("start", "0001-01-01T00:00:00+14:00", "start", "between the years 1970 and 2200"),
        ("step_minutes", 0, "step_minutes", "at least 1 (in minutes)"),
        ("timezone", "Europe", "timezone", "is no IANA time zone"),
        ("pv_w", [1.0] * 7, "pv_w", "must be one number, or 8"),
        ("pv_w.3", float("nan"), "pv_w[3]", "is not a finite number"),
        ("buy_per_kwh.0", float("inf"), "buy_per_kwh[0]", "is not a finite number"),
        ("buy_per_kwh.0", None, "buy_per_kwh[0]", "must be a number"),
        ("buy_per_kwh", 2.5, "buy_per_kwh", "must be a series"),
        ("buy_per_kwh", [], "buy_per_kwh", "at least 2 slots"),
        ("buy_per_kwh", [1.0], "buy_per_kwh", "at least 2 slots"),
        ("buy_per_kwh", [1.0] * (SLOTS_MOST + 1), "buy_per_kwh", "at most 4000 slots"),
        ("rooms.0.neighbours", {"kitchen": 10}, "rooms[0].neighbours.kitchen", "there are: living, study"),
        ("rooms.0.neighbours", {"living": 10}, "rooms[0].neighbours.living", "not its own neighbour"),
        ("rooms.1.neighbours", {"living": 30}, "rooms[0].neighbours.study", "rooms[1] says 30"),
        ("rooms.1.name", "living", "rooms[1].name", "is the name of rooms[0] too"),
        ("rooms.0.solar_m2", {"north": 1}, "rooms[0].solar_m2.north", "there are: south"),
        ("rooms.0.high_c", 20, "rooms[0].high_c", "at least 0.1 K above low_c, which is 20"),
        ("rooms.0.low_c", [20.0] * 7 + [22.0], "rooms[0].high_c", "at least 0.1 K above low_c, which is 22"),
        ("rooms.0.low_c", None, "rooms[0].low_c", "the comfort band is needed"),
        ("rooms.1.low_c", 19, "rooms[1].low_c", "by schedule, or by low_c and high_c, not both"),
        ("rooms.1.schedule.1.start", "06:00", "rooms[1].schedule[1].start", "must be sorted"),
        ("rooms.1.schedule.1.start", "25:00", "rooms[1].schedule[1].start", "is no time of day"),
        ("rooms.1.mass_c", 19, "rooms[1].mass_c", "a 1R1C room has no mass"),
        ("rooms.1.gains_by_hour_w", [10] * 23, "rooms[1].gains_by_hour_w", "must be 24 numbers"),
        ("rooms.0.model.ria_k_w", 0, "rooms[0].model.ria_k_w", "(in K/W)"),
        ("rooms.0.model.kind", "3R3C", "rooms[0].model", "its kind must be one of"),
        ("rooms.0.heater_kw", 2, "rooms[0].heater_kw", "unknown field"),
        ("min_on_minutes", 1500, "min_on_minutes", "at most 1440 minutes: 96 slots"),
        ("currency", "EUR", "czk_per_currency", "about 25 for EUR"),
        ("uncertainty", {"strategy": "scenarios"}, "uncertainty.strategy", "scenarios are needed"),
        ("bands", {"pv_w": {"p10": 900, "p90": 800}}, "bands.pv_w.p90", "must not be below p10, which is 900"),
        (
            "slot_starts",
            [f"2026-01-15T0{6 + k // 4}:{k % 4 * 15:02d}:00+01:00" for k in (0, 2, 1, 3, 4, 5, 6, 7)],
            "slot_starts[1]",
            "without gaps, sorted",
        ),
        ("slot_starts", ["2026-01-15T06:00:00+01:00"], "slot_starts", "one entry per slot: 8"),
        ("format", "pems-problem/2", "format", "must be 'pems-problem/1'"),
    ],
)
def test_each_mistake_is_named(path, value, field, message):
    found = only_mistake(path, value)
    assert found.field == field
    assert message in found.message


def test_a_missing_field_is_named_where_it_belongs():
    data = small_file()
    del data["rooms"][0]["model"]["rea_k_w"]
    del data["battery"]["capacity_wh"]
    assert [m.field for m in mistakes(data)] == ["rooms[0].model.rea_k_w", "battery.capacity_wh"]
    assert all(m.message == "this field is needed: add it" for m in mistakes(data))


def test_probabilities_sum_to_one():
    half = {"name": "wet", "probability": 0.5, "pv_w": 0}
    found = only_mistake("uncertainty", {"strategy": "scenarios", "scenarios": [half]})
    assert "must sum to 1, not 0.5" in found.message


def test_all_mistakes_are_told_at_once_and_values_are_short():
    data = changed(small_file(), "battery.capacity_wh", -1)
    data = changed(data, "rooms.0.name", "x" * 500)
    found = mistakes(data)
    assert {m.field for m in found} == {"battery.capacity_wh", "rooms[0].name"}
    assert all(len(m.value) <= 60 for m in found)
    assert str(found[-1]).startswith("battery.capacity_wh = -1: must be at least 1")


@pytest.mark.parametrize("data", [None, [], 3, "text", True])
def test_what_is_no_object_is_refused(data):
    assert mistakes(data)[0].field == "(file)"


@pytest.mark.parametrize("text", ["", "{", b"\xff\xfe", "[" * 100_000, '{"a": 1} 2'])
def test_what_is_no_json_is_refused(text):
    with pytest.raises(ProblemFileError, match="is no JSON"):
        parse_json(text)


def test_json_with_nan_is_refused_by_field():
    text = json.dumps(changed(small_file(), "load_w", float("nan")))
    assert mistakes(parse_json(text))[0].field == "load_w"


def test_the_published_schema_is_up_to_date():
    """Write it anew with `./pems solve --schema > docs/problem.schema.json`."""
    assert json.loads((ROOT / "docs" / "problem.schema.json").read_text()) == document_schema()


def test_the_schema_names_units_and_forbids_unknown_fields():
    room = document_schema()["$defs"]["Room"]
    assert room["additionalProperties"] is False
    assert room["properties"]["heater_w"]["maximum"] == 1e5
    assert example("car-and-dishwasher").keys() <= document_schema()["properties"].keys()
