"""The Open University Learning Analytics Dataset as a programme: its catalogue, and its results as completions.

Kuzilek, Hlosta, Zdrahal, Scientific Data 4:170171 (2017), CC BY 4.0. The project ships none of it: name the folder, or the zip as
published. Tutor- and computer-marked assessments count, exams do not; what was not submitted or has no score counts zero.
"""

from __future__ import annotations

import csv
import io
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import IO, Any, Final

from credstream.rules.loader import Draft
from schemas.catalogue import Achievement, Assessment, Issuer, Provider
from schemas.errors import RefusedError
from schemas.rules import WHOLE, All, AtLeast, Count, Criterion, Holds, Level, Nothing, Result, Rule, Weight, Weighted
from schemas.rules import Any as AnyOf

PROGRAMME: Final = "oulad"
PROVIDER: Final = "open-university"
SCHEME: Final = "oulad-student"
_FILES: Final = ("assessments.csv", "studentAssessment.csv")
_STARTS: Final = {"B": 2, "J": 10}  # a presentation's letter names the month in which it begins
_EXAM: Final = "Exam"
_MISSING: Final = {"", "?"}
_LEVELS: Final = {"pass": 400_000, "merit": 700_000, "distinction": 850_000}
_PASS, _DISTINCTION = _LEVELS["pass"], _LEVELS["distinction"]
_SEVERAL: Final = 2


class Oulad:
    """The data set in a folder or a zip."""

    def __init__(self, path: Path) -> None:
        """Read from here.

        Raises:
            RefusedError: The files are not there.
        """
        self._path = path
        for name in _FILES:
            try:
                with self._open(name):
                    pass
            except (OSError, KeyError, zipfile.BadZipFile):
                raise RefusedError(f"{path} has no {name}; give OULAD's folder, or its zip as published") from None

    @contextmanager
    def _open(self, name: str) -> Iterator[IO[str]]:
        if self._path.is_dir():
            with (self._path / name).open(encoding="utf-8-sig", newline="") as file:
                yield file
            return
        with zipfile.ZipFile(self._path) as archive:
            inside = next(entry for entry in (*archive.namelist(), name) if entry.rpartition("/")[2] == name)
            with archive.open(inside) as raw, io.TextIOWrapper(raw, "utf-8-sig", newline="") as file:
                yield file

    def _rows(self, name: str) -> Iterator[Mapping[str, str]]:
        with self._open(name) as file:
            yield from csv.DictReader(file)

    def catalogue(self) -> Draft:
        """Return the programme: achievements of each presentation of a module, and stacks over presentations and modules."""
        presentations: dict[tuple[str, str], list[tuple[str, int]]] = {}
        assessments = []
        for row in self._rows("assessments.csv"):
            name = f"{row['code_module']} {row['code_presentation']}: {row['assessment_type']} {row['id_assessment']}"
            assessments.append(
                Assessment(id=row["id_assessment"], name=name, providers=(PROVIDER,), accepted_late_days=None)
            )
            if row["assessment_type"] != _EXAM:
                weight = int(Decimal(row["weight"]) * WHOLE)
                presentations.setdefault((row["code_module"], row["code_presentation"]), []).append(
                    (row["id_assessment"], weight)
                )
        achievements = [a for key, parts in sorted(presentations.items()) for a in _achievements(*key, parts)]
        achievements += _stacks(presentations)
        return Draft(
            programme=PROGRAMME,
            version="1",
            time_zone="UTC",
            issuer=Issuer(
                name="OULAD demonstration",
                description="Real, anonymised assessment results; the issuer is fictional and certifies nothing.",
                url="https://oulad.example/",
            ),
            providers=(Provider(id=PROVIDER, name="The Open University's published data set"),),
            assessments=tuple(assessments),
            achievements=tuple(achievements),
        )

    def completions(self) -> Iterator[dict[str, Any]]:
        """Yield every result as a completion, in the file's order."""
        begins = {
            row["id_assessment"]: datetime(
                int(row["code_presentation"][:4]), _STARTS[row["code_presentation"][4]], 1, 12, tzinfo=UTC
            )
            for row in self._rows("assessments.csv")
        }
        seen: dict[tuple[str, str], int] = {}
        for row in self._rows("studentAssessment.csv"):
            pair = (row["id_assessment"], row["id_student"])
            seen[pair] = seen.get(pair, 0) + 1
            completion = {
                "learner": {"scheme": SCHEME, "identifier": row["id_student"]},
                "event_id": f"{pair[0]}-{pair[1]}-{seen[pair]}",
                "result_id": f"{pair[0]}-{pair[1]}-{seen[pair]}",
                "assessment": row["id_assessment"],
                "completed_at": (begins[row["id_assessment"]] + timedelta(days=int(row["date_submitted"]))).isoformat(),
            }
            score = _score(row["score"])
            yield completion if score is None else {**completion, "score": score, "score_max": 100}


