"""IO of the forecaster: history over REST, and its own state file."""
