"""OULAD: an exact catalogue, every result sent, and totals that two other computations agree on."""

from __future__ import annotations

import csv
import zipfile
from collections import defaultdict
from datetime import UTC, datetime
from fractions import Fraction
from pathlib import Path

import pytest
from support.shared import shared
from support.traffic import Traffic, published

from credstream.audit.expected import Expectation, oulad_holdings
from credstream.demo.oulad import PROVIDER, SCHEME, Oulad
from schemas.errors import RefusedError

ASSESSMENTS = """code_module,code_presentation,id_assessment,assessment_type,date,weight
AAA,2013J,1,TMA,10,12.5
AAA,2013J,2,CMA,20,87.5
AAA,2013J,3,Exam,90,100
GGG,2014B,4,TMA,10,0
GGG,2014B,5,TMA,20,0
AAA,2014J,6,TMA,10,100
"""
RESULTS = """id_assessment,id_student,date_submitted,is_banked,score
1,s1,5,0,40
2,s1,6,0,40
1,s2,5,0,100
2,s2,6,1,31.428571
1,s3,5,0,100
2,s3,6,0,31.428572
3,s4,5,0,100
4,s1,-3,0,80
5,s5,5,0,?
4,s5,5,0,80
4,s6,5,0,85
5,s6,5,0,85
4,s6,9,0,86
1,s7,5,0,10
6,s7,5,0,75
1,s8,5,0,90
2,s8,6,0,90
6,s8,5,0,45
4,s8,5,0,90
5,s8,5,0,100
2,s9,5,0,20
6,s9,5,0,30
"""
RESULTS_ALONE = {"pass", "distinction", "consistent"}
STACKS = {"module", "returned", "modules"}
GRADES = ("pass", "merit", "distinction")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "assessments.csv").write_text(ASSESSMENTS)
    (tmp_path / "studentAssessment.csv").write_text(RESULTS)
    return tmp_path


def test_thresholds_are_exact_missing_counts_zero_and_exams_do_not_count(folder: Path) -> None:
    found = {(who, what) for who, what, _ in oulad_holdings(folder) if what.rpartition("-")[2] in RESULTS_ALONE}
    assert found == {
        ("s1", "aaa-2013j-pass"),
        ("s1", "aaa-2013j-consistent"),
        ("s3", "aaa-2013j-pass"),
        ("s1", "ggg-2014b-pass"),
        ("s5", "ggg-2014b-pass"),
        ("s6", "ggg-2014b-pass"),
        ("s6", "ggg-2014b-distinction"),
        ("s6", "ggg-2014b-consistent"),
        ("s7", "aaa-2014j-pass"),
        ("s7", "aaa-2014j-consistent"),
        ("s8", "aaa-2013j-pass"),
        ("s8", "aaa-2013j-distinction"),
        ("s8", "aaa-2013j-consistent"),
        ("s8", "aaa-2014j-pass"),
        ("s8", "aaa-2014j-consistent"),
        ("s8", "ggg-2014b-pass"),
        ("s8", "ggg-2014b-distinction"),
        ("s8", "ggg-2014b-consistent"),
    }


def test_grades_rise_with_the_best_presentation_and_stacks_rest_on_them(folder: Path) -> None:
    found = {(who, what, level) for who, what, level in oulad_holdings(folder) if what.partition("-")[2] in STACKS}
    assert found == {
        ("s1", "aaa-module", "pass"),
        ("s3", "aaa-module", "pass"),
        ("s1", "ggg-module", "pass"),
        ("s5", "ggg-module", "pass"),
        ("s6", "ggg-module", "distinction"),
        ("s7", "aaa-module", "merit"),
        ("s7", "aaa-returned", None),
        ("s8", "aaa-module", "distinction"),
        ("s8", "ggg-module", "distinction"),
        ("s1", "several-modules", "pass"),
        ("s8", "several-modules", "distinction"),
    }


def test_what_staff_take_away_falls_from_the_stacks_on_it_too(folder: Path) -> None:
    taken = {("s8", "aaa-2013j-graded"), ("s1", "ggg-module")}
    assert oulad_holdings(folder) - oulad_holdings(folder, taken) == {
        ("s8", "aaa-2013j-graded", "distinction"),
        ("s8", "aaa-module", "distinction"),
        ("s8", "several-modules", "distinction"),
        ("s1", "ggg-module", "pass"),
        ("s1", "several-modules", "pass"),
    }
    assert oulad_holdings(folder, taken) - oulad_holdings(folder) == {
        ("s8", "aaa-module", "pass"),
        ("s8", "several-modules", "pass"),
    }


