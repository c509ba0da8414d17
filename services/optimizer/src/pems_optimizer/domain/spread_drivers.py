"""Where the spread of a result comes from: shares of its variance by drawn input.

The first-order share of an input is its correlation ratio, the variance of the result's mean given that input, over the
whole variance (Saltelli et al. 2008, Global Sensitivity Analysis, ch. 1). It is found from the draws themselves: they
are sorted by the input and cut into groups of equal size. The means of the groups spread by chance too, which is taken
off (epsilon squared: Kelley 1935, doi:10.1073/pnas.21.9.554). Inputs err independently, so their shares add up to 1 at
most. What is missing is `rest`: when in the days an input erred, and what several do together.
"""

from collections.abc import Mapping

import numpy as np

from pems_optimizer.domain.problem import Floats

__all__ = ["spread_shares"]

_MOST_GROUPS = 20
_LEAST_IN_GROUP = 10
_LEAST_DRAWS = 40
_TINY = 1e-12


def spread_shares(result: Floats, inputs: Mapping[str, Floats]) -> dict[str, float]:
    """Return the share of the result's variance by input, and of `rest`.

    Args:
        result: One number per draw (N,).
        inputs: What was drawn, one number per draw each (N,).

    Returns:
        Shares in 0..1 that sum to 1; empty where there are fewer than 40 draws, or no spread.
    """
    if len(result) < _LEAST_DRAWS or float(result.std()) <= _TINY * max(1.0, float(np.abs(result).max())):
        return {}
    found = {name: _correlation_ratio(result, values) for name, values in inputs.items()}
    total = max(1.0, sum(found.values()))
    shares = {name: share / total for name, share in found.items()}
    return {**shares, "rest": max(0.0, 1.0 - sum(shares.values()))}


def _correlation_ratio(result: Floats, values: Floats) -> float:
    if float(np.ptp(values)) <= _TINY * max(1.0, float(np.abs(values).max())):
        return 0.0
    count = len(result)
    groups = np.array_split(result[np.argsort(values, kind="stable")], min(_MOST_GROUPS, count // _LEAST_IN_GROUP))
    within = sum(float(((group - group.mean()) ** 2).sum()) for group in groups)
    whole = float(((result - result.mean()) ** 2).sum())
    # The mean square within groups is what their means spread by chance, for each group but one.
    chance = within / (count - len(groups))
    return max(0.0, (whole - within - (len(groups) - 1) * chance) / whole)
