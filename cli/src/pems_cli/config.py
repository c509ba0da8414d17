"""`./pems config`: checks and shows the site's description."""

from pathlib import Path

import typer
import yaml

from pems_cli.paths import home_file
from pems_common.home import Home, HomeError, load_home

__all__ = ["check_home", "show_home"]


def _load(file: Path | None) -> Home | None:
    try:
        return load_home(file or home_file())
    except HomeError as error:
        typer.echo(f"{error.source}: {len(error.problems)} to correct", err=True)
        for problem in error.problems:
            typer.echo(f"  {problem}", err=True)
        return None


def check_home(file: Path | None) -> int:
    """Say whether the file can be used; returns the exit status."""
    home = _load(file)
    if home is None:
        return 1
    heating_w = sum(room.relay_w for room in home.rooms.values())
    typer.echo(f"{file or home_file()}: good. {len(home.rooms)} rooms with {heating_w / 1000:.1f} kW of heating.")
    return 0


def show_home(file: Path | None) -> int:
    """Print the file with every default filled in; returns the exit status."""
    home = _load(file)
    if home is None:
        return 1
    typer.echo(yaml.safe_dump(home.model_dump(mode="json"), sort_keys=False, allow_unicode=True), nl=False)
    return 0
