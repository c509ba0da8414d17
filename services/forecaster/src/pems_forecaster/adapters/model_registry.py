"""The registry of trained models: a folder for each version, and one JSON file of what they are."""

import shutil
from collections.abc import Collection, Mapping
from contextlib import suppress
from datetime import datetime
from pathlib import Path

from pems_common.errors import PermanentError
from pems_common.logs import get_logger
from pems_forecaster.adapters.state_file import StateFile
from pems_forecaster.domain.model_record import ModelRecord, ModelStatus

__all__ = ["ModelRegistry"]

KEEP_RETIRED = 5
_FORMAT = 1
_log = get_logger("forecaster.models")


class ModelRegistry:
    """Models of one site."""

    def __init__(self, folder: Path) -> None:
        """Open the registry in `folder`, which is made; a damaged list is set aside, and begins anew."""
        self._folder = folder
        self._file = StateFile(folder / "registry.json")
        self._records: dict[str, ModelRecord] = {}
        try:
            folder.mkdir(parents=True, exist_ok=True)
            document = self._file.load()
            if document is not None:
                if document.get("format") != _FORMAT:
                    raise PermanentError(f"format {document.get('format')!r} is not {_FORMAT}", remedy="train anew")
                for data in document["models"]:
                    record = ModelRecord.from_json(data)
                    self._records[record.version] = record
        except (PermanentError, ValueError, KeyError, TypeError) as error:
            _log.error("the list of models is damaged, it is set aside", file=str(self._file.path), error=str(error))
            self._records.clear()
            with suppress(OSError):
                self._file.set_aside()
        except OSError as error:
            _log.error("the list of models cannot be read: it begins empty", error=repr(error))

    def all(self, kind: str | None = None) -> list[ModelRecord]:
        """Return the records, of one kind if wanted, the newest first."""
        found = [r for r in self._records.values() if kind in {None, r.kind}]
        return sorted(found, key=lambda r: (r.trained_at, r.version), reverse=True)

    def get(self, version: str) -> ModelRecord | None:
        """Return a record, None where there is none."""
        return self._records.get(version)

    def folder_of(self, version: str) -> Path:
        """Return where a version's files are, or will be."""
        return self._folder / version

    def add(self, record: ModelRecord) -> None:
        """Add a trained model whose files are in its folder."""
        self._records[record.version] = record
        self._save()

    def change(
        self,
        version: str,
        status: ModelStatus,
        at: datetime,
        why: str,
        metrics: Mapping[str, float] | None = None,
        *,
        keep: Collection[str] = (),
    ) -> ModelRecord:
        """Change a model's status; old retired ones lose their files and are forgotten, but those in `keep`.

        Raises:
            KeyError: There is no such version.
        """
        record = self._records[version].became(status, at, why, metrics)
        self._records[version] = record
        self._prune(record.kind, keep)
        self._save()
        return record

    def discard(self, version: str) -> None:
        """Remove what a training left that came to nothing."""
        if version not in self._records:
            shutil.rmtree(self.folder_of(version), ignore_errors=True)

    def sweep(self) -> None:
        """Remove what trainings left that an earlier run did not see to their ends."""
        with suppress(OSError):
            for folder in list(self._folder.iterdir()):
                if folder.is_dir():
                    self.discard(folder.name)

    def _prune(self, kind: str, keep: Collection[str]) -> None:
        retired = [r for r in self.all(kind) if r.status == "retired" and r.version not in keep]
        for record in retired[KEEP_RETIRED:]:
            del self._records[record.version]
            shutil.rmtree(self.folder_of(record.version), ignore_errors=True)

    def _save(self) -> None:
        try:
            self._file.save({"format": _FORMAT, "models": [record.to_json() for record in self._records.values()]})
        except OSError as error:
            _log.error("the list of models cannot be saved", file=str(self._file.path), error=repr(error))
