"""`credstream keys compromised`: a key is in other hands. Everything that it ever signed is issued anew, and it goes last."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Final

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
from credstream.cli.key_schedule import KeyId, Output
from credstream.cli.rejudging import DryRun, Rate
from credstream.cli.watching import counted, progress_bar
from credstream.keys import drill, rotation
from credstream.keys.drill import Rest, Signed
from credstream.keys.lanes import issuing_lanes, lists_by_key
from credstream.keys.publishing import Schedule, Signing, current, publish
from credstream.people import member_of
from credstream.staff import jobs
from credstream.staff.desk import Answer, Desk
from credstream.staff.rejudging import Asking
from credstream.zones import minute
from schemas.catalogue import Catalogue
from schemas.errors import RefusedError, UnavailableError
from schemas.events import Micros
from services.signing.schedule import AnyKey, find, marked, purpose_of, removed
from streams.settings import Installation

_STEP_S: Final = 120.0
_AGAIN_S: Final = 1.0
_SHOWN: Final = 10


def compromised(
    *,
    key: KeyId,
    since: Annotated[
        str | None,
        Parameter(
            help="From when it may have been in other hands: orders the work. All that it signed is issued anew."
        ),
    ] = None,
    rate: Rate = 200.0,
    dry_run: DryRun = False,
    programme: Programme = None,
    member: Member = None,
    catalogue_key: Annotated[
        Path | None, Parameter(help="The file of your catalogue key; by default that of this installation.")
    ] = None,
    output: Output = None,
    as_json: Json = False,
    yes: Yes = False,
    data: Data = DEFAULT_FOLDER,
) -> Exit:
    """A key came into other hands: mark it, issue anew all that it ever signed, revoke the old, and remove the key last.

    Whoever has the key can date what they sign back, so nothing that it signed is trusted, of any date. From the mark on verifiers
    refuse all of it; the new credentials follow at --rate. Interrupted, ask again: it goes on where it was.

    Example: credstream keys compromised --key credentials-1 --since 2027-03-01 --dry-run
    """
    if rate < 1:
        raise RefusedError(f"--rate {rate:g}: at least 1 a second")
    place = installation(data)
    chosen = chosen_programme(place, programme)
    start = 0 if since is None else instant_of(since)
    schedule = current(place, chosen)
    lost = find(schedule.published, key)
    if lost.removed_at is not None:
        out.print(f"{key} was removed on {minute(lost.removed_at, 'UTC')}; nothing is left to do")
        return Exit.DONE
    asking = Asking(
        installation=place,
        programme=chosen,
        job=jobs.name_of("compromised", chosen, key),
        member=member_of(place, chosen, member),
        now=_now(),
    )
    run = _Drill(place, asking, key, start, rate, Signing(key=catalogue_key, output=output))
    if lost.compromised_at is None:
        preview = run.preview(schedule, lost, as_json=as_json)
        if dry_run or preview is False:
            return Exit.DONE
        if not confirmed(f"Mark {key} as compromised, for good, and issue all of it anew as {asking.member}?", yes=yes):
            return Exit.NO
    elif dry_run:
        run.preview(schedule, lost, as_json=as_json)
        return Exit.DONE
    else:
        err.print(f"{key} was marked as compromised on {minute(lost.compromised_at, 'UTC')}; going on from there")
    return run.carry_out(schedule)


@dataclass(frozen=True, slots=True)
class _Drill:
    """One run of the drill. Each step does nothing where it was done before."""

    place: Installation
    asking: Asking
    key: str
    since: Micros
    rate: float
    signing: Signing

    def preview(self, schedule: Schedule, lost: AnyKey, *, as_json: bool) -> bool:
        """Show all that the key signed and what would be done; say whether there is anything to do."""
        if purpose_of(lost) != "credentials":
            lists = len(lists_by_key(self.place, schedule.programme).get(self.key, ()))
            what = (
                f"{lists} status lists, signed anew at once"
                if purpose_of(lost) == "status"
                else "JWTs, made anew when asked for"
            )
            out.print(f"{self.key} signs {what}; no credential names it, so none is issued anew")
            return True
        with counted("reading what it signed"):
            signed = drill.signed_by(self.place, schedule.programme, self.key)
            left = drill.rest(self.asking, signed, self.since)
        if as_json:
            write_json(_plain(signed, left))
        else:
            out.print(_table(self.key, signed, left, self.since))
        return True

    def carry_out(self, schedule: Schedule) -> Exit:
        """Mark, wait until the key signs nothing more, issue anew, wait until that is in effect, remove."""
        _say(1, "mark the key, and have another one sign from now on")
        if not self._publish(schedule, self._marked(schedule)):
            return Exit.NO
        schedule = current(self.place, schedule.programme)
        purpose = purpose_of(find(schedule.published, self.key))
        if purpose == "status":
            _say(2, "wait until every status list is signed with another key")
            self._wait(self._signed_lists, "status lists are signed with it still; is status running?")
        if purpose == "credentials":
            _say(2, "wait until no lane signs with it: claims that name it and wait are voided")
            self._wait(self._lanes_behind, "lanes have not come to the mark; is issuing running?")
            _say(3, "issue anew, and revoke the old")
            if not self._reissued():
                return Exit.NO
            _say(4, "wait until lists show every revocation and every new credential is signed")
            signed = drill.signed_by(self.place, schedule.programme, self.key)
            self._wait(lambda: _not_in_effect(self.place, signed), "are not in effect; are issuing and status running?")
        _say(5, "remove the key from the issuer's documents")
        schedule = current(self.place, schedule.programme)
        after = removed(schedule.catalogue, find(schedule.catalogue, self.key), _now())
        if not self._publish(schedule, after):
            return Exit.NO
        out.print(f"done: {self.key} is gone; the key history and verdicts go on saying that it was compromised")
        out.print("next: destroy its private half, here and in backups; find out how it got out; credstream audit")
        return Exit.DONE

    def _marked(self, schedule: Schedule) -> Catalogue:
        key = find(schedule.catalogue, self.key)
        if key.compromised_at is not None and find(schedule.published, self.key).compromised_at is not None:
            return schedule.catalogue
        try:
            return marked(schedule.catalogue, key, _now())
        except RefusedError:
            made = rotation.makes(self.place, schedule.programme, purpose_of(key), _now())
            out.print(f"made {made}; verifiers that hold an older document learn of it within an hour")
            schedule = current(self.place, schedule.programme)
            return marked(schedule.catalogue, find(schedule.catalogue, self.key), _now())

    def _publish(self, schedule: Schedule, catalogue: Catalogue) -> bool:
        path = publish(schedule, catalogue, self.signing, out.print, lead=0)
        if path is not None:
            out.print(
                f"{path}: another person must sign it: credstream rules approve {path} --key FILE; then ask for this again"
            )
        return path is None

    def _reissued(self) -> bool:
        """Issue anew until nothing of the key stands; say whether that was reached."""
        job = jobs.unfinished(self.place, self.asking.job)
        if job is not None:
            err.print(f"going on with {self.asking.job}: {job.done:,} of {len(job.requests):,} are done")
            self._ask(job)
        while True:
            with counted("reading what still stands"):
                signed = drill.signed_by(self.place, self.asking.programme, self.key)
                left = drill.rest(self.asking, signed, self.since)
            if not left.requests:
                break
            refused = self._ask(jobs.begin(self.place, self.asking.job, left.requests))
            if len(refused) == len(left.requests):
                _tell({answer.request.learner_ref: answer.detail for answer in refused})
                return False
        if left.stuck:
            _tell(left.stuck)
            out.print(
                f"{len(left.stuck):,} cannot be issued anew, so {self.key} stays. Offer what they show again (credstream rules "
                "publish), or revoke them (credstream status revoke --reason key_compromised); then ask for this again"
            )
        return not left.stuck

    def _ask(self, job: jobs.Job) -> list[Answer]:
        with (
            Desk(self.place, self.asking.programme, self.asking.member) as desk,
            progress_bar("issuing anew", len(job.requests), job.done) as advance,
        ):
            tally = jobs.run(job, desk, rate=self.rate, advance=advance)
        out.print(f"issued anew {tally.applied:,}, known already {tally.known:,}, refused {len(tally.refused):,}")
        return tally.refused

    def _lanes_behind(self) -> int:
        found = issuing_lanes(self.place, self.asking.programme)
        told = [
            lane
            for lane, one in found.items()
            if not one.waiting.get(self.key, 0)
            if any(key.id == self.key and key.compromised_at is not None for key in one.keys)
        ]
        return self.place.kafka.lanes - len(told)

    def _signed_lists(self) -> int:
        return len(lists_by_key(self.place, self.asking.programme).get(self.key, ()))

    def _wait(self, left: Callable[[], int], what: str) -> None:
        """Wait until nothing is left.

        Raises:
            UnavailableError: Something is, and for two minutes it became no less.
        """
        fewest, deadline = left(), time.monotonic() + _STEP_S
        while fewest:
            time.sleep(_AGAIN_S)
            now = left()
            if now < fewest:
                fewest, deadline = now, time.monotonic() + _STEP_S
            if now and time.monotonic() > deadline:
                raise UnavailableError(f"{now:,} {what} Ask for the same again, and it goes on")
            fewest = min(fewest, now)


def _not_in_effect(place: Installation, signed: Signed) -> int:
    found = drill.effect(place, signed)
    return found.unrevoked + found.unsigned


def _table(key: str, signed: Signed, left: Rest, since: Micros) -> Table:
    split = since > 0
    table = Table(
        title=f"{len(signed.claims):,} claims name {key}, which signed {len(signed.issued):,} of them",
        title_justify="left",
    )
    table.add_column("achievement")
    if split:
        table.add_column(f"before {minute(since, 'UTC')}", justify="right")
        table.add_column("since then, first", justify="right")
    else:
        table.add_column("signed", justify="right")
    for name, (before, after) in signed.counts(since).items():
        counts = (f"{before:,}", f"{after:,}") if split else (f"{before + after:,}",)
        table.add_row(escape(name), *counts)
    unsigned = len(signed.claims) - len(signed.issued) - len(signed.voided)
    table.caption = (
        f"{len(left.requests):,} stand and are issued anew; {left.gone:,} are revoked already; {len(left.stuck):,} cannot be issued"
        f" anew; {unsigned:,} claims wait unsigned: they are voided and claimed anew"
    )
    table.caption_justify = "left"
    return table


def _plain(signed: Signed, left: Rest) -> dict[str, object]:
    return {
        "signed": len(signed.issued),
        "voided": len(signed.voided),
        "unsigned": len(signed.claims) - len(signed.issued) - len(signed.voided),
        "to_issue_anew": len(left.requests),
        "revoked_already": left.gone,
        "cannot_be_issued_anew": dict(left.stuck),
        "credentials": [
            {"credential_id": c.credential_id, "achievement": c.achievement, "claimed_at": c.claimed_at}
            for c in sorted(signed.claims.values(), key=lambda c: c.claimed_at)
        ],
    }


def _tell(faults: Mapping[str, str]) -> None:
    for name, why in list(faults.items())[:_SHOWN]:
        err.print(f"not issued anew: {name}: {why}", markup=False, highlight=False)


def _say(number: int, what: str) -> None:
    out.print(f"[bold]{number} of 5[/]  {what}")


def _now() -> Micros:
    return time.time_ns() // 1000
