"""Pure physics and device behaviour of the simulated house: no IO, no clock, no framework."""