def _score(text: str) -> Decimal | None:
    try:
        return None if text.strip() in _MISSING else Decimal(text)
    except InvalidOperation:
        raise RefusedError(f"studentAssessment.csv: {text!r} is no score") from None


def _achievements(module: str, presentation: str, parts: list[tuple[str, int]]) -> Iterator[Achievement]:
    """Yield pass, distinction and consistency; where all weights are 0, each assessment weighs the same."""
    equal = not any(weight for _, weight in parts)
    weights = tuple(Weight(assessment=name, weight=WHOLE if equal else weight) for name, weight in parts)
    stem, title = f"{module}-{presentation}".lower(), f"{module} {presentation}"
    mean = "mean" if equal else "weighted mean"

    def achievement(kind: str, name: str, criteria: str, rule: Rule) -> Achievement:
        return Achievement(
            id=f"{stem}-{kind}",
            name=f"{title}: {name}",
            description=f"{name.capitalize()} in the continuous assessment of module {module}, presentation {presentation}.",
            criteria=criteria,
            sector=title,
            rule=rule,
        )

    for kind, name, share in (("pass", "pass", _PASS), ("distinction", "distinction", _DISTINCTION)):
        text = f"A {mean} of at least {share // 10_000} % over the continuous assessment; what is missing counts zero."
        yield achievement(kind, name, text, Rule(requires=Weighted(parts=weights, at_least=share)))
    graded = tuple(
        Level(name=name, requires=Weighted(parts=weights, at_least=share)) for name, share in _LEVELS.items()
    )
    text = f"A {mean} of at least 40 %; pass, merit from 70 %, distinction from 85 %."
    rule = Rule(attained="standing", requires=graded[0].requires, levels=graded)
    yield achievement("graded", "graded", text, rule)
    every = All(of=tuple(Result(assessment=name, at_least=_PASS) for name, _ in parts))
    yield achievement("consistent", "consistent work", "At least 40 % in every assessment.", Rule(requires=every))


def _stacks(presentations: Mapping[tuple[str, str], list[tuple[str, int]]]) -> Iterator[Achievement]:
    """Yield what is earned with presentations: a module by any of them, a module returned to, several modules.

    The grade of a stack is that of what it rests on, and rises with it.
    """
    modules = sorted({module for module, _ in presentations})
    for module in modules:
        mine = [f"{module}-{presentation}".lower() for of, presentation in sorted(presentations) if of == module]
        criteria = "Graded in any presentation of the module; the best grade counts."
        yield _stack(f"{module}-module".lower(), f"Module {module}", criteria, [f"{p}-graded" for p in mine], 1)
        if len(mine) > 1:
            yield _returned(module, mine, presentations)
    if len(modules) >= _SEVERAL:
        criteria = "Two modules or more; the grade is one that two of them reach."
        blocks = [f"{module}-module".lower() for module in modules]
        yield _stack("several-modules", "Several modules", criteria, blocks, _SEVERAL)


def _stack(name: str, title: str, criteria: str, blocks: Sequence[str], number: int) -> Achievement:
    """Return the achievement of who holds so many blocks; its grade is one that so many of them reach."""

    def held(grades: tuple[str, ...]) -> Criterion:
        return AtLeast(number=number, of=tuple(Holds(achievement=block, levels=grades) for block in blocks))

    grades = tuple(_LEVELS)
    levels = tuple(Level(name=grade, requires=held(grades[at:])) for at, grade in enumerate(grades))
    rule = Rule(attained="standing", requires=held(()), levels=levels)
    return Achievement(id=name, name=title, description=f"{title}.", criteria=criteria, sector="Stacks", rule=rule)


def _returned(
    module: str, mine: list[str], presentations: Mapping[tuple[str, str], list[tuple[str, int]]]
) -> Achievement:
    """Return the achievement of who passed at a later presentation than the first that they began."""
    begun = {
        f"{module}-{presentation}".lower(): tuple(name for name, _ in parts)
        for (of, presentation), parts in presentations.items()
        if of == module
    }
    ways: list[Criterion] = []
    for at, later in enumerate(mine[1:], 1):
        earlier = mine[:at]
        assessments = tuple(name for presentation in earlier for name in begun[presentation])
        ways.append(
            All(
                of=(
                    Holds(achievement=f"{later}-pass"),
                    Count(number=1, assessments=assessments),
                    Nothing(of=tuple(Holds(achievement=f"{p}-pass") for p in earlier)),
                )
            )
        )
    return Achievement(
        id=f"{module}-returned".lower(),
        name=f"Module {module}: returned and passed",
        description=f"Came back to module {module} and passed.",
        criteria="An earlier presentation begun and not passed, a later one passed.",
        sector="Stacks",
        rule=Rule(attained="standing", requires=AnyOf(of=tuple(ways))),
    )
