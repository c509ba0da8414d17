"""The shared language of the PEMS services: time, messages, bus, site description, device dialects."""
