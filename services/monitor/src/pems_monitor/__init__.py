"""Telling: the web page, key figures, alerts and overrides."""
