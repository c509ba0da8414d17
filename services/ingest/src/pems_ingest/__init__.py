"""Data coming in: devices, prices and weather, checked, stored, published and served."""
