"""Input and output of the simulated house."""
