"""Identification of rooms: each room's thermal model, and how far to trust it, from its own history."""
