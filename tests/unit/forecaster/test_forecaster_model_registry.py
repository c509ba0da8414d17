"""The list of trained models and their files."""

import json
from datetime import timedelta
from pathlib import Path

import pytest
from tests.unit.forecaster.forecaster_makers import WINTER

from pems_common.errors import PermanentError
from pems_forecaster.adapters.model_registry import KEEP_RETIRED, ModelRegistry
from pems_forecaster.domain.model_record import ModelRecord


def a_record(version: str, hours: float = 0.0, kind: str = "pv") -> ModelRecord:
    at = WINTER + timedelta(hours=hours)
    return ModelRecord(version, kind, "candidate", at, (WINTER - timedelta(days=9), at), 100, "ab12", ("x", "y"),
                       "pv power / AC limit", {"rounds": 5}, {"pinball": 1.5})  # fmt: skip


def test_records_outlive_a_restart_and_the_newest_comes_first(tmp_path: Path):
    registry = ModelRegistry(tmp_path)
    registry.add(a_record("a"))
    registry.add(a_record("b", 1.0))
    registry.add(a_record("c", 2.0, "load"))
    registry.change("b", "shadow", WINTER, "on trial")
    registry.change("b", "active", WINTER + timedelta(days=5), "better", {"loss_ratio": 0.9})
    again = ModelRegistry(tmp_path)
    assert [r.version for r in again.all()] == ["c", "b", "a"]
    assert [r.version for r in again.all("pv")] == ["b", "a"]
    found = again.get("b")
    assert found == registry.get("b")
    assert found is not None
    assert (found.status, found.why, dict(found.metrics)) == ("active", "better", {"pinball": 1.5, "loss_ratio": 0.9})
    assert [status for _, status in found.changes] == ["shadow", "active"]
    assert again.get("zzz") is None


def test_old_retired_models_lose_their_files_and_others_do_not(tmp_path: Path):
    registry = ModelRegistry(tmp_path)
    for k in range(KEEP_RETIRED + 3):
        registry.add(a_record(f"m{k}", float(k)))
        registry.folder_of(f"m{k}").mkdir()
    registry.change("m0", "active", WINTER, "better")
    for k in range(1, KEEP_RETIRED + 3):
        registry.change(f"m{k}", "retired", WINTER, "done")
    left = {r.version for r in registry.all()}
    assert left == {"m0", *(f"m{k}" for k in range(3, KEEP_RETIRED + 3))}
    assert {p.name for p in tmp_path.iterdir() if p.is_dir()} == left


@pytest.mark.parametrize("text", ["{", "[]", '{"format": 9, "models": []}', '{"format": 1, "models": [{"a": 1}]}'])
def test_a_damaged_list_is_set_aside(tmp_path: Path, text: str):
    (tmp_path / "registry.json").write_text(text)
    registry = ModelRegistry(tmp_path)
    assert registry.all() == []
    assert (tmp_path / "registry.damaged").exists()
    registry.add(a_record("a"))
    assert json.loads((tmp_path / "registry.json").read_text())["models"][0]["version"] == "a"


def test_a_record_with_an_unknown_status_is_refused():
    with pytest.raises(PermanentError, match="no status 'famous'"):
        ModelRecord.from_json({**a_record("a").to_json(), "status": "famous"})
