"""Doing it: modes, safety limits and devices over MQTT."""
