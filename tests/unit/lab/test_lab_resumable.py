"""Long work: what is finished is not done again, in this process or in others; a broken result is named."""

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from pems_common.errors import PemsError
from pems_lab.resumable import Tell, finish, silence


@dataclass(frozen=True)
class Counted:
    """A task that only counts; `folder` gets a file each time it is done."""

    name: str
    folder: Path
    weight: int = 2

    def key(self, version: str) -> str:
        return f"{self.name}-{version}"

    def done(self, tell: Tell) -> dict[str, Any]:
        if self.name == "breaks":
            raise KeyboardInterrupt
        assert not logging.getLogger("pems").isEnabledFor(logging.ERROR)
        (self.folder / f"{self.name}-{len(times(self.folder, self.name))}").touch()
        tell(1)
        tell(2)
        return {"name": self.name}


def times(folder: Path, name: str) -> list[Path]:
    return list(folder.glob(f"{name}-*"))


@pytest.fixture
def done(tmp_path: Path) -> Path:
    folder = tmp_path / "done"
    folder.mkdir()
    return folder


def run(tasks: list[Counted], folder: Path, said: list[str], processes: int = 1) -> dict[Counted, dict[str, Any]]:
    return dict(finish(tasks, folder, processes=processes, version="v", say=said.append))


def test_what_is_finished_is_not_done_again(tmp_path: Path, done: Path) -> None:
    said: list[str] = []
    first, breaks, last = (Counted(name, done) for name in ("a", "breaks", "b"))
    with pytest.raises(KeyboardInterrupt):
        run([first, breaks, last], tmp_path, said)
    assert len(times(done, "a")) == 1
    assert any("2 of 6 days" in line and "left" in line for line in said)
    found = run([first, last], tmp_path, said)
    assert len(times(done, "a")) == len(times(done, "b")) == 1
    assert found[first] == {"name": "a"}
    assert "1 of 2 parts were finished before" in said
    assert sorted(path.name for path in tmp_path.glob("*.*")) == ["a-v.json", "b-v.json"], "no marks are left"


def test_processes_of_their_own_do_the_same(tmp_path: Path, done: Path) -> None:
    said: list[str] = []
    tasks = [Counted(name, done) for name in "abc"]
    found = run(tasks, tmp_path, said, processes=2)
    assert found == {task: {"name": task.name} for task in tasks}
    assert all(len(times(done, task.name)) == 1 for task in tasks)
    assert said[-1].startswith("6 of 6 days")
    assert run(tasks, tmp_path, [], processes=2) == found
    assert all(len(times(done, task.name)) == 1 for task in tasks)


def test_another_version_is_done_anew(tmp_path: Path, done: Path) -> None:
    task = Counted("a", done)
    run([task], tmp_path, [])
    assert dict(finish([task], tmp_path, processes=1, version="w", say=lambda _: None)) == {task: {"name": "a"}}
    assert len(times(done, "a")) == 2


def test_a_broken_result_is_named(tmp_path: Path, done: Path) -> None:
    (tmp_path / "a-v.json").write_text("{")
    with pytest.raises(PemsError, match=r"a-v\.json is broken"):
        run([Counted("a", done)], tmp_path, [])


def test_the_log_comes_back_after_silence() -> None:
    log = logging.getLogger("pems")
    before = log.isEnabledFor(logging.ERROR)

    def breaks() -> None:
        with silence():
            assert not log.isEnabledFor(logging.ERROR)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        breaks()
    assert log.isEnabledFor(logging.ERROR) is before
