"""Order of the long tests."""

from pathlib import Path

import pytest


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Two workers begin with a half each: what stands side by side in a file takes equally long, so it is dealt out."""
    here = Path(__file__).parent
    places = [k for k, item in enumerate(items) if here in item.path.parents]
    own = [items[k] for k in places]
    for k, item in zip(places, own[::2] + own[1::2], strict=True):
        items[k] = item
