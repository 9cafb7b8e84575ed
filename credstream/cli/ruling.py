"""`credstream rules`: what programme staff do with a catalogue, from a first draft to publishing it."""

from __future__ import annotations

import difflib
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Final

import msgspec
from cyclopts import Parameter
from rich.markup import escape
from rich.table import Table
from rich.tree import Tree

from credstream import documents
from credstream.cli.console import DEFAULT_FOLDER, Data, Exit, Json, err, installation, out, write_json
from credstream.rules.explaining import differences, explained_rule, names_of
from credstream.rules.grammar import json_schema
from credstream.rules.loader import Draft, load
from credstream.rules.testing import Tested, decided_in_words, expected_in_words, run_examples
from schemas.catalogue import Achievement, Catalogue, canonical
from schemas.errors import RefusedError
from schemas.ids import content_digest
from services.competency.reasons import render
from services.competency.wording import Language

_NAMES_TOLD: Final = 20
Folder = Annotated[Path, Parameter(help="A catalogue's folder.")]
MaybeFolder = Annotated[Path | None, Parameter(help="A catalogue's folder; by default what is published.")]


def check(folder: Folder) -> Exit:
    """Check a catalogue's files; every mistake is told at once, with its place, and every example is run.

    Example: credstream rules check catalogues/ontario-pilots
    """
    draft = load(folder)
    failed = [tested for tested in run_examples(draft) if not tested.passed]
    out.print(
        f"{draft.programme} {draft.version}: "
        + ", ".join(
            f"{len(of):,} {kind}{'s' * (len(of) != 1)}"
            for kind, of in (
                ("achievement", draft.achievements),
                ("assessment", draft.assessments),
                ("provider", draft.providers),
            )
        )
        + "; no mistakes"
    )
    if failed:
        err.print(f"{len(failed)} of {len(draft.examples)} examples are decided otherwise; see credstream rules test")
    return Exit.NO if failed else Exit.DONE


def try_examples(
    folder: Folder,
    *,
    every: Annotated[bool, Parameter(name="--all", negative=(), help="Show those that agree too.")] = False,
) -> Exit:
    """Run the examples in a catalogue's files: is each decided as its author expects?

    Exit code 1 when one is not. `rules publish` runs them too, and refuses.
    """
    draft = load(folder)
    found = run_examples(draft)
    names = names_of(draft, "en")
    for tested in found:
        if every or not tested.passed:
            out.print(_tested_tree(tested, names, draft.time_zone))
    without = sorted({a.id for a in draft.achievements} - {example.achievement for example in draft.examples})
    failed = sum(not tested.passed for tested in found)
    out.print(f"{len(found) - failed} of {len(found)} examples are decided as expected")
    if without:
        out.print(f"without any example: {', '.join(without)}")
    return Exit.NO if failed else Exit.DONE


def examples_hold(draft: Draft) -> bool:
    """Run a draft's examples; show those that are decided otherwise than their authors expect."""
    failed = [tested for tested in run_examples(draft) if not tested.passed]
    for tested in failed:
        err.print(_tested_tree(tested, names_of(draft, "en"), draft.time_zone))
    if failed:
        err.print(f"not published: {len(failed)} of {len(draft.examples)} examples are decided otherwise")
    return not failed


def _tested_tree(tested: Tested, names: Mapping[str, str], zone: str) -> Tree:
    example = tested.example
    mark = "[green]✓[/]" if tested.passed else "[red]✗[/]"
    tree = Tree(f"{mark} [bold]{escape(example.achievement)}[/]: {escape(example.name)}  ({example.place})")
    got = decided_in_words(tested, zone)
    tree.add(escape(f"decided: {got}" if tested.passed else f"expected: {expected_in_words(example)}; decided: {got}"))
    for line in render(tested.explanation, names=names, zone=zone):
        tree.add(escape(line))
    return tree


