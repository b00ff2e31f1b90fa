"""The addresses of the server: each turns a request into a computation, and its result or error into an answer."""

from __future__ import annotations

import asyncio
import json
import traceback
from collections.abc import Awaitable, Callable
from concurrent.futures import Future
from functools import partial
from importlib.metadata import version
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from gradcam_cli.console import log
from gradcam_cli.errors import GradcamError, InputError
from gradcam_cli.images.axes import INPUT_OF_RANK
from gradcam_cli.images.folders import suffixes_of
from gradcam_cli.images.source import SLICE_SUFFIX
from gradcam_cli.output.colors import DEFAULT
from gradcam_cli.serving.answers import colormaps, input_answer
from gradcam_cli.serving.bodies import parse_object, read_body
from gradcam_cli.serving.byte_cache import ByteCache
from gradcam_cli.serving.export import report_zip
from gradcam_cli.serving.image_store import MAX_UPLOAD_BYTES, ImageStore, StoredImage, UnknownImage
from gradcam_cli.serving.model_listing import list_model
from gradcam_cli.serving.page import render_page
from gradcam_cli.serving.pictures import encode_picture, encode_small
from gradcam_cli.serving.requests import checked_texts, integer, map_request, required, slice_place
from gradcam_cli.serving.session import Session, UnknownModel
from gradcam_cli.serving.worker import Busy, Worker

MAX_LISTED, MAX_TOP, MAX_OFFSET = 500, 100, 10_000_000
MAX_JSON_BYTES, MAX_REPORT_MAPS = 1 << 16, 64
MAX_DECODERS = 2
"""Images that are decoded at the same time, each up to the limit of pixels."""
MAX_PICTURE_BYTES = 1 << 26

Handler = Callable[["Server", Request], Awaitable[Response]]


class Server:
    """The application: the session, its worker, and the handlers of its addresses.

    Args:
        session: what is served.
        worker: the thread that runs the networks.
    """

    def __init__(self, session: Session, worker: Worker) -> None:
        self.session, self.worker = session, worker
        self.images: ImageStore = session.images
        self._decoders = asyncio.Semaphore(MAX_DECODERS)
        self._pictures: ByteCache[Response] = ByteCache(MAX_PICTURE_BYTES)
        self._page, self._policy = render_page()

    def application(self) -> Starlette:
        """Return the ASGI application."""
        routes = [Route(path, partial(_answered, handler, self), methods=[method]) for path, method, handler in ROUTES]
        application = Starlette(routes=routes, exception_handlers={HTTPException: _http_error})
        application.router.redirect_slashes = False  # a redirection would lack the token
        return application

    async def page(self, _request: Request) -> Response:
        """Return the page."""
        policy = f"{self._policy}; frame-ancestors 'none'"
        return Response(self._page, media_type="text/html", headers={"content-security-policy": policy})

    async def alive(self, _request: Request) -> Response:
        """Return nothing: the server is alive, and so is the page."""
        return Response(status_code=204)

    async def about(self, request: Request) -> Response:
        """Return the session: models, layers, methods, colors and the first images."""
        checked_texts(request.query_params, ())
        models = await self._compute(lambda: [list_model(each) for each in self.session.models.values()])
        listed = self.images.listed()
        default = next(iter(self.session.models.values())).default_layer.path
        return _json(
            {
                "version": version("gradcam-cli"),
                "models": models,
                "directory": self.images.directory_name,
                "images": _listing(listed[:MAX_TOP]),
                "more_images": max(0, len(listed) - MAX_TOP),
                "colormaps": colormaps(),
                "defaults": {"layer": default, "method": "gradcam", "cmap": DEFAULT.cmap, "opacity": DEFAULT.opacity},
                "max_upload": MAX_UPLOAD_BYTES,
                "input": INPUT_OF_RANK[self.session.rank],
                "rank": self.session.rank,
                "suffixes": sorted(suffixes_of(self.session.rank) | {SLICE_SUFFIX}),
            }
        )

    async def list_images(self, request: Request) -> Response:
        """Return a part of the images of the directory."""
        texts = checked_texts(request.query_params, ("offset", "limit", "query"))
        offset, limit = integer(texts, "offset", 0, MAX_OFFSET), integer(texts, "limit", MAX_TOP, MAX_LISTED)
        found = self.images.listed(texts.get("query", ""))
        return _json({"images": _listing(found[offset : offset + limit]), "total": len(found)})

    async def upload(self, request: Request) -> Response:
        """Keep an uploaded image."""
        data = await read_body(request, MAX_UPLOAD_BYTES)
        name = request.headers.get("x-file-name", "image")
        async with self._decoders:
            stored, loaded = await asyncio.to_thread(self.images.add, data, name)
        return _json({"id": stored.id, "name": stored.name, **input_answer(loaded)})

    async def thumbnail(self, request: Request) -> Response:
        """Return a small picture of an image."""
        return await self._picture(request, encode_small, kept=False)

    async def picture(self, request: Request) -> Response:
        """Return an image at the size of a screen, or one slice or frame."""
        texts = checked_texts(request.query_params, ("axis", "slice"))
        axis, number = slice_place(texts)
        return await self._picture(request, encode_picture, axis, number, kept=True)

    async def predictions(self, request: Request) -> Response:
        """Return the classes with the largest scores."""
        texts = checked_texts(request.query_params, ("model", "image", "top"))
        model, image = required(texts, "model"), required(texts, "image")
        top = integer(texts, "top", 5, MAX_TOP)
        return _json(await self._compute(lambda: self.session.predictions(model, image, top)))

    async def classes(self, request: Request) -> Response:
        """Return the classes whose names contain a text."""
        texts = checked_texts(request.query_params, ("model", "query", "limit"))
        limit = integer(texts, "limit", 50, MAX_LISTED)
        return _json(self.session.classes(required(texts, "model"), texts.get("query", ""), limit))

    async def map(self, request: Request) -> Response:
        """Return a map; the slices of one that was computed do not wait for other computations."""
        wanted = map_request(request.query_params)
        if kept := self.session.kept_map(wanted):
            answer = await asyncio.to_thread(lambda: _encode(kept.answer(wanted.axis, wanted.slice)))
            return Response(answer, media_type="application/json")
        return Response(await self._compute(lambda: _encode(self.session.map(wanted))), media_type="application/json")

    async def report(self, request: Request) -> Response:
        """Return the static report of the maps of an image, a ZIP archive."""
        body = parse_object(await read_body(request, MAX_JSON_BYTES))
        maps = body.get("maps")
        maps = maps if isinstance(maps, list) else []
        if not 1 <= len(maps) <= MAX_REPORT_MAPS or not all(isinstance(each, dict) for each in maps):
            raise HTTPException(400, f"maps: expected a list of 1 to {MAX_REPORT_MAPS} objects")
        wanted = [map_request({**each, "image": body.get("image")}) for each in maps]
        data = await self._compute(lambda: report_zip(self.session, wanted))
        headers = {"content-disposition": 'attachment; filename="gradcam-report.zip"'}
        return Response(data, media_type="application/zip", headers=headers)

    async def _picture(
        self, request: Request, encode: Callable[..., tuple[bytes, str]], *place: int | None, kept: bool
    ) -> Response:
        image = self.images.find(request.path_params["image"])
        key = image.id, encode.__name__, place
        if found := self._pictures.get(key):
            return found
        async with self._decoders:
            data, kind = await asyncio.to_thread(lambda: encode(self.images.load(image, kept=kept), *place))
        return self._pictures.put(key, Response(data, media_type=kind), len(data))

    async def _compute(self, function: Callable[[], Any]) -> Any:
        """Run a function in the worker; it is left out if the client goes away before it starts."""
        future: Future[Any] = self.worker.submit(function)
        return await asyncio.wrap_future(future)


