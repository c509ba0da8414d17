"""A planning problem as a JSON file, for people without a PEMS house: docs/solve.md."""
