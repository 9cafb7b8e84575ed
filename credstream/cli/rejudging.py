"""`credstream rules backfill` and `recall`: a version of a rule, and what was decided before it or under it."""

from __future__ import annotations

import time
from collections import Counter
from typing import Annotated

from cyclopts import Parameter
from rich.markup import escape
from rich.table import Table

from credstream.cli.console import (
    DEFAULT_FOLDER,
    Data,
    Exit,
    Json,
    Member,
    Programme,
    Yes,
    chosen_programme,
    confirmed,
    err,
    installation,
    instant_of,
    out,
    write_json,
)
from credstream.cli.watching import counted, progress_bar
from credstream.people import member_of
from credstream.rules.adopted import history, lanes_kept
from credstream.staff import jobs, rejudging
from credstream.staff.desk import Desk
from credstream.staff.foreseeing import Effect
from credstream.staff.jobs import Job
from credstream.staff.rejudging import Asking, Plan
from credstream.zones import zone_of
from schemas.errors import RefusedError
from schemas.events import Losses
from streams.settings import Installation

Rate = Annotated[float, Parameter(help="At most so many requests a second.")]
DryRun = Annotated[bool, Parameter(name="--dry-run", negative=(), help="Show what it would do, and stop.")]
_REFUSALS_SHOWN = 10


def backfill(
    achievement: Annotated[str, Parameter(help="The achievement whose rule judges what was shown before it.")],
    *,
    since: Annotated[str | None, Parameter(help="Evidence from this day on; by default all.")] = None,
    losses: Annotated[
        Losses, Parameter(help="What becomes of awards that it does not confirm: keep them, or policy (`on_loss`).")
    ] = Losses.KEEP,
    rate: Rate = 200.0,
    dry_run: DryRun = False,
    programme: Programme = None,
    member: Member = None,
    as_json: Json = False,
    yes: Yes = False,
    data: Data = DEFAULT_FOLDER,
) -> Exit:
    """Have a rule, as it is in force now, judge what was shown before it: of every learner whose awards that changes.

    What it would do is shown first. Interrupted, it goes on where it was when it is asked for again.

    Example: credstream rules backfill safe-patient-transfer --since 2026-01-01 --dry-run
    """
    place = installation(data)
    chosen = chosen_programme(place, programme)
    versions = history(lanes_kept(place), chosen)
    if not versions:
        raise RefusedError("no catalogue was adopted yet; credstream rules publish one")
    newest = versions[-1].catalogue
    start = 0 if since is None else instant_of(since, zone_of(newest))
    digests = [rejudging.digest_of(one) for one in newest.achievements if one.id == achievement]
    name = jobs.name_of("backfill", chosen, achievement, *digests, start, losses)
    asking = _asking(place, chosen, name, member)
    with counted("reading what competency keeps") as say:
        job = None if dry_run else jobs.unfinished(place, name)
        plan = Plan() if job else rejudging.backfill(asking, achievement, start, losses, say)
    if as_json and job is None:
        write_json(_plain(plan))
    return _carry_out(asking, plan, job, rate=rate, dry_run=dry_run, yes=yes, shown=as_json)


