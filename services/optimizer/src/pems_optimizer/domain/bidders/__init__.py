"""Bidders: devices that answer a price per slot with a schedule. A new kind of device is one new file here."""
