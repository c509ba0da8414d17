"""Two "hosts" on one machine: network namespaces with a cable each, and what is left of them always cleared away."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

__all__ = ["Host", "Hosts", "two_hosts"]


@dataclass(frozen=True)
class Host:
    """Where a process is started.

    Attributes:
        prefix: Goes before its command.
        cpu: The one core it may use.
    """

    name: str
    prefix: tuple[str, ...]
    cpu: int


@dataclass(frozen=True)
class Hosts:
    """The hosts and the address at which both reach this process' servers.

    Attributes:
        kind: In words, with the reason where they are no namespaces.
    """

    kind: str
    address: str
    hosts: tuple[Host, ...]


def _cpus() -> tuple[int, int]:
    free = sorted(os.sched_getaffinity(0))
    return free[0], free[min(1, len(free) - 1)]


def _ip(*words: str) -> None:
    done = subprocess.run(["ip", *words], capture_output=True, text=True, check=False)
    if done.returncode:
        raise OSError(f"ip {' '.join(words)}: {done.stderr.strip()}")


def _join(namespace: str, cable: str, subnet: str) -> None:
    """Make a namespace and join it to this one: `subnet`.1 here, `subnet`.2 there."""
    _ip("netns", "add", namespace)
    _ip("link", "add", f"{cable}0", "type", "veth", "peer", "name", f"{cable}1", "netns", namespace)
    _ip("addr", "add", f"{subnet}.1/30", "dev", f"{cable}0")
    _ip("link", "set", f"{cable}0", "up")
    _ip("-n", namespace, "link", "set", "lo", "up")
    _ip("-n", namespace, "addr", "add", f"{subnet}.2/30", "dev", f"{cable}1")
    _ip("-n", namespace, "link", "set", f"{cable}1", "up")
    _ip("-n", namespace, "route", "add", "default", "via", f"{subnet}.1")


def _part(namespace: str, cable: str) -> None:
    for words in (("link", "del", f"{cable}0"), ("netns", "del", namespace)):
        with suppress(OSError):
            _ip(*words)


@contextmanager
def two_hosts() -> Iterator[Hosts]:
    """Make two namespaces for as long as this lasts; plain processes where that is not possible."""
    cpus = _cpus()
    names = ("a", "b")
    spaces = [f"pems-{os.getpid()}-{name}" for name in names]
    cables = [f"p{os.getpid()}{name}" for name in names]
    subnets = ("10.213.71", "10.213.72")

    def plain(why: str) -> Hosts:
        hosts = tuple(Host(name, (), cpu) for name, cpu in zip(names, cpus, strict=True))
        return Hosts(f"plain processes ({why})", "127.0.0.1", hosts)

    if os.geteuid() != 0 or shutil.which("ip") is None:
        yield plain("network namespaces need root and iproute2")
        return
    try:
        try:
            for space, cable, subnet in zip(spaces, cables, subnets, strict=True):
                _join(space, cable, subnet)
        except OSError as error:
            yield plain(str(error))
        else:
            hosts = tuple(
                Host(name, ("ip", "netns", "exec", space), cpu)
                for name, space, cpu in zip(names, spaces, cpus, strict=True)
            )
            yield Hosts("network namespaces", f"{subnets[0]}.1", hosts)
    finally:
        for space, cable in zip(spaces, cables, strict=True):
            _part(space, cable)
