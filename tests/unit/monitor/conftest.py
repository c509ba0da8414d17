"""A house, a fixed winter morning, and the made-up messages of it."""

from datetime import UTC, datetime
from pathlib import Path

import pytest
from tests.browser.sample_house import SampleHouse

from pems_common.clock import FakeClock
from pems_common.home import Home, load_home

NOW = datetime(2026, 1, 15, 9, 22, tzinfo=UTC)
_ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="session")
def home() -> Home:
    return load_home(_ROOT / "config" / "home.yaml")


@pytest.fixture(scope="session")
def house(home: Home) -> SampleHouse:
    return SampleHouse(home, NOW)


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock(NOW)
