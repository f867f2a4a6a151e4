"""Files and batches of the recorded teacher on HTTP."""

from __future__ import annotations

from typing import Any

from starlette.datastructures import UploadFile
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from core.shipped.teacher.batches import Batches
from core.shipped.teacher.protocol import ApiError, read_json

LARGEST_FILE = 200 * 2**20  # bytes, as in OpenAI's API
LARGEST_PAGE = 100
USUAL_PAGE = 20


class BatchApi:
    """The endpoints."""

    def __init__(self, batches: Batches) -> None:
        self._batches = batches

    def routes(self) -> list[BaseRoute]:
        """Where they are."""
        return [
            Route("/v1/files", self.upload, methods=["POST"]),
            Route("/v1/files", self.files),
            Route("/v1/files/{id}", self.file, methods=["GET", "DELETE"]),
            Route("/v1/files/{id}/content", self.content),
            Route("/v1/batches", self.create, methods=["POST"]),
            Route("/v1/batches", self.batches),
            Route("/v1/batches/{id}", self.batch),
            Route("/v1/batches/{id}/cancel", self.cancel, methods=["POST"]),
        ]

    async def upload(self, request: Request) -> Response:
        """Keep a file that comes as a form."""
        async with request.form() as form:
            given, purpose = form.get("file"), form.get("purpose")
            if not isinstance(given, UploadFile) or not isinstance(purpose, str):
                raise ApiError(400, "A file is uploaded as a form with 'file' and 'purpose'.", param="file", code="missing")
            if (given.size or 0) > LARGEST_FILE:
                raise ApiError(413, f"A file has at most {LARGEST_FILE:,} bytes.", param="file")
            return JSONResponse(self._batches.store(given.filename or "file", purpose, await given.read()).body())

    async def files(self, request: Request) -> Response:
        """All files."""
        return JSONResponse(_page(request, [stored.body() for stored in self._batches.files.values()]))

    async def file(self, request: Request) -> Response:
        """One file, or its end."""
        stored = self._batches.file(request.path_params["id"])
        if request.method == "DELETE":
            del self._batches.files[stored.id]
            return JSONResponse({"id": stored.id, "object": "file", "deleted": True})
        return JSONResponse(stored.body())

    async def content(self, request: Request) -> Response:
        """What a file holds."""
        return Response(self._batches.file(request.path_params["id"]).content, media_type="application/octet-stream")

    async def create(self, request: Request) -> Response:
        """Start a batch."""
        return JSONResponse(self._batches.create(read_json(await request.body())).told)

    async def batches(self, request: Request) -> Response:
        """All batches."""
        return JSONResponse(_page(request, [batch.told for batch in self._batches.batches.values()]))

    async def batch(self, request: Request) -> Response:
        """One batch as it stands."""
        return JSONResponse(self._batches.batch(request.path_params["id"]).told)

    async def cancel(self, request: Request) -> Response:
        """Stop a batch."""
        return JSONResponse(self._batches.cancel(request.path_params["id"]).told)


def _page(request: Request, entries: list[dict[str, Any]]) -> dict[str, Any]:
    """One page of a list, newest first."""
    asked = request.query_params
    limit = min(max(int(asked["limit"]) if asked.get("limit", "").isdecimal() else USUAL_PAGE, 1), LARGEST_PAGE)
    found = entries[::-1]
    ids = [entry["id"] for entry in found]
    start = ids.index(asked["after"]) + 1 if asked.get("after") in ids else 0
    page = found[start : start + limit]
    ends = {"first_id": page[0]["id"] if page else None, "last_id": page[-1]["id"] if page else None}
    return {"object": "list", "data": page, **ends, "has_more": start + limit < len(found)}
