"""Busy ports are stepped over, and what moved is remembered."""

import socket
from collections.abc import Iterator

import pytest

from pems_cli.ports import PortChooser, free_port, port_is_free


@pytest.fixture
def chooser() -> Iterator[PortChooser]:
    one = PortChooser()
    yield one
    one.close()


def test_takes_the_usual_port_when_it_is_free(chooser: PortChooser) -> None:
    usual = free_port()
    assert chooser.choose("page", usual) == usual
    assert chooser.moved == {}


def test_steps_over_a_busy_port_and_says_so(chooser: PortChooser) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        usual = other.getsockname()[1]
        assert not port_is_free(usual)
        given = chooser.choose("page", usual)
    assert given != usual
    assert chooser.moved == {"page": (usual, given)}


def test_never_gives_the_same_port_twice(chooser: PortChooser) -> None:
    usual = free_port()
    assert chooser.choose("page", usual) != chooser.choose("other page", usual)


def test_a_port_stays_claimed_while_its_server_is_away(chooser: PortChooser) -> None:
    usual = free_port()
    assert chooser.choose("page", usual) == usual
    other = PortChooser()
    assert other.choose("page of another PEMS", usual) != usual
    other.close()
    chooser.close()
    third = PortChooser()
    assert third.choose("page", usual) == usual
    third.close()
