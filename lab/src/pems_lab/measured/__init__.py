"""Measured days, read from a history."""
