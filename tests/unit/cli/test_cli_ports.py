"""Busy ports are stepped over, and what moved is remembered."""

import socket

from pems_cli.ports import PortChooser, free_port, port_is_free


def test_takes_the_usual_port_when_it_is_free() -> None:
    chooser = PortChooser()
    usual = free_port()
    assert chooser.choose("page", usual) == usual
    assert chooser.moved == {}


def test_steps_over_a_busy_port_and_says_so() -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        usual = other.getsockname()[1]
        assert not port_is_free(usual)
        chooser = PortChooser()
        given = chooser.choose("page", usual)
    assert given != usual
    assert chooser.moved == {"page": (usual, given)}


def test_never_gives_the_same_port_twice() -> None:
    chooser = PortChooser()
    usual = free_port()
    assert chooser.choose("page", usual) != chooser.choose("other page", usual)
