"""The simulated house: physics and devices that speak MQTT and UDP."""
