"""`credstream demo`: the whole pipe on this machine, sent real work, and checked in the open."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Final

from confluent_kafka import Producer
from cyclopts import Parameter
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from credstream import exporting
from credstream import installation as installations
from credstream.audit.expected import Expectation, Graded, Holding, oulad_holdings
from credstream.cli.answers import trees
from credstream.cli.console import Data, Exit, is_terminal, out
from credstream.cli.running import create_for, running, show_addresses, until_stopped
from credstream.client.completions import CompletionsClient
from credstream.demo.audited import check_audit
from credstream.demo.checking import (
    Check,
    Outcome,
    check_holdings,
    check_set_aside,
    check_signatures,
    outcome,
    someone_not_yet,
)
from credstream.demo.generator import SCHEME, Generator, Sent, broken_records
from credstream.demo.oulad import PROVIDER, Oulad
from credstream.demo.oulad import SCHEME as OULAD_SCHEME
from credstream.local.supervisor import gateway_url
from credstream.rules.loader import Draft
from credstream.rules.loader import load as load_catalogue
from credstream.rules.publishing import publish
from credstream.staff.desk import Desk
from credstream.why import ask
from schemas.catalogue import Catalogue
from schemas.errors import RefusedError, UnavailableError
from schemas.events import StatusAction, StatusReason, StatusRequested
from schemas.ids import lane_of, learner_key, learner_ref
from schemas.topology import INBOX, Processor
from streams.settings import LEARNER_SECRET, SETTINGS_FILE, Installation, load
from streams.topics import lags

_COUNT: Final = 20_000
_SEED: Final = 1
_DRAIN_S: Final = 300.0
_BASE_URL: Final = "https://credentials.{programme}.example"
_CADENCE_S: Final = 2.0
_CATALOGUE: Final = Path(__file__).parents[2] / "catalogues" / "ontario-pilots"


@dataclass(frozen=True, slots=True)
class _Work:
    """What a demonstration sends, and what should come of it."""

    draft: Draft
    scheme: str
    sent: Sequence[Sent]
    expected: Callable[[Catalogue, Collection[Holding]], tuple[set[Graded], dict[str, int]]]
    how: str
    broken: bool


def demo(
    *,
    dataset: Annotated[Path | None, Parameter(help="OULAD's folder or zip instead of the made-up pilots.")] = None,
    keep: Annotated[bool, Parameter(negative=(), help="Stay up afterwards, to look around.")] = False,
    export: Annotated[Path | None, Parameter(help="Also write `credstream export` into this folder.")] = None,
    count: Annotated[int, Parameter(help="How many completions the pilots send.")] = _COUNT,
    data: Data = Path("credstream-data/demo"),
) -> Exit:
    """Start everything, send completions, and check what came of them against an independent computation.

    A second run on the same data sends the same again, and issues nothing new.
    """
    began = time.monotonic()
    first = not (data / SETTINGS_FILE).exists()
    work = _oulad(dataset) if dataset else _pilots(data, count)
    programme = work.draft.programme
    if first:
        create_for(
            data,
            _BASE_URL.format(programme=programme),
            programme,
            [p.id for p in work.draft.providers],
            cadence_s=_CADENCE_S,
        )
    place = load(data)
    if programme not in place.programmes:
        raise RefusedError(
            f"{data} is another programme's ({', '.join(place.programmes)}); name another folder with --data"
        )
    with running(place) as supervisor:
        catalogue = installations.build_catalogue(place, work.draft)
        publish(place, catalogue)
        before = len(outcome(place).issued) if not first else 0
        out.print(f"everything is up after {time.monotonic() - began:.0f} s; look at {gateway_url(place)}/dashboard")
        rate = _send(place, programme, work)
        _wait_until_drained(place, supervisor.tend)
        checks = _checks(place, catalogue, work, rate, before=None if first else before)
        if export is not None:
            exporting.export(place, export, out.print)
        _show(checks, time.monotonic() - began)
        show_addresses(place)
        if keep:
            out.print("staying up; Ctrl-C stops all")
            until_stopped(supervisor)
        else:
            out.print(
                f"stopped; look again with `credstream up --data {data}`, or run the demo with --keep (make demo KEEP=1)"
            )
    return Exit.DONE if all(check.holds for check in checks) else Exit.NO


# -- what is sent ----------------------------------------------------------------------------------------------------------


def _pilots(data: Path, count: int) -> _Work:
    """Return the eight sectors' completions; the date of the first run is kept, so that a second sends the same."""
    data.mkdir(parents=True, exist_ok=True)
    remembered = data / "demo.json"
    if not remembered.exists():
        now = datetime.now(UTC).replace(microsecond=0)
        remembered.write_text(json.dumps({"seed": _SEED, "now": now.isoformat(), "count": count}))
    about = json.loads(remembered.read_text())
    now = datetime.fromisoformat(about["now"])
    draft = load_catalogue(_CATALOGUE)
    sent = Generator(about["seed"], now, draft).completions(about["count"])

    def expected(catalogue: Catalogue, taken: Collection[Holding]) -> tuple[set[Graded], dict[str, int]]:
        judge = Expectation(catalogue, now)
        for one in (one for several in _by_provider(sent).values() for one in several if one.accepted):
            judge.take(one.provider, one.completion)
        held = judge.held(taken)
        graded = {(who, what, one.times[-1][1]) for who, found in held.items() for what, one in found.items()}
        return graded, dict(judge.set_aside)

    return _Work(draft, SCHEME, sent, expected, "a computation of its own", broken=True)


