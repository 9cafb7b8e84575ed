"""`credstream init`, `up` and `run`: making an installation and running it."""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Annotated, Final

from cyclopts import Parameter
from rich.table import Table

from credstream import installation as installations
from credstream.cli.console import DEFAULT_FOLDER, Data, Exit, installation, out
from credstream.gateway.keys import KeyRing
from credstream.local import broker
from credstream.local.supervisor import FORMS, GATEWAY, Supervisor, addresses
from credstream.rules.loader import load as load_catalogue
from schemas.errors import RefusedError
from schemas.topology import Processor
from streams import topics
from streams.keystore import write_secret
from streams.settings import Installation

_TURN_S: Final = 0.2


def init(
    *,
    base_url: Annotated[str, Parameter(help="The public address, inside every credential for ever: https://…")],
    catalogue: Annotated[Path, Parameter(help="The folder of the programme's catalogue (YAML).")],
    lanes: Annotated[int, Parameter(help="Partitions of every topic; fixed for this log.")] = 4,
    data: Data = DEFAULT_FOLDER,
) -> Exit:
    """Make an installation: settings, keys and secrets; lists what to back up.

    Example: credstream init --base-url https://credentials.example --catalogue catalogues/ontario-pilots
    """
    made = create(data, base_url=base_url, catalogue=catalogue, lanes=lanes)
    out.print(f"made an installation in {data}")
    table = Table("back this up, from there", "since it")
    for secret in installations.to_back_up(made):
        table.add_row(str(secret.path.relative_to(data)), secret.purpose)
    out.print(table)
    out.print(f"next: credstream up --data {data}, then credstream rules publish {catalogue} --data {data}")
    return Exit.DONE


def create(data: Path, *, base_url: str, catalogue: Path, lanes: int = 4, cadence_s: float = 10.0) -> Installation:
    """Make an installation for one catalogue's programme, with an API key for each of its providers.

    Raises:
        RefusedError: There is one already, or the base URL is not fit for credentials.
        CatalogueError: The catalogue has mistakes.
    """
    draft = load_catalogue(catalogue)
    return create_for(
        data, base_url, draft.programme, [p.id for p in draft.providers], lanes=lanes, cadence_s=cadence_s
    )


def create_for(
    data: Path, base_url: str, programme: str, providers: list[str], *, lanes: int = 4, cadence_s: float = 10.0
) -> Installation:
    """Make an installation for one programme, with an API key for each of its providers.

    Raises:
        RefusedError: There is one already, or the base URL is not fit for credentials.
    """
    made = installations.create(data, base_url=base_url, programmes=[programme], lanes=lanes, cadence_s=cadence_s)
    ring = KeyRing(made)
    for provider in providers:
        write_secret(
            made.secret_path(f"providers/{programme}/{provider}.key"), ring.create(programme, provider).encode()
        )
    return made


def up(
    *,
    workers: Annotated[int, Parameter(help="Workers of each processor; lanes are shared out among them.")] = 1,
    data: Data = DEFAULT_FOLDER,
) -> Exit:
    """Run everything: Kafka, every processor, the gateway. Ctrl-C stops all; the next `up` carries on from the same data."""
    place = installation(data)
    with running(place, workers=workers) as supervisor:
        show_addresses(place)
        out.print("Ctrl-C stops all")
        until_stopped(supervisor)
    return Exit.DONE


@contextmanager
def running(place: Installation, *, workers: int = 1) -> Iterator[Supervisor]:
    """Run an installation's broker (unless it uses another one), topics and processes for the length of a `with` block.

    Raises:
        UnavailableError: The broker or a process does not start; the message names its log.
        RefusedError: A process refused to start.
    """
    kafka = None if place.kafka.bootstrap_servers else broker.start(place.folder / "kafka", say=out.print)
    supervisor = Supervisor(place, workers, out.print, kafka)
    try:
        if made := topics.create(place):
            out.print(f"made {len(made)} topics of {place.kafka.lanes} lanes")
        supervisor.start()
        supervisor.wait_until_ready()
        yield supervisor
    finally:
        supervisor.stop()


def until_stopped(supervisor: Supervisor) -> None:
    """Watch over the processes until Ctrl-C or SIGTERM."""
    stopped: list[int] = []

    def stop(number: int, _frame: FrameType | None) -> None:
        stopped.append(number)

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)
    while not stopped:
        supervisor.tend()
        time.sleep(_TURN_S)
    out.print("stopping")


def show_addresses(place: Installation) -> None:
    """Print where everything is."""
    table = Table("what", "where")
    for name, address in addresses(place):
        table.add_row(name, address)
    out.print(table)


def run(
    process: Annotated[str, Parameter(help="competency, issuing, status, views, forms or gateway.")],
    *,
    worker: Annotated[int, Parameter(help="A number for this worker's files, where a processor has several.")] = 0,
    data: Data = DEFAULT_FOLDER,
) -> int:
    """Run one process of an installation, as containers do. Logs JSON lines to standard error."""
    names = [GATEWAY, *(p.value for p in Processor), FORMS]
    if process not in names:
        raise RefusedError(f"no process {json.dumps(process)}; there are {', '.join(names)}")
    place = installation(data)
    if process == GATEWAY:
        from credstream.gateway.app import main  # noqa: PLC0415  other processes need no web server

        return main(place)
    if process == FORMS:
        from streams.forms import main as make_forms  # noqa: PLC0415  other processes draw and print nothing

        return make_forms(place)
    from streams.run import run as run_processor  # noqa: PLC0415

    return run_processor(Processor(process), place, worker)
