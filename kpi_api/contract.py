"""KPIs -> panels: the OpenAPI document says what is answered, and nothing else."""

from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

_INVALID = "HTTPValidationError"


def describe(app: FastAPI) -> None:
    """Give ``app`` its document: a wrong query is a 400 problem here, never the framework's own answer."""

    def document() -> dict[str, Any]:
        if app.openapi_schema is None:
            made = get_openapi(title=app.title, version=app.version, description=app.description, routes=app.routes)
            for methods in made["paths"].values():
                for operation in methods.values():
                    if _INVALID in str(operation["responses"].get("422")):
                        del operation["responses"]["422"]
            schemas = made.get("components", {}).get("schemas", {})
            for unused in (_INVALID, "ValidationError"):
                schemas.pop(unused, None)
            app.openapi_schema = made
        return app.openapi_schema

    app.openapi = document  # type: ignore[method-assign]
