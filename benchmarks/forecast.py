"""Forecasts against what happened (TARGETS.md "Forecasts"): one JSON line per month and case, and the gates.

    ./pems bench forecast                        # all, about half an hour
    ./pems bench forecast --only load price      # gefcom, start, faults, load, price
    ./pems bench forecast --check                # exits 1 where a gate fails, and says which
    ./pems bench forecast --threads 1            # the same to the last bit on every machine

`gefcom`: PV day ahead on three plants, scored as the competition was. `start`: PV with 0 to 120 days of own data.
`faults`: PV through a dark half of the roof, a stuck meter, curtailment, a wrong clock, a change of summer time, silent
weather. `load`: two households. `price`: the Czech market beyond what is published. The modules `_forecast_*.py` say
what is done. Data sets that are not there are skipped with a message.
"""

import argparse
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks import _forecast_gefcom, _forecast_load, _forecast_price, _forecast_pv
from benchmarks._gates import Gate, Row, told, verdict

from pems_cli.paths import data_sets_directory


@dataclass(frozen=True)
class _Part:
    data_sets: Sequence[str]
    cases: Callable[[Path, int], Iterator[Row]]
    gates: Sequence[Gate]


_SOLAR = _forecast_gefcom.DATA_SETS
PARTS: Mapping[str, _Part] = {
    "gefcom": _Part(_SOLAR, _forecast_gefcom.cases, _forecast_gefcom.GATES),
    "start": _Part(_SOLAR, _forecast_pv.start_cases, _forecast_pv.GATES),
    "faults": _Part(_SOLAR, _forecast_pv.fault_cases, _forecast_pv.GATES),
    "load": _Part(_forecast_load.DATA_SETS, _forecast_load.cases, _forecast_load.GATES),
    "price": _Part(_forecast_price.DATA_SETS, _forecast_price.cases, _forecast_price.GATES),
}


def main(arguments: list[str] | None = None) -> int:
    """Run the parts."""
    parser = argparse.ArgumentParser(prog="pems bench forecast", description="Forecasts against what happened.")
    parser.add_argument("--only", nargs="+", choices=tuple(PARTS), default=tuple(PARTS), help="some parts")
    parser.add_argument("--threads", type=int, default=2, help="processor threads for training (2)")
    parser.add_argument("--check", action="store_true", help="exit 1 where a gate fails")
    options = parser.parse_args(arguments)
    if options.threads < 1:
        parser.error("--threads: at least 1")
    folder, failures = data_sets_directory(), []
    for name in options.only:
        part = PARTS[name]
        if folder is None or not all((folder / data_set).is_dir() for data_set in part.data_sets):
            wanted = ", ".join(part.data_sets)
            print(f"{name} is skipped: no {wanted} in the data sets (set PEMS_DATA_DIR)", file=sys.stderr)
            continue
        failures += told(part.cases(folder, options.threads), part.gates)
    return verdict(failures, check=options.check)


if __name__ == "__main__":
    sys.exit(main())