def test_rules_lane_and_second_evaluator_say_the_same_as_the_sql(folder: Path) -> None:
    dataset = Oulad(folder)
    sent = list(dataset.completions())
    assert len({c["event_id"] for c in sent}) == len(sent) == 22
    now = datetime(2026, 11, 20, tzinfo=UTC)
    catalogue = published(dataset.catalogue())
    judge, traffic = Expectation(catalogue, now), Traffic(catalogue, now)
    for completion in sent:
        judge.take(PROVIDER, completion)
    traffic.send((PROVIDER, completion) for completion in sent)
    evaluated = {(who, what, one.level) for who, found in judge.held().items() for what, one in found.items()}
    learners = {c["learner"]["identifier"] for c in sent}
    decided = {(who, what, one.level) for who in learners for what, one in traffic.held(SCHEME, who).items()}
    assert evaluated == decided == oulad_holdings(folder)
    assert not judge.set_aside
    taken = {("s8", "aaa-2013j-graded"), ("s1", "ggg-module"), ("s7", "aaa-2014j-pass")}
    left = {(who, what, one.level) for who, found in judge.held(taken).items() for what, one in found.items()}
    assert left == oulad_holdings(folder, taken)


def test_the_published_zip_is_read_as_the_folder_is(folder: Path, tmp_path: Path) -> None:
    archive = tmp_path / "oulad.zip"
    with zipfile.ZipFile(archive, "w") as file:
        for name in ("assessments.csv", "studentAssessment.csv"):
            file.write(folder / name, f"anonymisedData/{name}")
    assert list(Oulad(archive).completions()) == list(Oulad(folder).completions())
    assert oulad_holdings(archive) == oulad_holdings(folder)


def test_a_folder_without_the_files_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RefusedError, match=r"has no assessments\.csv"):
        Oulad(tmp_path)


def test_the_real_results_agree_with_a_third_computation() -> None:
    path = shared("data/oulad")
    weights: dict[str, dict[str, Fraction]] = defaultdict(dict)
    for row in csv.DictReader((path / "assessments.csv").read_text().splitlines()):
        if row["assessment_type"] != "Exam":
            weights[f"{row['code_module']}-{row['code_presentation']}".lower()][row["id_assessment"]] = Fraction(
                row["weight"]
            )
    scores: dict[str, dict[str, Fraction]] = defaultdict(dict)
    count = 0
    for row in csv.DictReader((path / "studentAssessment.csv").read_text().splitlines()):
        count += 1
        if row["score"] not in {"", "?"}:
            scores[row["id_student"]][row["id_assessment"]] = Fraction(row["score"])
    assert count == 36_184 == sum(1 for _ in Oulad(path).completions())
    held: set[tuple[str, str, str | None]] = set()
    for student, mine in scores.items():
        grades: dict[str, list[int]] = defaultdict(list)
        passed: dict[str, list[bool]] = defaultdict(list)
        for presentation, parts in sorted(weights.items()):
            module = presentation.partition("-")[0]
            if not parts.keys() & mine.keys():
                continue
            equal = not any(parts.values())
            total = sum((1 if equal else w) * mine.get(a, Fraction(0)) for a, w in parts.items())
            mean = total / (len(parts) if equal else sum(parts.values()))
            held |= {(student, f"{presentation}-pass", None)} if mean >= 40 else set()
            held |= {(student, f"{presentation}-distinction", None)} if mean >= 85 else set()
            held |= (
                {(student, f"{presentation}-consistent", None)} if all(mine.get(a, 0) >= 40 for a in parts) else set()
            )
            passed[module].append(mean >= 40)
            if mean >= 40:
                grades[module].append((mean >= 70) + (mean >= 85))
                held.add((student, f"{presentation}-graded", GRADES[grades[module][-1]]))
        held |= {(student, f"{module}-module", GRADES[max(several)]) for module, several in grades.items()}
        held |= {
            (student, f"{m}-returned", None) for m, several in passed.items() if True in several and not several[0]
        }
        if len(grades) > 1:
            held.add((student, "several-modules", GRADES[sorted(map(max, grades.values()))[-2]]))
    assert held == oulad_holdings(path)
    never = {a.id for a in Oulad(path).catalogue().achievements} - {what for _, what, _ in held}
    assert all(name.endswith("-returned") for name in never)
