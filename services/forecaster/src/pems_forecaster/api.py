"""REST of the forecaster: forecasts, room models and how far they are trusted, scores, trained models."""

from typing import Any

from fastapi import APIRouter, BackgroundTasks, Depends, HTTPException, Response

from pems_common.auth import Auth
from pems_common.errors import PermanentError
from pems_common.messages import Envelope, Score, Thermal
from pems_forecaster.handlers import ForecasterHandlers
from pems_forecaster.model_life import ModelLife
from pems_forecaster.room_life import RoomLife
from pems_forecaster.training import LIVE_KINDS

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

    @router.get("/rooms", summary="How far each room's model is trusted, and why")
    async def rooms() -> dict[str, Any]:
        return _rooms().told(handlers.observer)

    @router.get("/rooms/{room}", summary="All that is known of a room, with a picture of its last week")
    async def room(room: str) -> dict[str, Any]:
        try:
            return _rooms().details(room, handlers.observer)
        except KeyError:
            raise HTTPException(404, {"detail": f"no room {room!r}", "remedy": "see GET /v1/rooms"}) from None

    @router.post(
        "/rooms/identify",
        status_code=202,
        summary="Identify all rooms from their history now",
        dependencies=[Depends(auth.require_write)],
    )
    async def identify(response: Response) -> dict[str, Any]:
        response.headers["Location"] = "/v1/rooms"
        return vars(_rooms().identify("asked"))

    @router.get("/scores", summary="How good the forecasts of the last finished day were")
    async def scores() -> dict[str, Score]:
        return handlers.scores()

    @router.get("/models", summary="Trained models, the newest first, and what is published of each kind")
    async def models() -> dict[str, Any]:
        life = _life()
        return {
            "published": life.published(),
            "models": [record.to_json() for record in life.registry.all()],
            "trainings": [vars(job) for job in life.jobs.all()],
        }

    @router.get("/models/{version}", summary="All that is known of one model")
    async def model(version: str) -> dict[str, Any]:
        life = _life()
        record = life.registry.get(version)
        if record is None:
            raise HTTPException(404, {"detail": f"no model {version!r}", "remedy": "see GET /v1/models"})
        return {**record.to_json(), **life.details(record)}

    @router.post(
        "/models/{kind}/train",
        status_code=202,
        summary="Train a model of a kind now",
        dependencies=[Depends(auth.require_write)],
    )
    async def train(kind: str, response: Response) -> dict[str, Any]:
        try:
            job = _life().retrain(kind, "asked")
        except KeyError:
            raise HTTPException(404, _no_kind(kind)) from None
        response.headers["Location"] = f"/v1/trainings/{job.id}"
        return vars(job)

    @router.get("/trainings/{job_id}", summary="How far a training is")
    async def training(job_id: str) -> dict[str, Any]:
        job = _life().jobs.get(job_id)
        if job is None:
            raise HTTPException(404, {"detail": "no such training is kept", "remedy": "see GET /v1/models"})
        return vars(job)

    @router.post(
        "/models/{kind}/rollback",
        summary="Return from the active model to the one before, or to the simple method",
        dependencies=[Depends(auth.require_write)],
    )
    async def roll_back(kind: str) -> dict[str, str]:
        try:
            return {"kind": kind, "active": _life().roll_back(kind)}
        except KeyError:
            raise HTTPException(404, _no_kind(kind)) from None
        except PermanentError as error:
            raise HTTPException(409, {"detail": error.message, "remedy": error.remedy}) from error

    def _life() -> ModelLife:
        if handlers.life is None:
            raise HTTPException(404, {"detail": "this forecaster trains no models", "remedy": "give it a data folder"})
        return handlers.life

    def _rooms() -> RoomLife:
        if handlers.rooms is None:
            detail = "this forecaster identifies no rooms"
            raise HTTPException(404, {"detail": detail, "remedy": "give it rooms, a data folder and a history"})
        return handlers.rooms

    return router


def _no_kind(kind: str) -> dict[str, str]:
    return {"detail": f"there are no models of kind {kind!r}", "remedy": f"kinds are {', '.join(LIVE_KINDS)}"}
