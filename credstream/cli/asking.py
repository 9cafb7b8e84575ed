"""`credstream why` and `credstream verify`: the questions that people have about a decision and a credential."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import msgspec
from cyclopts import Parameter
from rich.markup import escape
from rich.tree import Tree

from credstream.cli.console import DEFAULT_FOLDER, Data, Exit, Json, err, installation, out, write_json
from credstream.documents import documents
from credstream.why import Explained, explain, learner_ref_of
from schemas.errors import RefusedError
from services.competency.reasons import render
from services.signing.verifying import Verdict, Verifier


def why(
    learner: Annotated[str, Parameter(help="scheme:identifier (email:a@example.ca) or the learner_ref.")],
    achievement: Annotated[str | None, Parameter(help="One achievement; by default all.")] = None,
    *,
    programme: Annotated[str | None, Parameter(help="Needed when the installation has several.")] = None,
    as_json: Json = False,
    data: Data = DEFAULT_FOLDER,
) -> Exit:
    """Say what was decided about a learner and why: rule, evidence, and what is missing.

    Exit code 1 when the achievement is not held.

    Example: credstream why email:dana@example.ca safe-patient-transfer
    """
    place = installation(data)
    chosen = programme_of(place.programmes, programme)
    found = list(explain(place, chosen, learner_ref_of(place, chosen, learner), achievement))
    if as_json:
        write_json([msgspec.to_builtins(e) for e in found])
    else:
        for explained in found:
            out.print(explained_tree(explained))
        if not found:
            out.print(f"nothing was decided about this learner{f' and {achievement}' if achievement else ''}")
    return Exit.DONE if found and found[-1].holds else Exit.NO


def programme_of(known: Any, wanted: str | None) -> str:
    """Return the programme that is meant.

    Raises:
        RefusedError: It is not known, or there are several to choose from.
    """
    if wanted in known:
        return str(wanted)
    if wanted is None and len(known) == 1:
        return str(next(iter(known)))
    raise RefusedError(f"say which programme, with --programme; known here: {', '.join(sorted(known)) or 'none'}")


def explained_tree(explained: Explained) -> Tree:
    """Return one decision about one achievement as a tree."""
    when = datetime.fromtimestamp(explained.decided_at / 1_000_000, UTC)
    verdict = explained.verdict.replace("_", " ")
    tree = Tree(
        f"[bold]{explained.achievement}[/]  {verdict}  {when:%Y-%m-%d %H:%M:%S}Z  (decision {explained.position})"
    )
    for line in render(explained.explanation):
        tree.add(line)
    if explained.credential_id:
        tree.add(f"credential {explained.credential_id}, award {explained.award}")
    for ref in explained.evidence:
        tree.add(f"evidence: {ref}")
    tree.add(f"rule {explained.rule_digest}")
    return tree


def verify(
    *credentials: Annotated[str, Parameter(help="A credential's file, or the id of one issued here.")],
    as_json: Json = False,
    data: Data = DEFAULT_FOLDER,
) -> Exit:
    """Verify credentials step by step against this installation's issuers. Nothing that a credential points to is fetched.

    Exit code 1 when any is invalid or cannot be told.

    Example: credstream verify badge.json
    """
    if not credentials:
        err.print("credstream verify: name at least one file or id")
        return Exit.USAGE
    place = installation(data)
    verifier = Verifier(documents(place), now=datetime.now(UTC))
    verdicts = {name: verifier.verify(_bytes(name)) for name in credentials}
    if as_json:
        write_json({name: msgspec.to_builtins(verdict) for name, verdict in verdicts.items()})
    else:
        for name, verdict in verdicts.items():
            out.print(_steps(name, verdict))
    return Exit.DONE if all(v.overall == "valid" for v in verdicts.values()) else Exit.NO


def _bytes(name: str) -> bytes:
    path = Path(name)
    if path.is_file():
        return path.read_bytes()
    raise RefusedError(f"{name}: no such file")


def _steps(name: str, verdict: Verdict) -> Tree:
    colour = {"valid": "green", "invalid": "red"}.get(verdict.overall, "yellow")
    tree = Tree(f"[bold {colour}]{verdict.overall}[/]  {escape(name)}")
    for step in verdict.steps:
        mark = {"pass": "[green]✓[/]", "fail": "[red]✗[/]"}.get(step.outcome, "[yellow]?[/]")
        tree.add(f"{mark} {step.name}: {escape(step.reason)}")
    return tree
