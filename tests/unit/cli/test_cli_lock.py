"""The lock files hold names, versions and hashes, and nothing about where they were made."""

import re

from pems_cli import lock
from pems_cli.paths import ROOT


def test_the_lock_files_name_no_place() -> None:
    for name in ("requirements.lock", "build.lock"):
        for line in (ROOT / name).read_text().splitlines():
            assert re.match(r"(#|[a-z0-9]|    --hash=sha256:[0-9a-f]{64})", line), line
            assert "://" not in line
            assert "/" not in line.replace('"./pems lock"', "")


def test_the_build_tools_are_the_versions_of_the_packages() -> None:
    packages = lock._versions((ROOT / "requirements.lock").read_text()).splitlines()
    build = lock._versions((ROOT / "build.lock").read_text()).splitlines()
    names = {line.split("==")[0] for line in packages}
    for line in build:
        if line.split("==")[0] in names:
            assert line in packages
    assert {"uv", "hatchling", "editables"} <= {line.split("==")[0] for line in build}