def recall(
    version: Annotated[str, Parameter(help="A wrong catalogue version (number or digest), or a rule's digest.")],
    *,
    redecide: Annotated[
        bool, Parameter(name="--redecide", negative=(), help="Decide again, by the version in force now.")
    ] = False,
    revoke: Annotated[
        bool, Parameter(name="--revoke", negative=(), help="Revoke all of it: issued in error, for good.")
    ] = False,
    achievement: Annotated[str | None, Parameter(help="Only this achievement.")] = None,
    everything: Annotated[
        bool,
        Parameter(name="--everything", negative=(), help="Also what unchanged rules granted under this catalogue."),
    ] = False,
    rate: Rate = 200.0,
    dry_run: DryRun = False,
    programme: Programme = None,
    member: Member = None,
    as_json: Json = False,
    yes: Yes = False,
    data: Data = DEFAULT_FOLDER,
) -> Exit:
    """List what was granted under a wrong version: by the rules that it brought. Then revoke it, or decide it again.

    Who did not get what the right version would have granted is for `credstream rules backfill`.

    Example: credstream rules recall 4

    Example: credstream rules recall 4 --redecide --dry-run
    """
    if redecide and revoke:
        raise RefusedError("say --redecide or --revoke, not both")
    place = installation(data)
    chosen = chosen_programme(place, programme)
    wrong = rejudging.wrong_version(history(lanes_kept(place), chosen), version, everything=everything)
    with counted("reading claims"):
        claims = [
            claim for claim in rejudging.granted_under(place, chosen, wrong) if achievement in {None, claim.achievement}
        ]
    if not as_json:
        out.print(_granted(Counter(claim.achievement for claim in claims)))
    if not (redecide or revoke):
        if as_json:
            write_json(
                [
                    {
                        "learner_ref": c.learner_ref,
                        "achievement": c.achievement,
                        "award": c.award,
                        "level": c.level,
                        "credential_id": c.credential_id,
                        "claimed_at": c.claimed_at,
                    }
                    for c in claims
                ]
            )
        elif claims:
            out.print("next: --redecide or --revoke, with --dry-run to see what that would do")
        return Exit.DONE
    mode = "redecide" if redecide else "revoke"
    digests = sorted({*wrong.rules, wrong.catalogue or ""})
    asking = _asking(place, chosen, jobs.name_of("recall", chosen, mode, achievement, *digests), member)
    with counted("reading what competency keeps") as say:
        job = None if dry_run else jobs.unfinished(place, asking.job)
        plan = Plan() if job else rejudging.recall(asking, claims, redecide=redecide, say=say)
    if as_json and job is None:
        write_json(_plain(plan))
    return _carry_out(asking, plan, job, rate=rate, dry_run=dry_run, yes=yes, shown=as_json)


def _asking(place: Installation, programme: str, job: str, member: str | None) -> Asking:
    who = member_of(place, programme, member)
    return Asking(installation=place, programme=programme, job=job, member=who, now=time.time_ns() // 1000)


def _carry_out(
    asking: Asking, plan: Plan, job: Job | None, *, rate: float, dry_run: bool, yes: bool, shown: bool
) -> Exit:
    """Ask for what was planned, or go on with what was begun."""
    if rate < 1:
        raise RefusedError(f"--rate {rate:g}: at least 1 a second")
    if job is not None:
        err.print(f"going on with {asking.job}: {job.done:,} of {len(job.requests):,} are done")
    elif not shown and plan.learners:
        out.print(_summary(plan))
    if job is None and (dry_run or not plan.requests):
        if not plan.requests and not shown:
            out.print("nothing to do")
        return Exit.DONE
    requests = plan.requests if job is None else job.requests
    if job is None and not confirmed(f"Ask for {len(requests):,} decisions as {asking.member}?", yes=yes):
        return Exit.NO
    with Desk(asking.installation, asking.programme, asking.member) as desk:
        job = job or jobs.begin(asking.installation, asking.job, requests)
        with progress_bar("deciding", len(requests), job.done) as advance:
            tally = jobs.run(job, desk, rate=rate, advance=advance)
    for answer in tally.refused[:_REFUSALS_SHOWN]:
        err.print(f"not decided: {answer.request.learner_ref}: {answer.detail}", markup=False)
    err.print(f"decided {tally.applied:,}, known already {tally.known:,}, refused {len(tally.refused):,}")
    return Exit.NO if tally.refused else Exit.DONE


def _granted(counts: Counter[str]) -> Table | str:
    if not counts:
        return "nothing was granted under it"
    table = Table("achievement", "granted under it")
    for name, count in sorted(counts.items()):
        table.add_row(escape(name), f"{count:,}")
    return table


def _summary(plan: Plan) -> Table:
    table = Table(
        "achievement", "effect", "awards", "such as", title=f"{plan.learners:,} learner{'s' * (plan.learners != 1)}"
    )
    for (name, effect), count in sorted(plan.effects.items()):
        colour = {Effect.GRANTED: "green", Effect.REINSTATED: "green", Effect.REVOKED: "red"}.get(effect, "yellow")
        few = ", ".join(learner[:8] for learner in plan.examples[name, effect])
        table.add_row(escape(name), f"[{colour}]{effect}[/]", f"{count:,}", few)
    if plan.unchanged:
        table.add_row("", "decided again, and stays as it is", f"{plan.unchanged:,}", "")
    return table


def _plain(plan: Plan) -> dict[str, object]:
    return {
        "learners": plan.learners,
        "unchanged": plan.unchanged,
        "requests": len(plan.requests),
        "effects": [
            {"achievement": name, "effect": effect, "awards": count, "such_as": plan.examples[name, effect]}
            for (name, effect), count in sorted(plan.effects.items())
        ],
    }
