"""Room models before any data: 2R2C parameters from what home.yaml says about a room.

Physical reasoning, per room (messages.RoomModel has the equations):

- Loss to outdoors: outer walls (side of a square room times 2.6 m times their number) at U 0.28 W/m2K, windows at
  1.2 (frame and glass), floor or roof at 0.36 (each room of a two-storey house has one of them; the heated screed
  is warmer than the room), ventilation and leaks 0.5 air changes an hour (0.34 Wh/m3K), thermal bridges
  0.10 W/K per m2 of envelope (EN ISO 14683 default for good details, halved for none).
- The relay's power is a second witness: heating engineers size floor heating at about 1.7 times the loss at
  36 K below room temperature. Loss = envelope^(2/3) * sized^(1/3).
- Capacity: screed of 60 mm, 2,000 kg/m3, about 1,000 J/kgK: 130 kJ/m2K, in the mass node together with the part of
  walls that swings with it; air, furniture and plaster in the air node (EN ISO 13790 table 12 spans 80..370 kJ/m2K
  in sum from very light to very heavy).
- Slab to air: 7 W/m2K (EN 1264: about 10.8 at the bare surface, less covering and furniture).
- Sun: 0.35 of the window area (g 0.5..0.6, frame, dirt, curtains). Gains: 80 % of the base load and persons,
  by floor area, more in the evening.
- Neighbours: half a side of the smaller room at 1.0 W/m2K plus 4 W/K of door; two rooms of 18 m2 or more beside
  each other are taken as open plan (20 W/K).

The figures give the first house about 5.5 kW of heating at 0 C outdoors and time constants of 35..150 h.
Intervals are wide on purpose: an identified model replaces these.
"""

from hashlib import sha256
from math import sqrt

from pems_common.home import Home, Room
from pems_common.messages import RoomModel

__all__ = ["heating_need_w", "prior_interval", "prior_model", "prior_models", "prior_version"]

HEIGHT_M = 2.6
U_WALL, U_WINDOW, U_FLOOR_OR_ROOF = 0.28, 1.2, 0.36
BRIDGES_W_M2K = 0.10
AIR_CHANGES_H, AIR_WH_M3K = 0.5, 0.34
SIZING_K, SIZING_FACTOR = 36.0, 1.7
ENVELOPE_SHARE = 2.0 / 3.0
AIR_J_M2K = {"light": 50e3, "medium": 80e3, "heavy": 120e3}
WALL_J_M2K = {"light": 20e3, "medium": 60e3, "heavy": 150e3}
SCREED_J_M2K = 130e3
SLAB_W_M2K, RADIATOR_MASS_W_M2K = 7.0, 9.0
RADIATOR_TO_MASS = 0.3
APERTURE = 0.35
DOOR_W_K, PARTITION_W_M2K = 4.0, 1.0
OPEN_PLAN_M2, OPEN_PLAN_W_K = 18.0, 20.0
PERSON_W, AREA_PER_PERSON_M2 = 75.0, 75.0
_GAIN_SHAPE = (
    0.7, 0.7, 0.7, 0.7, 0.7, 0.8, 1.1, 1.2, 1.0, 0.8, 0.8, 0.9,
    1.0, 0.9, 0.9, 0.9, 1.1, 1.4, 1.6, 1.7, 1.6, 1.3, 0.9, 0.7,
)  # fmt: skip

_SPREAD = {
    "ria_k_w": 1.6,
    "rea_k_w": 1.5,
    "ci_j_k": 1.8,
    "cm_j_k": 1.6,
}


def envelope_w_k(room: Room) -> float:
    """Loss of a room to outdoors from its surfaces and ventilation [W/K]."""
    side = sqrt(room.area_m2)
    windows = sum(room.windows_m2.values())
    wall_gross = room.outer_walls * side * HEIGHT_M
    walls = max(wall_gross - windows, 0.0)
    surfaces = walls * U_WALL + windows * U_WINDOW + room.area_m2 * U_FLOOR_OR_ROOF
    bridges = BRIDGES_W_M2K * (max(wall_gross, windows) + room.area_m2) * 0.5
    return surfaces + bridges + AIR_CHANGES_H * AIR_WH_M3K * room.area_m2 * HEIGHT_M


