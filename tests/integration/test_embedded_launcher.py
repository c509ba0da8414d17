"""The launcher picks a Python that runs, never trusts a half-made environment, and builds only once.

A fake Python stands in for the real one, so that nothing is downloaded: it makes a toy environment whose pip,
uv and command line only write down that they were called.
"""

import os
import shutil
import stat
import subprocess
from pathlib import Path

import pytest

from pems_cli.paths import ROOT

_FAKE_PYTHON = """#!/bin/sh
echo "python $*" >>"$CALLS"
case "$*" in
    *version_info*|*ensurepip*) exit 0 ;;
    "-m venv "*)
        [ -z "${VENV_FAILS:-}" ] || { mkdir -p "$3/bin"; cp "$0" "$3/bin/python"; exit 1; }
        sleep "${VENV_TAKES:-0}"
        mkdir -p "$3/bin"; cp "$0" "$3/bin/python" ;;
    "-m pip install "*) cp "$UV" "$(dirname "$0")/uv" ;;
    "-P -m pems_cli"*) echo "the command line: $*" ;;
esac
"""
_FAKE_UV = """#!/bin/sh
echo "uv $*" >>"$CALLS"
[ -z "${UV_FAILS:-}" ]
"""


class _Place:
    def __init__(self, folder: Path) -> None:
        self.root = folder / "checkout with a space"
        self.root.mkdir()
        shutil.copy(ROOT / "pems", self.root / "pems")
        for name in ("pyproject.toml", "build.lock", "requirements.lock"):
            (self.root / name).write_text(f"{name}\n")
        self.bin = folder / "bin"
        self.bin.mkdir()
        self.calls = folder / "calls"
        self.program("python3.11", _FAKE_PYTHON)
        self.uv = self.program("uv-to-install", _FAKE_UV)

    def program(self, name: str, text: str) -> Path:
        path = self.bin / name
        path.write_text(text)
        path.chmod(path.stat().st_mode | stat.S_IXUSR)
        return path

    def environment(self, **more: str) -> dict[str, str]:
        path = f"{self.bin}{os.pathsep}/usr/bin{os.pathsep}/bin"
        return {"PATH": path, "CALLS": str(self.calls), "UV": str(self.uv)} | more

    def start(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        self.calls.write_text("")
        return subprocess.run(
            [str(self.root / "pems"), *arguments],
            env=self.environment(**environment),
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )

    def called(self, words: str) -> int:
        return self.calls.read_text().count(words)


@pytest.fixture
def place(tmp_path: Path) -> _Place:
    return _Place(tmp_path)


def test_the_first_start_builds_and_the_second_does_not(place: _Place) -> None:
    first = place.start("doctor", "a b")
    assert first.returncode == 0, first.stderr
    assert "the command line: -P -m pems_cli doctor a b" in first.stdout
    assert place.called("-m venv") == 1
    assert place.called("--require-hashes") == 2
    second = place.start("doctor")
    assert second.stdout.startswith("the command line")
    assert second.stderr == ""
    assert place.calls.read_text().splitlines() == ["python -P -m pems_cli doctor"]


def test_an_environment_that_failed_to_build_is_made_anew(place: _Place) -> None:
    failed = place.start(VENV_FAILS="1")
    assert failed.returncode == 1
    assert "could not make" in failed.stderr
    assert place.start(UV_FAILS="1").returncode == 1
    assert (place.root / ".venv/bin/python").exists()  # looks fine, is not
    mended = place.start()
    assert "the command line" in mended.stdout
    assert place.called("uv pip sync") == 1
    shutil.rmtree(place.root / ".venv")
    place.start(UV="/nowhere")  # the installer could not be had: nothing says what state this is in
    assert place.start().returncode == 0
    assert place.called("-m venv") == 1


def test_changed_locks_update_the_environment_in_place(place: _Place) -> None:
    place.start()
    (place.root / "requirements.lock").write_text("something newer\n")
    assert place.start(UV_FAILS="1").returncode == 1
    assert place.start().returncode == 0
    assert place.called("-m venv") == 0
    assert place.called("uv pip sync") == 1
    (place.root / "pyproject.toml").write_text("another package folder\n")
    assert place.start().returncode == 0
    assert place.called("uv pip sync") == 0
    assert place.called("uv pip install") == 1


def test_a_moved_checkout_is_built_anew(place: _Place) -> None:
    place.start()
    place.root = place.root.rename(place.root.with_name("moved"))
    assert place.start().returncode == 0
    assert place.called("-m venv") == 1


def test_shims_that_fail_when_called_are_passed_over(place: _Place) -> None:
    (place.bin / "python3.11").rename(place.bin / "python3.12")
    place.program("python3.11", "#!/bin/sh\nexit 127\n")
    # /usr/bin may hold a real python3.11; the one named here must win over the shim in any case
    started = place.start(PEMS_PYTHON=str(place.bin / "python3.12"))
    assert started.returncode == 0
    assert place.called("-m venv") == 1
    refused = subprocess.run(
        [str(place.root / "pems")],
        env=place.environment(PEMS_PYTHON=str(place.bin / "python3.11"), PEMS_VENV=str(place.root / "other")),
        capture_output=True,
        text=True,
        check=False,
    )
    assert refused.returncode == 1
    assert "PEMS_PYTHON" in refused.stderr


def test_a_python_without_venv_names_the_one_command(place: _Place) -> None:
    lacking = '#!/bin/sh\ncase "$*" in *ensurepip*) exit 1 ;; *print*) echo 3.11 ;; esac\n'
    script = place.root / "pems"
    # Hide the machine's own interpreters: only the one that lacks venv is found.
    script.write_text(script.read_text().replace('"/usr/bin/$name" "/usr/local/bin/$name"', ""))
    for version in ("3.11", "3.12", "3.13", "3.14", "3", ""):
        place.program(f"python{version}", lacking)
    started = place.start()
    assert started.returncode == 1
    assert "sudo apt-get install python3.11-venv" in started.stderr


def test_two_starts_at_once_build_once(place: _Place) -> None:
    place.calls.write_text("")
    environment = place.environment(VENV_TAKES="1")
    both = [
        subprocess.Popen([str(place.root / "pems")], env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        for _ in range(2)
    ]
    outputs = [process.communicate(timeout=30) for process in both]
    assert [process.returncode for process in both] == [0, 0], outputs
    assert place.called("-m venv") == 1
    assert not (place.root / ".venv.lock").exists()


def test_the_lock_of_a_dead_start_is_cleared(place: _Place) -> None:
    lock = place.root / ".venv.lock"
    lock.mkdir()
    (lock / "pid").write_text("99999999\n")
    assert place.start().returncode == 0


def test_works_through_a_symbolic_link(place: _Place, tmp_path: Path) -> None:
    link = tmp_path / "pems-link"
    link.symlink_to(place.root / "pems")
    place.calls.write_text("")
    done = subprocess.run([str(link)], env=place.environment(), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert (place.root / ".venv" / "pems-stamp").exists()
