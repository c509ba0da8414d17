"""Closed-loop days with random faults."""
