"""What the controller decides, as pure functions: no IO, no clock, no environment."""
