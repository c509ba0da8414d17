"""Where things are: the checkout, the data directory, the site's home.yaml and the optional data sets."""

import os
from pathlib import Path

__all__ = ["ROOT", "data_directory", "data_sets_directory", "home_file"]

ROOT = Path(__file__).resolve().parents[3]
"""The checkout that this command line belongs to (it is installed in place)."""


def data_directory() -> Path:
    """The directory that holds everything PEMS keeps: `PEMS_DATA`, else `var` in the checkout."""
    return Path(os.environ.get("PEMS_DATA") or ROOT / "var").absolute()


def home_file() -> Path:
    """The site's description: `PEMS_HOME`, else `config/home.yaml` in the checkout."""
    return Path(os.environ.get("PEMS_HOME") or ROOT / "config" / "home.yaml").absolute()


def data_sets_directory() -> Path | None:
    """The folder of measured data sets (`PEMS_DATA_DIR`, else `../shared/data`), or None where absent."""
    folder = Path(os.environ.get("PEMS_DATA_DIR") or ROOT.parent / "shared" / "data").absolute()
    return folder if folder.is_dir() else None
