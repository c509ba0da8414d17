"""The page over a made-up house in a process of its own, and a real Chromium to look at it."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
CHROMIUM = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")
FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark everything in this folder."""
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.browser)
            item.add_marker(pytest.mark.timeout(180))


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass
class Site:
    """A running page."""

    url: str
    process: subprocess.Popen[bytes]


@pytest.fixture
def start_page(tmp_path: Path) -> Iterator[Callable[..., Site]]:
    """Start the page with options of `page_server`; every one ends with the test."""
    started: list[Site] = []

    def start(*options: str) -> Site:
        port = _free_port()
        command = [sys.executable, "-m", "tests.browser.page_server", "--port", str(port)]
        command += ["--backend-port", str(_free_port()), "--data", str(tmp_path / f"data{len(started)}"), *options]
        log = tmp_path / f"page{len(started)}.log"
        with log.open("wb") as out:
            process = subprocess.Popen(command, cwd=ROOT, stdout=out, stderr=subprocess.STDOUT)
        site = Site(f"http://127.0.0.1:{port}", process)
        started.append(site)
        for _ in range(300):
            with suppress(OSError):
                urllib.request.urlopen(f"{site.url}/login", timeout=2).close()
                return site
            if process.poll() is not None:
                break
            time.sleep(0.2)
        pytest.fail(f"the page did not start: {log.read_text()[-2000:]}")

    yield start
    for site in started:
        site.process.send_signal(signal.SIGTERM)
        with suppress(subprocess.TimeoutExpired):
            site.process.wait(10)
        site.process.kill()
        site.process.wait()


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    """A headless Chromium by playwright; skipped where either is absent.

    Not longer than a module: while playwright's own event loop runs, no asynchronous test could.
    """
    if CHROMIUM is None:
        pytest.skip("no chromium on this machine: apt-get install chromium, or set CHROMIUM")
    sync_api = pytest.importorskip("playwright.sync_api")
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, headless=True, args=FLAGS)
        yield browser
        browser.close()
