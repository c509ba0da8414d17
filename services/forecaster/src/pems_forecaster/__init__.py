"""What will be: bands of PV, load and prices, room models and their registry."""
