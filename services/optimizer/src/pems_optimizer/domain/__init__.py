"""Pure planning: the problem as arrays, the bidders, the dispatch, the plan. No IO, no clock, no framework."""