def loss_w_k(room: Room) -> float:
    """Loss of a room to outdoors, surfaces and sizing of its heating weighed together [W/K]."""
    sized = room.heat_w / (SIZING_FACTOR * SIZING_K)
    return float(envelope_w_k(room) ** ENVELOPE_SHARE * sized ** (1.0 - ENVELOPE_SHARE))


def _neighbours(home: Home, name: str) -> dict[str, float]:
    """Conductances to neighbours [W/K]; naming a neighbour on one side is enough."""
    own = home.rooms[name]
    names = {*own.neighbours, *(other for other, room in home.rooms.items() if name in room.neighbours)}
    result = {}
    for other in sorted(names - {name}):
        smaller = min(own.area_m2, home.rooms[other].area_m2)
        shared = 0.5 * sqrt(smaller) * HEIGHT_M * PARTITION_W_M2K + DOOR_W_K
        result[other] = round(OPEN_PLAN_W_K if smaller >= OPEN_PLAN_M2 else shared, 2)
    return result


def prior_model(home: Home, name: str) -> RoomModel:
    """Build the prior model of a room.

    Raises:
        KeyError: No such room.
    """
    room = home.rooms[name]
    total_m2 = sum(r.area_m2 for r in home.rooms.values())
    gains_w_m2 = 0.8 * home.base_load_w / total_m2 + PERSON_W / AREA_PER_PERSON_M2
    mean_shape = sum(_GAIN_SHAPE) / 24.0
    screed = room.floor == "screed"
    mass = (SCREED_J_M2K if screed else 0.5 * SCREED_J_M2K) + WALL_J_M2K[room.construction]
    return RoomModel(
        ria_k_w=1.0 / (room.area_m2 * (SLAB_W_M2K if screed else RADIATOR_MASS_W_M2K)),
        rea_k_w=1.0 / loss_w_k(room),
        ci_j_k=room.area_m2 * AIR_J_M2K[room.construction],
        cm_j_k=room.area_m2 * mass,
        neighbours=_neighbours(home, name),
        solar_m2={facade: round(APERTURE * area, 3) for facade, area in room.windows_m2.items()},
        gains_w={str(h): round(room.area_m2 * gains_w_m2 * s / mean_shape, 1) for h, s in enumerate(_GAIN_SHAPE)},
        heater_w=room.heat_w,
        heat_to_mass=1.0 if screed else RADIATOR_TO_MASS,
    )


def prior_models(home: Home) -> dict[str, RoomModel]:
    """Build the prior models of all rooms."""
    return {name: prior_model(home, name) for name in home.rooms}


def prior_version(model: RoomModel) -> str:
    """Return the version of a prior model: what else is in home.yaml does not change it."""
    return f"prior-{sha256(model.model_dump_json().encode()).hexdigest()[:8]}"


def prior_interval(model: RoomModel) -> dict[str, tuple[float, float]]:
    """Interval that should hold the true value of each parameter in 9 of 10 rooms."""
    return {name: (getattr(model, name) / f, getattr(model, name) * f) for name, f in _SPREAD.items()}


def heating_need_w(home: Home, outdoor_c: float) -> float:
    """Mean heating power of the whole house at the mean of day and night targets, without sun [W]."""
    total = 0.0
    for name, room in home.rooms.items():
        model = prior_model(home, name)
        gains = sum(model.gains_w.values()) / 24.0
        inside = (2.0 * room.day_c + room.night_c) / 3.0
        total += max(0.0, (inside - outdoor_c) / model.rea_k_w - gains)
    return total
