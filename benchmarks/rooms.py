"""Thermal models of rooms against what happened (TARGETS.md "Forecasts"): one JSON line per case, and the gates.

    ./pems bench rooms                       # all
    ./pems bench rooms --only real speed     # real, faults, speed, house, loop
    ./pems bench rooms --seeds 5             # of the simulated house
    ./pems bench rooms --check               # exits 1 where a gate fails, and says which

`real`: two measured houses, 24 hours open loop, beside simple methods. `faults`: rooms whose sensor, window, stove or
relay misbehaves. `speed`: 17 rooms with 60 days. `house`: the simulated house with its own thermostats, forecast
weather and truth. `loop`: the house under PEMS with models that it learnt. `_rooms_*.py` say what is done.
"""

import argparse
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from benchmarks._gates import Gate, Row, told, verdict


@dataclass(frozen=True)
class Options:
    """What the command line says.

    Attributes:
        seeds: How many simulated houses.
        first_seed: Seed of the first.
        days: How long PEMS runs the house in `loop`.
    """

    seeds: int
    first_seed: int
    days: float


_Part = tuple[Iterator[Row], Sequence[Gate]]


def _real(options: Options) -> _Part:
    from benchmarks import _rooms_real

    return _rooms_real.cases(), _rooms_real.GATES


def _faults(options: Options) -> _Part:
    from benchmarks import _rooms_faults

    return _rooms_faults.cases(), _rooms_faults.GATES


def _speed(options: Options) -> _Part:
    from benchmarks import _rooms_speed

    return _rooms_speed.cases(), _rooms_speed.GATES


def _house(options: Options) -> _Part:
    from benchmarks import _rooms_house

    return _rooms_house.house_case(options), _rooms_house.GATES


def _loop(options: Options) -> _Part:
    from benchmarks import _rooms_loop

    return _rooms_loop.loop_case(options), _rooms_loop.GATES


PARTS: Mapping[str, Callable[[Options], _Part]] = {
    "real": _real,
    "faults": _faults,
    "speed": _speed,
    "house": _house,
    "loop": _loop,
}


def main(arguments: list[str] | None = None) -> int:
    """Run the parts."""
    parser = argparse.ArgumentParser(prog="pems bench rooms", description="Models of rooms against what happened.")
    parser.add_argument("--only", nargs="+", choices=tuple(PARTS), default=tuple(PARTS), help="some parts")
    parser.add_argument("--seeds", type=int, default=1, help="simulated houses (1)")
    parser.add_argument("--first-seed", type=int, default=1, help="seed of the first (1)")
    parser.add_argument("--days", type=float, default=7.0, help="of the house under PEMS (7)")
    parser.add_argument("--check", action="store_true", help="exit 1 where a gate fails")
    options = parser.parse_args(arguments)
    if options.seeds < 1:
        parser.error("--seeds: at least 1")
    failures = []
    for name in options.only:
        rows, gates = PARTS[name](Options(options.seeds, options.first_seed, options.days))
        failures += told(rows, gates)
    return verdict(failures, check=options.check)


if __name__ == "__main__":
    sys.exit(main())
