"""Accounts on disk, and the other services over HTTP."""
