"""How often the forecaster's judges are wrong, on made-up days: the drift test, and the trial of a model.

    ./pems bench judging

`drift`: a daily skill of 0.3 that scatters by 0.2; after 40 days it falls by 0.4. `trial`: a challenger whose daily
loss is that of the active method times a factor, with daily gaps that scatter by 0.1; it is judged every day for three
weeks.
"""

import json
import sys
from unittest.mock import patch

import numpy as np

from pems_forecaster.domain.contest import Contest, Pairing
from pems_forecaster.domain.drift import drifted
from pems_forecaster.domain.residuals import ResidualBook

RUNS, TRIALS, DAYS, SCATTER = 100, 400, 21, 0.1


def drift() -> dict[str, object]:
    """False alarms of quarters, and days until a fall is found."""
    false, delays = 0, []
    for seed in range(RUNS):
        usual = 0.3 + 0.2 * np.random.default_rng(seed).standard_normal(90)
        false += drifted(usual.tolist())
        fallen = np.concatenate([usual[:40], usual[40:60] - 0.4])
        delays.append(next((n for n in range(1, 21) if drifted(fallen[: 40 + n].tolist())), None))
    found = [delay for delay in delays if delay is not None]
    return {
        "case": "drift",
        "false_alarms_pct": 100 * false / RUNS,
        "found_pct": 100 * len(found) / RUNS,
        "median_days": float(np.median(found)),
    }


def trial(factor: float) -> dict[str, object]:
    """Share of models that are published within three weeks."""
    published, rng = 0, np.random.default_rng(1)
    for _ in range(TRIALS):
        contest = Contest("simple", lambda: ResidualBook((4.0,)))
        contest.challenge("model")
        gaps = factor - 1.0 + SCATTER * rng.standard_normal(DAYS)
        for day in range(2, DAYS + 1):
            seen = gaps[:day]
            t = float(seen.mean() / (seen.std(ddof=1) / np.sqrt(day)))
            with patch.object(contest, "paired", return_value=Pairing(day, 1.0 + float(seen.mean()), t)):
                verdict = contest.verdict()
            if verdict is not None:
                published += verdict.act == "promote"
                break
    return {"case": "trial", "loss_factor": factor, "published_pct": round(100 * published / TRIALS, 1)}


def main() -> int:
    """Run both."""
    print(json.dumps(drift()), flush=True)
    for factor in (1.05, 1.02, 1.0, 0.95, 0.9):
        print(json.dumps(trial(factor)), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
