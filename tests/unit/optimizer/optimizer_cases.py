"""Small houses and problems for the optimizer's tests."""

from datetime import UTC, datetime

from benchmarks._winter import HOME, START, winter_case

from pems_common.home import Home, load_home
from pems_optimizer.domain.assemble import Known, assemble
from pems_optimizer.domain.problem import PlanningProblem

__all__ = ["HOME", "START", "UTC", "datetime", "first_house", "small_home", "small_problem", "winter_case"]


def first_house() -> Home:
    return load_home(HOME)


def small_home(*names: str, **update) -> Home:
    """The first house with some of its rooms."""
    home = first_house()
    names = names or ("pokoj_1", "pokoj_2", "chodba_nahore")
    rooms = {
        name: home.rooms[name].model_copy(
            update={"neighbours": tuple(n for n in home.rooms[name].neighbours if n in names)}
        )
        for name in names
    }
    return home.model_copy(update={"rooms": rooms, **update})


def small_problem(home: Home | None = None, seed: int = 1, **case) -> PlanningProblem:
    home = home or small_home()
    start = case.get("start", START)
    known: Known = winter_case(home, seed, **case)
    return assemble(home, known, now=start, decide_from=start)
