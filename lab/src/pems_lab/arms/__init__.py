"""Arms of a comparison: who runs the house, their jobs and their table."""
