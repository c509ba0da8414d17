"""Two configurations on the same days, and which to take."""
