"""Rolling-origin backtests: each forecast from what was known at its issue, scored beside simple methods."""
