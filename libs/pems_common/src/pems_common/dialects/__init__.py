"""What devices say and understand: pure functions from bytes to checked readings, and from wishes to payloads."""
