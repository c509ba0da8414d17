"""Prices, exchange rates and weather from outside: each source checks what it got before anyone sees it."""
