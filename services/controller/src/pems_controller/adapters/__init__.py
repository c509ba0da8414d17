"""What the controller decides about reaches it, and is carried out, through these: devices, store, claim."""