def _oulad(path: Path) -> _Work:
    dataset = Oulad(path)
    sent = [Sent(PROVIDER, completion) for completion in dataset.completions()]
    return _Work(
        dataset.catalogue(),
        OULAD_SCHEME,
        sent,
        lambda _, taken: (oulad_holdings(path, taken), {}),
        "SQL over the files",
        broken=False,
    )


def _send(place: Installation, programme: str, work: _Work) -> float:
    """Send everything, each provider with its own key, and return completions a second.

    Raises:
        RefusedError: The gateway took what it should refuse, or the other way round.
    """
    began = time.monotonic()
    with _progress("sending", len(work.sent)) as advance:
        for provider, sent in _by_provider(work.sent).items():
            key = place.secret_path(f"providers/{programme}/{provider}.key").read_text().strip()
            client = CompletionsClient(gateway_url(place), key)
            for one, result in zip(sent, client.send(s.completion for s in sent), strict=True):
                if result.accepted != one.accepted:
                    raise RefusedError(f"the gateway answered {result} to {one}")
                advance(1)
            client.close()
    if work.broken:
        _write_broken(place, programme)
    return len(work.sent) / (time.monotonic() - began)


def _by_provider(sent: Sequence[Sent]) -> dict[str, list[Sent]]:
    """Return what each provider sends, in the order in which they are sent."""
    found: dict[str, list[Sent]] = {}
    for one in sent:
        found.setdefault(one.provider, []).append(one)
    return found


