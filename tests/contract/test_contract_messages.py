"""One stored message per type and version: each must load for ever.

A stored file is never edited. A change of meaning is a new version with an upcaster and a new file.
"""

import json
from pathlib import Path

import pytest

from pems_common.messages import CATALOG, Envelope, read_body, subject_of

FILES = sorted((Path(__file__).parent / "messages").glob("*.json"))


def stored(path: Path) -> tuple[dict[str, str], dict[str, object]]:
    data = json.loads(path.read_text())
    body = data["body"]
    return {**data, "body": json.dumps(body)}, body


def assert_says(read, body: dict[str, object]) -> None:
    """All that was stored is still said, and fields that came later say nothing."""
    said = read.model_dump(mode="json")
    assert {name: said[name] for name in body} == body
    nothing = {name: field.get_default(call_default_factory=True) for name, field in type(read).model_fields.items()}
    for name in said.keys() - body.keys():
        assert getattr(read, name) == nothing[name]


def test_every_type_and_version_has_its_stored_message():
    names = {path.stem for path in FILES}
    assert names >= {f"{t.name}_v{version}" for t in CATALOG.values() for version in range(1, t.version + 1)}


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_stored_message_loads_and_says_the_same(path):
    fields, body = stored(path)
    envelope = Envelope.from_fields(fields)
    kind = CATALOG[envelope.type]
    read = read_body(envelope, kind.body)
    assert envelope.to_fields().keys() == fields.keys()
    assert_says(read, body)
    assert subject_of(read) == envelope.subject


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_reader_of_today_accepts_fields_of_tomorrow(path):
    fields, body = stored(path)
    later = Envelope.from_fields({**fields, "body": json.dumps({**body, "added_later": 1})})
    assert_says(read_body(later, CATALOG[later.type].body), body)
