"""Lets ``python -m pems_cli`` be the same as ``./pems``."""

from pems_cli.main import main

main()
