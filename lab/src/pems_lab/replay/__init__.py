"""Truth of a plan made again."""