ROUTES: tuple[tuple[str, str, Handler], ...] = (
    ("/", "GET", Server.page),
    ("/api/alive", "GET", Server.alive),
    ("/api/session", "GET", Server.about),
    ("/api/images", "GET", Server.list_images),
    ("/api/images", "POST", Server.upload),
    ("/api/images/{image}/thumbnail", "GET", Server.thumbnail),
    ("/api/images/{image}/picture", "GET", Server.picture),
    ("/api/predictions", "GET", Server.predictions),
    ("/api/classes", "GET", Server.classes),
    ("/api/map", "GET", Server.map),
    ("/api/report", "POST", Server.report),
)


async def _answered(handler: Handler, server: Server, request: Request) -> Response:
    """Return the answer of a handler, or the error that it raises as JSON."""
    try:
        return await handler(server, request)
    except UnknownImage:
        return _error(404, "the image is not known to the server", "upload it again")
    except UnknownModel:
        return _error(404, "the model is not known to the server", "reload the page")
    except Busy:
        return _error(503, "too many requests are waiting", "retry in a few seconds")
    except InputError as error:
        return _error(422, error.message, error.hint)
    except GradcamError as error:
        return _error(400, error.message, error.hint)
    except MemoryError:
        return _error(503, "out of memory", "use a smaller image")
    except HTTPException:
        raise
    except Exception as error:  # the answer names no cause: it may contain paths
        log.warning("unexpected %s: %s", type(error).__name__, error)
        log.debug("%s", traceback.format_exc())
        return _error(500, "an unexpected error: the terminal of the server shows it", None)


async def _http_error(_request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101  # registered for it
    return _error(error.status_code, str(error.detail).lower(), None)


def _listing(images: Any) -> list[dict[str, str]]:
    return [{"id": each.id, "name": each.name} for each in images if isinstance(each, StoredImage)]


def _encode(value: Any) -> bytes:
    return json.dumps(value, allow_nan=False, separators=(",", ":")).encode()


def _json(value: Any) -> Response:
    return Response(_encode(value), media_type="application/json")


def _error(status: int, message: str, hint: str | None) -> Response:
    return Response(_encode({"error": message, "hint": hint}), status, media_type="application/json")