def _write_broken(place: Installation, programme: str) -> None:
    """Write records that no gateway lets through, as a broken or hostile program with access to Kafka would."""
    learner = learner_ref(place.secret(LEARNER_SECRET), programme, SCHEME, "nobody@learners.example")
    lane = lane_of(learner_key(programme, learner), place.kafka.lanes)
    producer = Producer({"bootstrap.servers": place.bootstrap_servers})
    for _, key, value in broken_records(programme, learner, time.time_ns() // 1000):
        producer.produce(INBOX.name, value, key, lane)
    producer.flush(30)


def _wait_until_drained(place: Installation, tend: Callable[[], None]) -> None:
    """Show the live counts until no processor is behind.

    Raises:
        UnavailableError: They still are after five minutes.
    """
    deadline, steady = time.monotonic() + _DRAIN_S, 0
    behind = sum(lag.records for lag in lags(place))
    with _progress("deciding, signing", max(behind, 1)) as advance:
        left = behind
        while steady < 2:  # noqa: PLR2004  what one stage has passed on, the next must have seen
            tend()
            now = sum(lag.records for lag in lags(place))
            advance(max(0, left - now))
            left = min(left, now)
            steady = steady + 1 if now == 0 else 0
            if time.monotonic() > deadline:
                slow = ", ".join(p for p in Processor if any(lag.records for lag in lags(place) if lag.processor is p))
                raise UnavailableError(
                    f"still behind after {_DRAIN_S:.0f} s: {slow}; the logs are in {place.folder / 'logs'}"
                )
            time.sleep(_CADENCE_S / 2)


# -- what came of it -------------------------------------------------------------------------------------------------------


def _checks(place: Installation, catalogue: Catalogue, work: _Work, rate: float, *, before: int | None) -> list[Check]:
    programme = catalogue.programme
    secret = place.secret(LEARNER_SECRET)
    by_hand = _revoked_by_hand(place)
    time.sleep(_CADENCE_S)
    found = outcome(place)
    learners = {str(one.completion["learner"]["identifier"]) for one in work.sent}
    refs = {who: learner_ref(secret, programme, work.scheme, who) for who in learners}
    named = {ref: who for who, ref in refs.items()}
    taken = {(named[c.learner_ref], c.achievement) for c in found.issued if c.credential_id in by_hand}
    graded, set_aside = work.expected(catalogue, taken)
    checks = [Check("completions sent a second", f"{rate:,.0f}", holds=True)]
    checks += check_holdings(found, {(refs[who], what, level) for who, what, level in graded}, work.how)
    if before is not None:
        checks.append(
            Check("issued anew by the second run", f"{len(found.issued) - before}", len(found.issued) == before)
        )
    with _progress("verifying", len(found.issued)) as advance:
        checks += check_signatures(place, found, programme, advance, _SEED)
    if work.broken:
        runs = _count_run(place, new=True)
        for reason, _, _ in broken_records(programme, "0" * 32, 0):
            set_aside[reason] = set_aside.get(reason, 0) + runs
        repeated = ("unknown_assessment", "event_id_conflict", "not_allowed")
        set_aside |= {reason: set_aside[reason] * runs for reason in repeated if reason in set_aside}
        checks.append(check_set_aside(found, set_aside))
    checks.append(_revocation(place, found))
    checks.append(check_audit(place, out.print))
    _explain_one(place, programme)
    return checks


def _count_run(place: Installation, *, new: bool) -> int:
    """Return how many runs this folder has seen; what is quarantined is so again each time it is sent."""
    path = place.folder / "runs"
    runs = (int(path.read_text()) if path.exists() else 0) + int(new)
    path.write_text(str(runs))
    return runs


def _revoked_by_hand(place: Installation) -> set[str]:
    """Return what earlier runs of the demo revoked as staff."""
    path = place.folder / "revoked-by-hand"
    return set(path.read_text().split()) if path.exists() else set()


def _revocation(place: Installation, found: Outcome) -> Check:
    """Revoke one credential as staff would, and see the status list say so."""
    times = Counter((c.learner_ref, c.achievement) for c in found.issued)
    chosen = next(
        c
        for c in reversed(found.issued)
        if c.credential_id not in found.statuses and times[c.learner_ref, c.achievement] == 1
    )
    with Desk(place, chosen.programme) as desk:
        desk.ask(
            desk.request(
                StatusRequested,
                chosen.learner_ref,
                credential_id=chosen.credential_id,
                action=StatusAction.REVOKE,
                reason=StatusReason.ISSUED_IN_ERROR,
                urgent=True,
            )
        )
    with (place.folder / "revoked-by-hand").open("a") as file:
        file.write(f"{chosen.credential_id}\n")
    began = time.monotonic()
    while time.monotonic() - began < 30:  # noqa: PLR2004
        if chosen.credential_id in outcome(place).revoked:
            return Check(
                "one revoked by staff", f"in the status list after {time.monotonic() - began:.1f} s", holds=True
            )
        time.sleep(0.2)
    return Check("one revoked by staff", "NOT in the status list after 30 s", holds=False)


def _explain_one(place: Installation, programme: str) -> None:
    """Show why one learner has not attained something, and what is missing."""
    near = someone_not_yet(place)
    if near is None:
        return
    learner, achievement = near
    out.print(f"credstream why {learner} {achievement} --data {place.folder}")
    for tree in trees(ask(place, programme, learner, achievement, time.time_ns() // 1_000), "en"):
        out.print(tree)


def _show(checks: Sequence[Check], took_s: float) -> None:
    table = Table("check", "found", "", title=f"the demonstration checks itself ({took_s:.0f} s in all)")
    for check in checks:
        table.add_row(check.question, check.found, "[green]as it should be[/]" if check.holds else "[red]WRONG[/]")
    out.print(table)


def _progress(what: str, total: int) -> AbstractContextManager[Callable[[int], None]]:
    """Return a progress bar for people; for a log, one line."""
    if is_terminal():
        return _Bar(what, total)
    out.print(f"{what}: {total:,}")
    return nullcontext(lambda _: None)


class _Bar:
    def __init__(self, what: str, total: int) -> None:
        columns = (TextColumn("{task.description:>18}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
        self._progress = Progress(*columns, console=out)
        self._task = self._progress.add_task(what, total=total)

    def __enter__(self) -> Callable[[int], None]:
        self._progress.start()
        return lambda by: self._progress.advance(self._task, by)

    def __exit__(self, *_: object) -> None:
        self._progress.stop()
