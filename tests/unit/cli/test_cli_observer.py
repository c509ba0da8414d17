"""Samples become shares, counters become differences."""

from collections import Counter

from pems_cli.observer import difference, mode_shares


def test_shares_of_the_modes() -> None:
    counts = {"obyvak": Counter(mpc=3, rule_based=1), "never seen": Counter()}
    assert mode_shares(counts) == {"obyvak": {"mpc": 0.75, "rule_based": 0.25}}


def test_difference_of_nested_counters() -> None:
    before = {"at": "2026", "energy_cost_czk": 1.5, "switchings": {"obyvak": 2}}
    after = {"at": "2027", "energy_cost_czk": 4.0, "switchings": {"obyvak": 5, "kuchyne": 1}, "ok": True}
    assert difference(before, after) == {"energy_cost_czk": 2.5, "switchings": {"obyvak": 3, "kuchyne": 1}}


def test_difference_without_a_beginning_counts_from_zero() -> None:
    assert difference(None, {"import_wh": 7}) == {"import_wh": 7}
