"""The true building: heat capacities and conductances of every room, drawn from the facts of home.yaml.

Four nodes a room: screed (with the heating), floor covering, air with furniture, and structure (outer wall, roof,
inner walls). The planner's model has two nodes and its own parameters; nothing here is known to it.
Material figures: usual values of building physics (ISO 13790, annex; ISO 6946), then a random factor per room.
"""

from dataclasses import dataclass
from math import sqrt

import numpy as np
from numpy.typing import NDArray

from pems_common.home import Home
from pems_house.domain.chance import generator

__all__ = ["AIR", "COVER", "FACADES", "SCREED", "STRUCTURE", "Building", "make_building"]

Floats = NDArray[np.float64]

SCREED, COVER, AIR, STRUCTURE = range(4)
FACADES = ("north", "east", "south", "west")

_HEIGHT_M = 2.6
_AIR_J_M3_K = 1206.0
_SCREED_J_M2_K = 125e3  # 60 mm of cement screed
_COVER_J_M2_K = 18e3
_FURNITURE_J_M2_K = 18e3
_STRUCTURE_J_M2_K = {"light": 60e3, "medium": 170e3, "heavy": 320e3}
_WALL_U_W_M2_K = {"light": 0.36, "medium": 0.42, "heavy": 0.48}
_ROOF_U_W_M2_K = 0.27
_GROUND_U_W_M2_K = 0.24
_WINDOW_U_W_M2_K = 1.5
_BRIDGES = 1.55  # thermal bridges, attic hatch, doors
_SCREED_COVER_W_M2_K = 28.0
_COVER_AIR_W_M2_K = 5.5
_COVER_STRUCTURE_W_M2_K = 4.5
_STRUCTURE_AIR_W_M2_K = 6.0  # per m2 of floor: about 2.4 m2 of inner surface at 2.5 W/m2K
_AIR_CHANGES_PER_H = 0.36
_DOOR_W_K = 9.0
_PARTITION_W_K = 7.0
_OPEN_PLAN_W_K = 240.0
# The first house's kitchen has no wall to its living room; home.yaml has no field for that.
_OPEN_PLAN = (frozenset({"obyvak", "kuchyne"}), frozenset({"living", "kitchen"}))


@dataclass(frozen=True)
class Building:
    """True parameters. Vectors of nodes are ordered node by node: all screeds, all covers, all airs, all structures.

    Attributes:
        names: Rooms in the order of home.yaml.
        capacity_j_k: Heat capacity of each node (4n).
        conductance_w_k: Symmetric Laplacian between the nodes (4n, 4n): heat out of node i is row i times T.
        outdoor_w_k: Conductance of each node to outdoors without air exchange (4n).
        ground_w_k: Conductance of each node to the ground (4n).
        heat_w: Heat of each room's relay while on (n).
        heats_air: Share of that heat that goes to the air at once (radiators), 0 for screed floors (n).
        area_m2: Floor area (n).
        air_exchange_w_k: Infiltration at calm and no temperature difference (n).
        window_open_w_k: What an open window adds (n).
        glass_m2: Window area times transmittance, by room and facade (n, 4).
    """

    names: tuple[str, ...]
    capacity_j_k: Floats
    conductance_w_k: Floats
    outdoor_w_k: Floats
    ground_w_k: Floats
    heat_w: Floats
    heats_air: Floats
    area_m2: Floats
    air_exchange_w_k: Floats
    window_open_w_k: Floats
    glass_m2: Floats

    @property
    def count(self) -> int:
        """Number of rooms."""
        return len(self.names)

    def node(self, kind: int) -> slice:
        """Where the nodes of a kind stand in a vector of nodes."""
        return slice(kind * self.count, (kind + 1) * self.count)

    def room_matrix_w_k(self, index: int, wind_m_s: float = 3.0) -> Floats:
        """Conductances of one room alone (4, 4), neighbours following it: heat out of its nodes is this times T."""
        own = [index + kind * self.count for kind in range(4)]
        matrix = self.conductance_w_k[np.ix_(own, own)].copy()
        np.fill_diagonal(matrix, 0.0)
        leak = self.outdoor_w_k[own] + self.ground_w_k[own]
        leak[AIR] += self.air_exchange_w_k[index] * infiltration_factor(wind_m_s, 20.0)
        matrix[np.diag_indices(4)] = leak - matrix.sum(axis=1)
        return matrix

    def loss_w_k(self, wind_m_s: float = 3.0) -> Floats:
        """Steady heat per K that holds each room's air above outdoors and ground when heated by its floor (n)."""
        loss = np.empty(self.count)
        for i in range(self.count):
            per_watt = np.linalg.solve(self.room_matrix_w_k(i, wind_m_s), np.array([1.0, 0.0, 0.0, 0.0]))
            loss[i] = 1.0 / per_watt[AIR]
        return loss

    def time_constant_h(self, wind_m_s: float = 3.0) -> Floats:
        """Slowest time constant of each room alone, neighbours following it [h] (n)."""
        result = np.empty(self.count)
        for i in range(self.count):
            own = [i + kind * self.count for kind in range(4)]
            rates = np.linalg.eigvals(self.room_matrix_w_k(i, wind_m_s) / self.capacity_j_k[own][:, None])
            result[i] = 1.0 / float(np.min(rates.real)) / 3600.0
        return result


