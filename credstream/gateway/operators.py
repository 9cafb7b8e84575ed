"""Routes for operators and machines: the dashboard, health, the front page."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from litestar import Controller, Request, Response, get
from litestar.response import Template

from credstream.gateway.flow import Flow
from credstream.gateway.records import Records
from schemas.errors import UnavailableError
from schemas.topology import Processor
from streams.settings import Installation
from streams.topics import group_lanes


class Operators(Controller):
    """For operators."""

    tags = ("operators",)

    @get("/", sync_to_thread=True, include_in_schema=False)
    def front(self, records: Records, installation: Installation) -> Template:
        """Return the front page."""
        catalogues = [c for p in records.programmes() if (c := records.catalogue(p))]
        return Template("front.html", context={"catalogues": catalogues, "installation": installation})

    @get("/dashboard", sync_to_thread=True, include_in_schema=False)
    def dashboard(self, records: Records) -> Template:
        """Return the dashboard; its figures come from `/v1/flow`, once a second."""
        catalogues = {p: c for p in records.programmes() if (c := records.catalogue(p))}
        names = {f"{p}/{a.id}": a.name for p, c in catalogues.items() for a in c.achievements}
        return Template("dashboard.html", context={"names": names})

    @get("/v1/flow", sync_to_thread=True, summary="The live flow along the pipe")
    def flow(self, flow: Flow) -> Response[Any]:
        """Return counts, lags and the newest of everything; no learner is in it."""
        return Response(flow.now(), headers={"Cache-Control": "no-store"})

    @get("/openapi.json", sync_to_thread=False, include_in_schema=False)
    def openapi(self, request: Request[Any, Any, Any]) -> Response[Any]:
        """Return the OpenAPI document."""
        return Response(request.app.openapi_schema.to_schema())

    @get("/livez", sync_to_thread=False, summary="Whether the process lives")
    def livez(self) -> dict[str, str]:
        """Answer."""
        return {"status": "alive"}

    @get("/readyz", sync_to_thread=True, summary="Whether it can take completions and all lanes are in hand")
    def readyz(self, installation: Installation) -> Response[Any]:
        """Answer 503 with the reasons while it cannot."""
        try:
            held = group_lanes(installation)
        except UnavailableError as error:
            return _unready([str(error)])
        lanes = installation.kafka.lanes
        reasons = [
            f"{p}: {held.get(p, 0)} of {lanes} lanes are in a worker's hands"
            for p in Processor
            if held.get(p, 0) < lanes
        ]
        return _unready(reasons) if reasons else Response({"status": "ready"})


def _unready(reasons: list[str]) -> Response[Any]:
    return Response({"status": "not ready", "reasons": reasons}, status_code=HTTPStatus.SERVICE_UNAVAILABLE)
