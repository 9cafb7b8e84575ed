"""A small catalogue whose assessments, and who may attest for them, differ from version to version."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

_PROGRAMME = """\
programme: ontario-pilots
version: "{version}"
issuer: {{name: Quarantine Tests}}
providers: [{{id: great-river-training, name: Great River}}, {{id: northern-college, name: Northern College}}]
"""
_ACHIEVEMENTS = """\
- id: site-safety
  name: Site safety
  description: Safe on sites.
  criteria: Score enough.
  rule:
    requires: {result: {assessment: site-safety-test, at_least: 70 %}}
"""


def catalogue(folder: Path, version: str, *assessments: str) -> Path:
    (folder / "achievements").mkdir(parents=True, exist_ok=True)
    (folder / "programme.yaml").write_text(_PROGRAMME.format(version=version))
    known = [f"- {{id: {name}, name: {name}, providers: [{providers}]}}" for name, _, providers in _parts(assessments)]
    (folder / "assessments.yaml").write_text("\n".join(known))
    (folder / "achievements" / "all.yaml").write_text(_ACHIEVEMENTS)
    return folder


def _parts(assessments: tuple[str, ...]) -> Iterator[tuple[str, str, str]]:
    return (one.partition(" by ") for one in assessments)


FIRST = ("site-safety-test by great-river-training",)
SECOND = (*FIRST, "rigging by great-river-training")
THIRD = ("site-safety-test by great-river-training, northern-college", SECOND[1])
