"""The bus: port, adapters for memory and Redis streams."""

from pems_common.bus.port import Bus, WorkHandler

__all__ = ["Bus", "WorkHandler"]
