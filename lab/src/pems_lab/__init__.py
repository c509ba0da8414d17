"""The laboratory: lockstep runs of all services in one process."""