def show(
    folder: MaybeFolder = None,
    achievement: Annotated[str | None, Parameter(name="--achievement", help="One achievement, in full.")] = None,
    *,
    as_json: Json = False,
    data: Data = DEFAULT_FOLDER,
) -> Exit:
    """Show a catalogue: its achievements, with each rule's digest as decisions and claims name it.

    Example: credstream rules show --achievement safe-patient-transfer
    """
    catalogue = _catalogue(folder, data)
    chosen = _chosen(catalogue, achievement)
    if as_json:
        write_json(msgspec.to_builtins(chosen))
        return Exit.DONE
    if achievement is not None:
        out.print_json(canonical(chosen[0].rule).decode())
        return Exit.DONE
    table = Table(
        "achievement", "name", "sector", "attained", "rule", title=f"{catalogue.programme} {catalogue.version}"
    )
    for one in chosen:
        digest = content_digest(canonical(one.rule))
        table.add_row(one.id, one.name, one.sector or "", one.rule.attained, digest.removeprefix("sha256-")[:12])
    out.print(table)
    return Exit.DONE


def explain(
    achievement: Annotated[str | None, Parameter(help="One achievement; by default all.")] = None,
    *,
    folder: Annotated[Path | None, Parameter(help="A catalogue's folder; by default what is published.")] = None,
    language: Annotated[Language, Parameter(help="en or fr.")] = "en",
    data: Data = DEFAULT_FOLDER,
) -> Exit:
    """Say rules in plain English or French.

    Example: credstream rules explain safe-patient-transfer --folder catalogues/ontario-pilots --language fr
    """
    catalogue = _catalogue(folder, data)
    names = names_of(catalogue, language)
    chosen = _chosen(catalogue, achievement)
    for one in chosen:
        out.print(f"[bold]{escape(names[one.id])}[/]  ({one.id})")
        for line in explained_rule(one, names, language):
            out.print("  " * (line.depth + 1) + escape(line.text), highlight=False)
    return Exit.DONE


def diff(folder: Folder, *, against: MaybeFolder = None, data: Data = DEFAULT_FOLDER) -> Exit:
    """Show in what a catalogue differs from the published one, or from another folder. Exit code 1 when it does.

    Example: credstream rules diff catalogues/ontario-pilots
    """
    draft = load(folder)
    before: Draft | Catalogue | None
    before = load(against) if against is not None else documents.catalogues(installation(data)).get(draft.programme)
    return Exit.NO if show_differences(before, draft) else Exit.DONE


def show_differences(before: Draft | Catalogue | None, after: Draft | Catalogue) -> bool:
    """Show in what a catalogue differs from the one before; say whether it does."""
    found = list(differences(before, after))
    colours = {"added": "green", "removed": "red", "changed": "yellow"}
    for change in found:
        out.print(f"[{colours[change.what]}]{change.what}[/] {change.kind} [bold]{escape(change.name)}[/]")
        for line in change.lines:
            out.print(f"  [{'green' if line.startswith('+') else 'red'}]{escape(line)}[/]", highlight=False)
    if not found:
        out.print("no difference")
    return bool(found)


def schema() -> Exit:
    """Print the JSON Schema of a catalogue's files, for editors that complete and check as you type.

    Example: credstream rules schema > catalogue.schema.json
    """
    sys.stdout.buffer.write(msgspec.json.format(msgspec.json.encode(json_schema())) + b"\n")
    return Exit.DONE


def _chosen(catalogue: Draft | Catalogue, achievement: str | None) -> Sequence[Achievement]:
    chosen = [a for a in catalogue.achievements if achievement in {None, a.id}]
    if not chosen:
        known = [a.id for a in catalogue.achievements]
        near = difflib.get_close_matches(achievement or "", known, 1)
        hint = f"did you mean {near[0]}?" if near else f"it has {', '.join(known[:_NAMES_TOLD])}"
        raise RefusedError(f"{catalogue.programme} has no achievement {achievement}; {hint}")
    return chosen


def _catalogue(folder: Path | None, data: Path) -> Draft | Catalogue:
    if folder is not None:
        return load(folder)
    published = documents.catalogues(installation(data))
    if not published:
        raise RefusedError("no catalogue is published here; name a folder, or credstream rules publish one")
    if len(published) > 1:
        raise RefusedError(f"several programmes are published here ({', '.join(sorted(published))}); name a folder")
    return next(iter(published.values()))
