"""KPIs -> panels: errors as RFC 9457 problems that say what to do."""

import logging
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from kpi_api.questions import BadQuestion, BadStatement, Conflict, NotThere
from shopfloor.errors import Backpressure, ServiceUnavailable

MEDIA_TYPE = "application/problem+json"
STATUS: Mapping[type[BadQuestion], HTTPStatus] = {
    NotThere: HTTPStatus.NOT_FOUND,
    Conflict: HTTPStatus.CONFLICT,
    BadStatement: HTTPStatus.UNPROCESSABLE_ENTITY,
}
"""Refusal -> status; any other is 400."""
log = logging.getLogger(__name__)


class Refused(Exception):
    """A request that is not let in: ``status`` 401 or 403."""

    def __init__(self, status: HTTPStatus, detail: str, remedy: str) -> None:
        self.status, self.detail, self.remedy = status, detail, remedy
        super().__init__(detail)


def problem(
    status: int, kind: str, detail: str, remedy: str, instance: str, headers: Mapping[str, str] | None = None
) -> JSONResponse:
    """One problem document; ``remedy`` is our extension: the next step for whoever reads it."""
    body = {
        "type": f"/docs#{kind}",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": detail,
        "remedy": remedy,
        "instance": instance,
    }
    return JSONResponse(body, status, headers, MEDIA_TYPE)


def refusal(refused: Refused, instance: str) -> JSONResponse:
    """The answer to a request that is not let in."""
    headers = {"WWW-Authenticate": "ApiKey"} if refused.status is HTTPStatus.UNAUTHORIZED else None
    return problem(refused.status, "access", refused.detail, refused.remedy, instance, headers)


def install(app: FastAPI) -> None:
    """Turn every error of ``app`` into a problem."""
    app.add_exception_handler(BadQuestion, _bad_question)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(ServiceUnavailable, _unavailable)
    app.add_exception_handler(Backpressure, _unavailable)
    app.add_exception_handler(Exception, _unexpected)


async def _bad_question(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, BadQuestion)  # noqa: S101 - narrows the type that starlette erases
    status = next((code for kind, code in STATUS.items() if isinstance(error, kind)), HTTPStatus.BAD_REQUEST)
    return problem(status, error.kind, error.detail, error.remedy, request.url.path)


async def _invalid(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)  # noqa: S101
    detail = "; ".join(f"{_place(fault)}: {fault['msg']}" for fault in error.errors())
    return problem(400, "bad-query", detail, "correct the query; /docs lists its fields", request.url.path)


def _place(fault: Mapping[str, Any]) -> str:
    return " ".join(str(part) for part in fault["loc"])


async def _http(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)  # noqa: S101
    remedy = "see /docs for the paths and methods that exist"
    return problem(error.status_code, "http", str(error.detail), remedy, request.url.path, error.headers)


async def _unavailable(request: Request, error: Exception) -> JSONResponse:
    remedy = "try again in a few seconds; /health/ready tells when the store is back"
    return problem(503, "unavailable", str(error), remedy, request.url.path, {"Retry-After": "5"})


async def _unexpected(request: Request, error: Exception) -> JSONResponse:
    log.error("cannot answer %s", request.url.path, exc_info=error)
    remedy = "this is a fault of the service: look into its log, the cause is written there"
    return problem(500, "fault", "the answer could not be made", remedy, request.url.path)
