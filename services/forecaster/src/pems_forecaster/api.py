"""REST of the forecaster: forecasts, room models, scores."""

from typing import Any

from fastapi import APIRouter, BackgroundTasks, Depends, HTTPException, Response

from pems_common.auth import Auth
from pems_common.messages import Envelope, Score, Thermal
from pems_forecaster.handlers import ForecasterHandlers

__all__ = ["forecaster_router"]


def _shown(envelope: Envelope) -> dict[str, Any]:
    return {"id": envelope.id, "at": envelope.at.isoformat(), **envelope.body}


def forecaster_router(handlers: ForecasterHandlers, auth: Auth) -> APIRouter:
    """Build the routes under /v1."""
    router = APIRouter(prefix="/v1", tags=["forecaster"])

    @router.get("/forecast", summary="The forecast issued last")
    async def latest_forecast() -> dict[str, Any]:
        envelope = handlers.latest_forecast()
        if envelope is None:
            raise HTTPException(404, {"detail": "no forecast yet", "remedy": "weather or telemetry has to come first"})
        return _shown(envelope)

    @router.post(
        "/forecasts",
        status_code=202,
        summary="Ask for a new forecast",
        dependencies=[Depends(auth.require_write)],
    )
    async def ask(response: Response, background: BackgroundTasks) -> dict[str, str]:
        request_id = handlers.request()
        background.add_task(handlers.serve_request)
        response.headers["Location"] = f"/v1/forecasts/{request_id}"
        return {"id": request_id, "status": "accepted"}

    @router.get("/forecasts/{forecast_id}", summary="A forecast by its id, or the answer to a request")
    async def one_forecast(forecast_id: str, response: Response) -> dict[str, Any]:
        try:
            envelope = handlers.forecast(forecast_id)
        except KeyError:
            raise HTTPException(404, "no such forecast is kept") from None
        if envelope is None:
            response.status_code = 202
            return {"id": forecast_id, "status": "accepted"}
        return _shown(envelope)

    @router.get("/thermal", summary="Model and estimated state of every room")
    async def thermals() -> dict[str, Thermal]:
        return handlers.thermals()

    @router.get("/thermal/{room}", summary="Model and estimated state of a room")
    async def thermal(room: str) -> Thermal:
        found = handlers.thermals().get(room)
        if found is None:
            raise HTTPException(404, "no such room, or nothing is known of it yet")
        return found

    @router.get("/scores", summary="How good the forecasts of the last finished day were")
    async def scores() -> dict[str, Score]:
        return handlers.scores()

    return router
