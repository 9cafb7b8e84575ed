"""The gateway's application and process."""

from __future__ import annotations

import logging
import socket
import time
from pathlib import Path
from typing import Any, Final

import uvicorn
from litestar import Litestar
from litestar.di import Provide
from litestar.exceptions import HTTPException
from litestar.openapi import OpenAPIConfig
from litestar.openapi.plugins import JsonRenderPlugin
from litestar.plugins.jinja import JinjaTemplateEngine
from litestar.static_files import create_static_files_router
from litestar.template.config import TemplateConfig
from litestar.types import ASGIApp, Message, Receive, Scope, Send
from markdown_it import MarkdownIt
from markupsafe import Markup
from prometheus_client import Counter, Histogram

from credstream.gateway import problems
from credstream.gateway.flow import Flow
from credstream.gateway.inbox import InboxWriter
from credstream.gateway.keys import KeyRing
from credstream.gateway.operators import Operators
from credstream.gateway.providers import Providers
from credstream.gateway.public import Badges, Credentials, Documents, Schemas
from credstream.gateway.records import Records
from credstream.gateway.verifying import Checker, Verification
from streams.run import announced, log_json_lines, serve_metrics
from streams.settings import Installation
from streams.tables import open_database

log = logging.getLogger(__name__)
_HERE: Final = Path(__file__).parent
_MAX_BODY: Final = 10_000_000
_HEADERS: Final = {
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self' data:; connect-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}
REQUESTS: Final = Counter("credstream_http_requests", "Requests answered.", ["route", "method", "status"])
SECONDS: Final = Histogram("credstream_http_request_seconds", "Answering one request.", ["route"])


def create_app(installation: Installation) -> Litestar:
    """Return the application of an installation."""
    if installation.database_url.startswith("sqlite"):
        (installation.folder / "views").mkdir(exist_ok=True)
    records, keys = Records(open_database(installation.database_url)), KeyRing(installation)
    inbox, flow = InboxWriter(installation), Flow(installation, records)
    services: dict[str, Any] = {
        "installation": installation,
        "records": records,
        "keys": keys,
        "inbox": inbox,
        "flow": flow,
        "checker": Checker(records, installation),
    }

    def provide(service: Any) -> Provide:
        return Provide(lambda: service, sync_to_thread=False)

    async def close() -> None:
        inbox.close()

    return Litestar(
        route_handlers=[
            Providers,
            Documents,
            Credentials,
            Badges,
            Schemas,
            Verification,
            Operators,
            create_static_files_router("/static", [_HERE / "static"], include_in_schema=False),
        ],
        dependencies={name: provide(service) for name, service in services.items()},
        signature_types=[Installation, Records, KeyRing, InboxWriter, Flow, Checker],
        template_config=TemplateConfig(
            directory=_HERE / "pages", engine=JinjaTemplateEngine, engine_callback=_teach_markdown
        ),
        exception_handlers={
            problems.ProblemError: problems.of_problem,
            HTTPException: problems.of_http,
            Exception: problems.of_anything,
        },
        middleware=[_counted],
        response_headers=_HEADERS,
        request_max_body_size=_MAX_BODY,
        openapi_config=OpenAPIConfig(
            title="credstream",
            version="1",
            description="Completions in, signed Open Badges 3.0 credentials out.",
            path="/openapi",
            render_plugins=[JsonRenderPlugin(path="/openapi.json")],
        ),
        on_shutdown=[close],
        logging_config=None,
    )


def _teach_markdown(engine: JinjaTemplateEngine) -> None:
    """Let pages show Markdown, as criteria are written in; raw HTML in it stays text."""
    renderer = MarkdownIt("commonmark", {"html": False})
    engine.engine.filters["markdown"] = lambda text: Markup(renderer.render(text))  # noqa: S704  rendered without raw HTML


def _counted(app: ASGIApp) -> ASGIApp:
    """Count and time each answer by route; a path that is no route is one label, whatever was asked."""

    async def middleware(scope: Scope, receive: Receive, send: Send) -> None:
        began, route = time.monotonic(), str(scope.get("path_template") or "unknown")

        async def counting(message: Message) -> None:
            if message["type"] == "http.response.start":
                REQUESTS.labels(route, str(scope.get("method", "")), str(message["status"])).inc()
                SECONDS.labels(route).observe(time.monotonic() - began)
            await send(message)

        await app(scope, receive, counting)

    return middleware


def main(installation: Installation) -> int:
    """Serve until told to stop; returns the exit code."""
    log_json_lines()
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    host, wanted = installation.gateway_listen
    listener.bind((host, wanted or _remembered_port(installation)))
    port = listener.getsockname()[1]
    _port_file(installation).parent.mkdir(exist_ok=True)
    _port_file(installation).write_text(str(port))
    config = uvicorn.Config(
        create_app(installation), log_config=None, access_log=False, timeout_keep_alive=10, limit_concurrency=500
    )
    about = {"metrics": serve_metrics(installation), "url": f"http://{host}:{port}"}
    with announced(installation, "gateway-0", about):
        uvicorn.Server(config).run(sockets=[listener])
    return 0


def _port_file(installation: Installation) -> Path:
    return installation.folder / "gateway" / "port"


def _remembered_port(installation: Installation) -> int:
    """Return the port of last time when it is still free, so that addresses stay as they were; else 0, any free one."""
    try:
        port = int(_port_file(installation).read_text())
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((installation.gateway_listen[0], port))
    except (OSError, ValueError):
        return 0
    return port
