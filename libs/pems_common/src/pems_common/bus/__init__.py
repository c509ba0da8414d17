"""The bus: port, adapters for memory and Redis streams."""

from pems_common.bus.memory import DeadLetter, MemoryBus
from pems_common.bus.port import Bus, WorkHandler

__all__ = ["Bus", "DeadLetter", "MemoryBus", "WorkHandler"]
