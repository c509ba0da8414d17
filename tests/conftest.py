"""What every test gets: no settings from the developer's own environment."""

import os

import pytest


@pytest.fixture(autouse=True)
def _no_settings_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in os.environ:
        if name.startswith("PEMS_") and name not in {"PEMS_DATA_DIR", "PEMS_EMBEDDED"}:
            monkeypatch.delenv(name)
