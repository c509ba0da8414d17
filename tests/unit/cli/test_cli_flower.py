"""Flower: its password comes from a file, and like the queue's it never stands on the command line."""

import os
import sys

import pytest

from pems_cli import flower


@pytest.fixture
def started(monkeypatch, tmp_path):
    calls = []
    monkeypatch.setenv("PEMS_INTERNAL_KEY_FILE", str(tmp_path / "internal.key"))
    monkeypatch.setattr(os, "execve", lambda path, command, env: calls.append((path, command, env)))
    return calls


def test_the_password_reaches_flower_by_environment_only(started, monkeypatch, tmp_path):
    monkeypatch.setattr(sys, "argv", ["flower", "--address", "0.0.0.0", "--port", "5556"])
    monkeypatch.setenv("PEMS_REDIS_URL", "redis://redis:6379/0")
    monkeypatch.setenv("PEMS_REDIS_PASSWORD", "secret")
    (tmp_path / "flower.password").write_text("geheim\n")
    flower.main()
    ((path, command, env),) = started
    assert path == command[0] == sys.executable
    assert command[-3:] == ["flower", "--address=0.0.0.0", "--port=5556"]
    assert env["FLOWER_BASIC_AUTH"] == "pems:geheim"
    assert env["CELERY_BROKER_URL"] == "redis://:secret@redis:6379/1"
    assert not [word for word in command if "geheim" in word or "secret" in word]


def test_a_password_is_made_where_there_is_none(started, monkeypatch, tmp_path):
    monkeypatch.setattr(sys, "argv", ["flower"])
    flower.main()
    ((_, command, env),) = started
    password = (tmp_path / "flower.password").read_text().strip()
    assert env["FLOWER_BASIC_AUTH"] == f"pems:{password}"
    assert len(password) > 20
    assert "--address=127.0.0.1" in command
