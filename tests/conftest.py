"""What every test gets: no settings from the developer's own environment."""

import os

import pytest
import structlog


def pytest_configure() -> None:
    """Log plainly: structlog's own default draws every traceback with its variables, which takes a second."""
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(default=str),
        ]
    )


@pytest.fixture(autouse=True)
def _no_settings_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in os.environ:
        if name.startswith("PEMS_") and name not in {"PEMS_DATA_DIR", "PEMS_EMBEDDED"}:
            monkeypatch.delenv(name)