def infiltration_factor(wind_m_s: float, difference_k: float) -> float:
    """Return how much air leaks in against the calm day: wind and stack effect."""
    return 0.6 + 0.11 * wind_m_s + 0.006 * abs(difference_k)


def make_building(home: Home, seed: int) -> Building:
    """Draw the true building of a home.

    Heavy rooms stand on the ground, the others lie under the roof.
    """
    names = tuple(home.rooms)
    n = len(names)
    rng = generator(seed, "building")
    capacity, outdoor, ground = np.zeros((4, n)), np.zeros((4, n)), np.zeros((4, n))
    links = np.zeros((4 * n, 4 * n))
    heat, heats_air, area, exchange, opened = (np.zeros(n) for _ in range(5))
    glass = np.zeros((n, len(FACADES)))

    def link(a: int, b: int, w_k: float) -> None:
        links[a, b] += w_k
        links[b, a] += w_k

    for i, room in enumerate(home.rooms.values()):
        f = np.clip(rng.normal(1.0, 0.10, size=8), 0.8, 1.2)
        m2 = room.area_m2
        volume = m2 * _HEIGHT_M
        windows = np.array([room.windows_m2.get(side, 0.0) for side in FACADES])  # type: ignore[call-overload]
        wall_m2 = max(room.outer_walls * sqrt(m2) * _HEIGHT_M - windows.sum(), 0.5 * room.outer_walls)
        capacity[:, i] = (
            _SCREED_J_M2_K * m2 * f[0],
            _COVER_J_M2_K * m2 * f[0],
            _AIR_J_M3_K * volume + _FURNITURE_J_M2_K * m2 * f[1],
            _STRUCTURE_J_M2_K[room.construction] * m2 * f[1],
        )
        shell_w_k = _BRIDGES * f[2] * _WALL_U_W_M2_K[room.construction] * wall_m2
        if room.construction == "heavy":
            ground[SCREED, i] = _GROUND_U_W_M2_K * m2 * f[3]
        else:
            shell_w_k += _BRIDGES * f[3] * _ROOF_U_W_M2_K * m2
        outdoor[STRUCTURE, i] = 1.15 * shell_w_k  # the rest of the resistance is inside, at the surface
        outdoor[AIR, i] = _WINDOW_U_W_M2_K * f[4] * windows.sum()
        exchange[i] = _AIR_CHANGES_PER_H * f[5] * volume * _AIR_J_M3_K / 3600.0
        opened[i] = 25.0 + 12.0 * min(windows.sum(), 3.0) * f[5]
        link(i + SCREED * n, i + COVER * n, _SCREED_COVER_W_M2_K * m2 * f[6])
        link(i + COVER * n, i + AIR * n, _COVER_AIR_W_M2_K * m2)
        link(i + COVER * n, i + STRUCTURE * n, _COVER_STRUCTURE_W_M2_K * m2)
        link(i + STRUCTURE * n, i + AIR * n, _STRUCTURE_AIR_W_M2_K * m2 * f[7])
        heat[i] = room.heat_w * float(np.clip(rng.normal(1.0, 0.015), 0.96, 1.03))
        heats_air[i] = 0.0 if room.floor == "screed" else 0.7
        area[i] = m2
        glass[i] = windows * 0.42 * f[4]  # frame share and g-value
    pairs = {tuple(sorted((name, other))) for name, room in home.rooms.items() for other in room.neighbours}
    for name, other in sorted(pairs):
        if name == other:
            continue
        a, b = names.index(name), names.index(other)
        factor = float(np.clip(rng.normal(1.0, 0.2), 0.5, 1.5))
        door = _OPEN_PLAN_W_K if frozenset({name, other}) in _OPEN_PLAN else _DOOR_W_K
        link(a + AIR * n, b + AIR * n, door * factor)
        link(a + STRUCTURE * n, b + STRUCTURE * n, _PARTITION_W_K * factor)
    return Building(
        names=names,
        capacity_j_k=capacity.ravel(),
        conductance_w_k=np.diag(links.sum(axis=1)) - links,
        outdoor_w_k=outdoor.ravel(),
        ground_w_k=ground.ravel(),
        heat_w=heat,
        heats_air=heats_air,
        area_m2=area,
        air_exchange_w_k=exchange,
        window_open_w_k=opened,
        glass_m2=glass,
    )
