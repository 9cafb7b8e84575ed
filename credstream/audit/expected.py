"""Who should hold what, computed another way: SQL over OULAD's files, and plain sets over what was sent."""

from __future__ import annotations

import csv
import io
import sqlite3
import zipfile
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any, Final

from credstream.audit.evaluator import Held, Shown, held
from schemas.catalogue import Catalogue
from schemas.rules import achievements_in, assessments_in, criteria_of

Holding = tuple[str, str]
"""A learner, as the provider names them, and an achievement."""
Graded = tuple[str, str, str | None]
"""The same, with the level of the award."""

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
), earned AS (  -- what rests on results alone; a rank of 1, 2, 3 is the level pass, merit, distinction
    SELECT student, presentation, presentation || '-pass' AS what, NULL AS rank FROM shares WHERE part >= parts * 40 * 1000000
    UNION ALL SELECT student, presentation, presentation || '-distinction', NULL FROM shares WHERE part >= parts * 85 * 1000000
    UNION ALL SELECT student, presentation, presentation || '-consistent', NULL FROM shares WHERE passed = assessments
    UNION ALL
    SELECT student, presentation, presentation || '-graded', 1 + (part >= parts * 70 * 1000000) + (part >= parts * 85 * 1000000)
    FROM shares WHERE part >= parts * 40 * 1000000
), left_by_staff AS (
    SELECT earned.* FROM earned LEFT JOIN taken ON taken.student = earned.student AND taken.what = earned.what
    WHERE taken.what IS NULL
), module AS (  -- the best of its presentations
    SELECT student, SUBSTR(presentation, 1, INSTR(presentation, '-') - 1) || '-module' AS what, MAX(rank) AS rank
    FROM left_by_staff WHERE rank IS NOT NULL GROUP BY 1, 2
), module_left AS (
    SELECT module.* FROM module LEFT JOIN taken ON taken.student = module.student AND taken.what = module.what
    WHERE taken.what IS NULL
), several AS (
    SELECT student, 'several-modules' AS what, 1 + (SUM(rank >= 2) >= 2) + (SUM(rank >= 3) >= 2) AS rank
    FROM module_left GROUP BY student HAVING COUNT(*) >= 2
), passed AS (
    SELECT student, presentation FROM left_by_staff WHERE what = presentation || '-pass'
), returned AS (  -- passed, after an earlier presentation of the module was begun and none of the earlier ones passed
    SELECT DISTINCT passed.student, SUBSTR(passed.presentation, 1, INSTR(passed.presentation, '-') - 1) || '-returned' AS what
    FROM passed
    WHERE EXISTS (
        SELECT * FROM shares AS earlier WHERE earlier.student = passed.student AND earlier.presentation < passed.presentation
        AND SUBSTR(earlier.presentation, 1, 3) = SUBSTR(passed.presentation, 1, 3)
    ) AND NOT EXISTS (
        SELECT * FROM passed AS earlier WHERE earlier.student = passed.student AND earlier.presentation < passed.presentation
        AND SUBSTR(earlier.presentation, 1, 3) = SUBSTR(passed.presentation, 1, 3)
    )
), everything AS (
    SELECT student, what, rank FROM left_by_staff
    UNION ALL SELECT * FROM module_left
    UNION ALL SELECT * FROM several
    UNION ALL SELECT student, what, NULL FROM returned
)
SELECT everything.student, everything.what,
       CASE everything.rank WHEN 1 THEN 'pass' WHEN 2 THEN 'merit' WHEN 3 THEN 'distinction' END
FROM everything LEFT JOIN taken ON taken.student = everything.student AND taken.what = everything.what
WHERE taken.what IS NULL
"""


def oulad_holdings(path: Path, taken: Collection[Holding] = ()) -> set[Graded]:
    """Return who holds what by OULAD's files (a folder or the zip), in SQL with whole numbers alone.

    ``taken``: what staff have revoked.
    """
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
    database.execute("CREATE TABLE taken (student TEXT, what TEXT)")
    database.executemany("INSERT INTO taken VALUES (?, ?)", taken)
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
        self._now = now
        self._assessments = {a.id: a for a in catalogue.assessments}
        self._events: dict[tuple[str, str], str] = {}
        self._arrivals: defaultdict[str, list[tuple[str, Mapping[str, Any]]]] = defaultdict(list)
        self._versions = {a.id: [(0, a.rule)] for a in catalogue.achievements}
        self._staying = {a.id for a in catalogue.achievements if a.rule.on_loss in {"keep", "ask"}}
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
        else:
            self._arrivals[learner].append((provider, completion))

    def holdings(self) -> set[Holding]:
        """Return who holds what in the end."""
        return {(learner, what) for learner, found in self.held().items() for what in found}

    def held(self, taken: Collection[Holding] = ()) -> dict[str, dict[str, Held]]:
        """Return what each learner holds in the end, when staff have taken away what is ``taken``."""
        found = {}
        for learner in self._arrivals:
            gone = {what for who, what in taken if who == learner}
            left = {name: versions for name, versions in self._versions.items() if name not in gone}
            results = self._standing(self._arrivals[learner])
            now = held(left, results)
            kept = self._kept(learner, now.keys())
            found[learner] = held(left, results, {n: one for n, one in kept.items() if n in left}) if kept else now
        return found

    def _kept(self, learner: str, without: Collection[str]) -> dict[str, Held]:
        """Return what was once held, as one result came after the other, and stays whatever becomes of the evidence."""
        arrivals = self._arrivals[learner]
        shown = {completion["assessment"] for _, completion in arrivals}
        asked = {
            n
            for name in self._staying
            if name not in without and shown & self._looks_at(name)
            for n in self._below(name)
        }
        versions = {name: several for name, several in self._versions.items() if name in asked}
        kept: dict[str, Held] = {}
        for end in range(len(arrivals) if asked else 0):
            now = held(versions, self._standing(arrivals[: end + 1]), kept)
            kept = {name: now[name] for name in self._staying & now.keys()}
        return kept

    def _below(self, name: str) -> set[str]:
        """Return an achievement and all that it builds on."""
        blocks = {
            block for criterion in criteria_of(self._versions[name][0][1]) for block in achievements_in(criterion)
        }
        return {name}.union(*(self._below(block) for block in blocks))

    def _looks_at(self, name: str) -> set[str]:
        rules = [self._versions[below][0][1] for below in self._below(name)]
        return {one for rule in rules for criterion in criteria_of(rule) for one in assessments_in(criterion)}

    def _standing(self, arrivals: Iterable[tuple[str, Mapping[str, Any]]]) -> list[Shown]:
        """Return the standing results: of each the highest revision, of the same revision the last, unless it is retracted."""
        last: dict[tuple[str, str], Mapping[str, Any]] = {}
        for provider, completion in arrivals:
            key = (provider, completion["result_id"])
            if completion.get("revision", 0) >= last.get(key, {}).get("revision", 0):
                last[key] = completion
        return [_shown(key, c) for key, c in last.items() if c.get("kind") != "retracted"]


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
