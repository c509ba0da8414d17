"""REST for people without a PEMS house: `POST /v1/solve` takes the problem file of `./pems solve` (docs/solve.md)."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import orjson
from fastapi import APIRouter, Depends, Request, Response

from pems_common.problems import problem
from pems_optimizer.adapters.problem_solvers import ProblemSolver
from pems_optimizer.domain.problem_file.document import document_schema
from pems_optimizer.domain.problem_file.errors import ProblemFileError
from pems_optimizer.domain.problem_file.reading import parse_json
from pems_optimizer.domain.problem_file.result import answer_schema

__all__ = ["make_solve_router"]


def _wrong(error: ProblemFileError) -> Response:
    errors = [{"field": p.field, "value": p.value, "message": p.message} for p in error.problems]
    return problem(
        422,
        "the planning problem cannot be solved as it stands",
        title="Invalid planning problem",
        errors=errors,
        remedy="GET /v1/solve/schema describes the file",
    )


def make_solve_router(solver: ProblemSolver, require_write: Callable[..., Awaitable[Any]]) -> APIRouter:
    """Make the routes.

    Args:
        solver: What solves.
        require_write: Dependency that lets only holders of a writing key pass.
    """
    router = APIRouter(prefix="/v1", tags=["solve"])

    @router.post(
        "/solve",
        response_model=None,
        summary="Solve a planning problem given as JSON; 422 names each mistake, 503 while another is solved",
        dependencies=[Depends(require_write)],
    )
    async def solve(request: Request) -> Response:
        try:
            answer = await solver.solve(parse_json(await request.body()))
        except ProblemFileError as error:
            return _wrong(error)
        content = await asyncio.to_thread(orjson.dumps, answer)  # an answer may have millions of numbers
        return Response(content, media_type="application/json")

    @router.get("/solve/schema", summary="JSON Schema of a problem and of its answer")
    async def schema() -> dict[str, Any]:
        return {"problem": document_schema(), "answer": answer_schema()}

    return router
