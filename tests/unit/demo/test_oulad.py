"""OULAD: an exact catalogue, every result sent, and totals that two other computations agree on."""

from __future__ import annotations

import csv
import zipfile
from collections import defaultdict
from fractions import Fraction
from pathlib import Path

import pytest
from support.shared import shared

from credstream.audit.expected import Expectation, oulad_holdings
from credstream.demo.oulad import PROVIDER, Oulad
from schemas.errors import RefusedError

ASSESSMENTS = """code_module,code_presentation,id_assessment,assessment_type,date,weight
AAA,2013J,1,TMA,10,12.5
AAA,2013J,2,CMA,20,87.5
AAA,2013J,3,Exam,90,100
GGG,2014B,4,TMA,10,0
GGG,2014B,5,TMA,20,0
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
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "assessments.csv").write_text(ASSESSMENTS)
    (tmp_path / "studentAssessment.csv").write_text(RESULTS)
    return tmp_path


def test_thresholds_are_exact_missing_counts_zero_and_exams_do_not_count(folder: Path) -> None:
    assert oulad_holdings(folder) == {
        ("s1", "aaa-2013j-pass"),
        ("s1", "aaa-2013j-consistent"),
        ("s3", "aaa-2013j-pass"),
        ("s1", "ggg-2014b-pass"),
        ("s5", "ggg-2014b-pass"),
        ("s6", "ggg-2014b-pass"),
        ("s6", "ggg-2014b-distinction"),
        ("s6", "ggg-2014b-consistent"),
    }


def test_the_catalogues_rules_say_the_same_as_the_sql(folder: Path) -> None:
    dataset = Oulad(folder)
    sent = list(dataset.completions())
    assert len(sent) == 13
    assert len({c["event_id"] for c in sent}) == 13
    from datetime import UTC, datetime

    judge = Expectation(dataset.catalogue().build(base_url="https://x.example", keys=[]), datetime.now(UTC))
    for completion in sent:
        judge.take(PROVIDER, completion)
    assert judge.holdings() == oulad_holdings(folder)
    assert not judge.set_aside


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
    held = set()
    for presentation, parts in weights.items():
        equal = not any(parts.values())
        for student, mine in scores.items():
            if parts.keys() & mine.keys():
                total = sum((1 if equal else w) * mine.get(a, Fraction(0)) for a, w in parts.items())
                mean = total / (len(parts) if equal else sum(parts.values()))
                held |= {
                    (student, f"{presentation}-{kind}")
                    for kind, least in (("pass", 40), ("distinction", 85))
                    if mean >= least
                }
                held |= {(student, f"{presentation}-consistent")} if all(mine.get(a, 0) >= 40 for a in parts) else set()
    assert held == oulad_holdings(path)
