"""`credstream rules simulate`: what a draft catalogue would change, before anything is published."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Final

import msgspec
from cyclopts import Parameter

from credstream import installation as installations
from credstream.cli.console import DEFAULT_FOLDER, Data, Exit, Json, err, installation, out, reading
from credstream.cli.simulated import shown
from credstream.learners import learners
from credstream.rules.bars import picture as picture_of
from credstream.rules.explaining import names_of
from credstream.rules.loader import CatalogueError, load
from credstream.rules.simulating import Effect, Trial, compare, trial
from credstream.rules.simulation import Rows, Summary, summaries
from credstream.rules.testing import run_examples
from credstream.zones import zone_of
from schemas.catalogue import Catalogue
from schemas.errors import RefusedError
from schemas.events import Micros
from schemas.topology import PROGRESS
from services.competency.adoption import catalogue_faults
from services.competency.progress import Progress as LearnerProgress
from streams.settings import Installation
from streams.topics import ends

_DAY: Final = 86_400_000_000


@dataclass(slots=True)
class _Found:
    """What a simulation came to."""

    tried: Trial
    summed: dict[str, Summary] = field(default_factory=dict)
    learners: int = 0


def simulate(
    folder: Annotated[Path, Parameter(help="The draft: a catalogue's folder.")],
    *,
    days: Annotated[
        int | None, Parameter(help="Only learners with a result shown in so many days; by default all.")
    ] = None,
    achievement: Annotated[
        str | None, Parameter(help="One achievement; by default all that the draft changes.")
    ] = None,
    as_published: Annotated[
        bool, Parameter(negative=(), help="Judge as publishing it now would, with each rule's transition.")
    ] = False,
    csv: Annotated[
        Path | None, Parameter(help="Write each learner concerned into this file, for spreadsheets.")
    ] = None,
    picture: Annotated[
        Path | None, Parameter(help="Write bars of who gains, loses and is near into this SVG file.")
    ] = None,
    as_json: Json = False,
    data: Data = DEFAULT_FOLDER,
) -> Exit:
    """Try a draft on the learners of the real topics: who gains, who loses, who is near, and why. Nothing is published or written.

    A rule that the draft adds or changes judges all evidence of each learner. Learners appear by their learner_ref.

    Example: credstream rules simulate catalogues/draft --days 365 --csv changes.csv --picture changes.svg
    """
    if days is not None and days < 1:
        err.print("credstream rules simulate: --days is at least 1")
        return Exit.USAGE
    for path in (csv, picture):
        if path is not None and not path.parent.is_dir():
            raise RefusedError(f"{path}: there is no folder {path.parent}")
    place = installation(data)
    catalogue = _draft(folder, place)
    since = None if days is None else _now() - days * _DAY
    with Rows(zone_of(catalogue)) as rows:
        found = _run(place, catalogue, rows, achievement=achievement, since=since, as_published=as_published)
        summed = sorted(
            found.summed.values(), key=lambda s: (-s.effects[Effect.LOSES] - s.effects[Effect.GAINS], s.name)
        )
        title = f"{catalogue.programme} {catalogue.version}: a draft, tried on {found.learners:,} learners"
        if picture is not None:
            picture.write_text(picture_of(title, summed), "utf-8")
        written = None if csv is None else rows.write_csv(csv)
        if as_json:
            _write_json(catalogue, found, summed, days, rows)
            return Exit.DONE
    for part in shown(title, catalogue, found.tried, summed, as_published=as_published):
        out.print(part)
    if csv is not None:
        out.print(f"{written:,} rows in {csv}")
    if picture is not None:
        out.print(f"a picture in {picture}")
    return Exit.DONE


def _now() -> Micros:
    return time.time_ns() // 1_000


def _draft(folder: Path, place: Installation) -> Catalogue:
    """Return the draft as the lanes would be given it; mistakes are told, examples that fail only warned of."""
    draft = load(folder)
    if draft.programme not in place.programmes:
        known = ", ".join(place.programmes) or "none"
        raise RefusedError(f"{place.folder} does not know the programme {draft.programme}; it knows {known}")
    catalogue = installations.build_catalogue(place, draft)
    if faults := catalogue_faults(catalogue):
        raise CatalogueError(folder, faults)
    failed = sum(not tested.passed for tested in run_examples(draft))
    if failed:
        err.print(
            f"{failed} of {len(draft.examples)} examples are decided otherwise; see credstream rules test {folder}"
        )
    return catalogue


def _run(
    place: Installation,
    draft: Catalogue,
    rows: Rows,
    *,
    achievement: str | None,
    since: Micros | None,
    as_published: bool,
) -> _Found:
    """Judge every learner of every lane, one at a time."""
    found: _Found | None = None
    now = _now()
    with reading("reading learners", lambda: _size(place)) as say:
        for lane in range(place.kafka.lanes):
            kept, some = learners(place, lane, draft.programme, say)
            adopted = kept.adopted(draft.programme)
            if not adopted:
                continue
            tried = _tried(adopted, draft, now, as_published=as_published)
            names = _chosen(tried, achievement)
            if found is None:
                found = _Found(tried)
            found.summed = summaries(tried, names) | found.summed
            needed = tried.needed(names)
            words = names_of(tried.now.newest.catalogue) | names_of(draft)
            for learner_ref, progress in some:
                if since is not None and not _shown_since(progress, since):
                    continue
                found.learners += 1
                for one in compare(tried, names, needed, learner_ref, progress, now):
                    rows.add(one, found.summed[one.achievement], words)
    if found is None:
        raise RefusedError(
            f"no catalogue of {draft.programme} is adopted here; there is nothing to compare the draft with"
        )
    return found


def _tried(adopted: Sequence[tuple[Any, Catalogue]], draft: Catalogue, now: Micros, *, as_published: bool) -> Trial:
    try:
        return trial(adopted, draft, now, as_published=as_published)
    except ValueError as error:
        raise RefusedError(f"the lanes would refuse this draft: {error}") from None


def _chosen(tried: Trial, achievement: str | None) -> Sequence[str]:
    if achievement is None:
        return tried.affected
    if achievement not in tried.draft.rules:
        raise RefusedError(f"neither the draft nor what is published has an achievement {achievement}")
    return (achievement,)


def _shown_since(progress: LearnerProgress, since: Micros) -> bool:
    return any(not standing.retracted and standing.completed_at >= since for standing in progress.results.values())


def _size(place: Installation) -> int:
    return 2 * sum(ends(place, [PROGRESS]).values())  # each lane is read twice


def _write_json(catalogue: Catalogue, found: _Found, summed: Sequence[Summary], days: int | None, rows: Rows) -> None:
    """Write the document piece by piece: the learners may be more than fit into memory."""
    head = {
        "programme": catalogue.programme,
        "version": catalogue.version,
        "days": days,
        "population": found.learners,
        "achievements": [one.plain() for one in summed],
    }
    write = sys.stdout.buffer.write
    write(msgspec.json.encode(head)[:-1] + b',"learners":[')
    for at, line in enumerate(rows.lines()):
        write((b",\n" if at else b"\n") + line)
    write(b"]}\n")
    sys.stdout.flush()
