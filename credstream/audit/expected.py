"""Who should hold what, computed another way: SQL over OULAD's files, and plain sets over what was sent."""

from __future__ import annotations

import csv
import io
import sqlite3
import zipfile
from collections import defaultdict
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any, Final

from credstream.audit.evaluator import Shown, held
from schemas.catalogue import Catalogue

Holding = tuple[str, str]
"""A learner, as the provider names them, and an achievement."""

_MILLION: Final = 1_000_000
_HELD: Final = """
WITH best AS (  -- each student's best score in each assessment that counts
    SELECT a.presentation, a.id, a.weight, s.student, MAX(COALESCE(s.score, 0)) AS score
    FROM assessment AS a JOIN submission AS s ON s.assessment = a.id
    WHERE a.counts GROUP BY a.presentation, a.id, s.student
), whole AS (
    SELECT presentation, COUNT(*) AS assessments, SUM(weight) AS weight FROM assessment WHERE counts GROUP BY presentation
), reached AS (
    SELECT best.presentation, best.student, whole.assessments, whole.weight AS of_weight,
           SUM(best.weight * best.score) AS weighted, SUM(best.score) AS plain,
           SUM(best.score >= 40 * 1000000) AS passed
    FROM best JOIN whole ON whole.presentation = best.presentation GROUP BY best.presentation, best.student
), shares AS (  -- numerator and denominator of the mean, in millionths of a point
    SELECT presentation, student, assessments, passed,
           CASE WHEN of_weight THEN weighted ELSE plain END AS part,
           CASE WHEN of_weight THEN of_weight ELSE assessments END AS parts
    FROM reached
)
SELECT student, presentation || '-pass' FROM shares WHERE part >= parts * 40 * 1000000
UNION ALL SELECT student, presentation || '-distinction' FROM shares WHERE part >= parts * 85 * 1000000
UNION ALL SELECT student, presentation || '-consistent' FROM shares WHERE passed = assessments
"""


def oulad_holdings(path: Path) -> set[Holding]:
    """Return who holds what by OULAD's files (a folder or the zip), in SQL with whole numbers alone."""
    database = sqlite3.connect(":memory:")
    database.execute("CREATE TABLE assessment (id TEXT, presentation TEXT, weight INTEGER, counts INTEGER)")
    database.execute("CREATE TABLE submission (assessment TEXT, student TEXT, score INTEGER)")
    database.executemany(
        "INSERT INTO assessment VALUES (?, ?, ?, ?)",
        (
            (
                row["id_assessment"],
                f"{row['code_module']}-{row['code_presentation']}".lower(),
                _thousandths(row["weight"]),
                row["assessment_type"] != "Exam",
            )
            for row in _rows(path, "assessments.csv")
        ),
    )
    database.executemany(
        "INSERT INTO submission VALUES (?, ?, ?)",
        (
            (row["id_assessment"], row["id_student"], _millionths(row["score"]))
            for row in _rows(path, "studentAssessment.csv")
        ),
    )
    database.execute("CREATE INDEX by_assessment ON submission (assessment)")
    return set(database.execute(_HELD))


def _rows(path: Path, name: str) -> Iterable[dict[str, str]]:
    if path.is_dir():
        text = (path / name).read_text("utf-8-sig")
    else:
        with zipfile.ZipFile(path) as archive:
            inside = next(entry for entry in archive.namelist() if entry.endswith(name))
            text = archive.read(inside).decode("utf-8-sig")
    return csv.DictReader(io.StringIO(text))


def _thousandths(text: str) -> int:
    return int(Decimal(text) * 1_000)


def _millionths(text: str) -> int | None:
    return int(Decimal(text) * _MILLION) if text.strip() not in {"", "?"} else None


class Expectation:
    """What should come of completions sent in this order: holdings, and how many are set aside for which reason."""

    def __init__(self, catalogue: Catalogue, now: datetime) -> None:
        """Judge by this catalogue, as of ``now``."""
        self._catalogue = catalogue
        self._now = now
        self._assessments = {a.id: a for a in catalogue.assessments}
        self._events: dict[tuple[str, str], str] = {}
        self._results: defaultdict[str, dict[tuple[str, str], tuple[int, Mapping[str, Any]]]] = defaultdict(dict)
        self.set_aside: defaultdict[str, int] = defaultdict(int)
        self.awaiting_review = 0

    def take(self, provider: str, completion: Mapping[str, Any]) -> None:
        """Take in one completion that the gateway accepted."""
        learner = completion["learner"]["identifier"]
        assessment = self._assessments.get(completion["assessment"])
        event, content = (learner, completion["event_id"]), repr(sorted(completion.items(), key=str)) + provider
        if assessment is None:
            self.set_aside["unknown_assessment"] += 1
        elif provider not in assessment.providers:
            self.set_aside["not_allowed"] += 1
        elif self._events.get(event, content) != content:
            self.set_aside["event_id_conflict"] += 1
        else:
            self._events[event] = content
            self._keep(learner, provider, completion, assessment.accepted_late_days)

    def _keep(self, learner: str, provider: str, completion: Mapping[str, Any], late_days: int | None) -> None:
        age = self._now - datetime.fromisoformat(completion["completed_at"])
        if late_days is not None and age > timedelta(days=late_days):
            self.awaiting_review += 1
            return
        key, revision = (provider, completion["result_id"]), completion.get("revision", 0)
        if revision >= self._results[learner].get(key, (-1, {}))[0]:
            self._results[learner][key] = (revision, completion)

    def holdings(self) -> set[Holding]:
        """Return who holds what in the end."""
        versions = {a.id: [(0, a.rule)] for a in self._catalogue.achievements}
        return {
            (learner, achievement)
            for learner, results in self._results.items()
            for achievement in held(
                versions, [_shown(key, c) for key, (_, c) in results.items() if c.get("kind") != "retracted"]
            )
        }


def _shown(order: tuple[str, str], completion: Mapping[str, Any]) -> Shown:
    at = datetime.fromisoformat(completion["completed_at"]) - datetime(1970, 1, 1, tzinfo=UTC)
    share = None
    if completion.get("score") is not None:
        share = Fraction(str(completion["score"])) / Fraction(str(completion["score_max"]))
    return Shown(
        assessment=completion["assessment"],
        at=at // timedelta(microseconds=1),
        order=order,
        share=share,
        passed=completion.get("passed"),
        level=completion.get("level"),
        role=completion.get("assessor_role"),
        site=completion.get("site"),
        assessor=completion.get("assessor_ref"),
        critical=completion.get("critical"),
        evidence=completion.get("evidence_url"),
    )
