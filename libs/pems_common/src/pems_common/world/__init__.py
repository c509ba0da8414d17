"""True weather and spot prices of a simulated or replayed run, the same for every process that reads its world file."""

from pems_common.world.port import WeatherSample, World
from pems_common.world.worldfile import WorldFile, open_world, write_world_file

__all__ = ["WeatherSample", "World", "WorldFile", "open_world", "write_world_file"]
