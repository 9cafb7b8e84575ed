"""A job goes on where it was; what it sends twice has the same name, so that competency knows it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, cast

import pytest

from credstream import installation as installations
from credstream.staff import jobs
from credstream.staff.desk import Answer, Desk
from credstream.staff.jobs import Job, JobRequest
from schemas.errors import RefusedError, UnavailableError
from schemas.events import Disposition, Losses, ReevaluationRequested, StatusAction, StatusReason, StatusRequested
from streams.settings import Installation


class FakeDesk:
    """Answers, until Kafka goes away."""

    member = "mo"

    def __init__(self, answers: int = 1_000) -> None:
        self.left, self.asked = answers, list[JobRequest]()

    def ask_all(self, requests: Sequence[JobRequest]) -> Iterator[Answer]:
        for request in requests:
            if not self.left:
                raise UnavailableError("away")
            self.left -= 1
            known = request.request_id in {one.request_id for one in self.asked}
            self.asked.append(request)
            yield Answer(request, Disposition.KNOWN if known else Disposition.APPLIED, "")


@pytest.fixture
def place(tmp_path: Path) -> Installation:
    return installations.create(tmp_path / "data", base_url="https://badges.example", programmes=["demo"])


def requests(number: int) -> list[JobRequest]:
    return [
        ReevaluationRequested(
            request_id=jobs.request_id("backfill-x", f"{n:032x}", "block"),
            programme="demo",
            learner_ref=f"{n:032x}",
            achievement="block",
            rule_digest="sha256-1",
            since=0,
            losses=Losses.KEEP,
            requested_by="sam",
            requested_at=1,
        )
        for n in range(number)
    ]


def run(job: Job, desk: FakeDesk, rate: float = 10_000) -> Any:
    return jobs.run(job, cast("Desk", desk), rate=rate)


def test_an_interrupted_job_goes_on_where_it_was(place: Installation) -> None:
    job = jobs.begin(place, "backfill-x", requests(1_200))
    desk = FakeDesk(answers=700)
    with pytest.raises(UnavailableError):
        run(job, desk)
    found = jobs.unfinished(place, "backfill-x")
    assert found is not None
    assert (found.done, len(found.requests)) == (500, 1_200)
    desk.left = 10_000
    tally = run(found, desk)
    assert (tally.applied, tally.known) == (500, 200)  # of the batch that was cut short, what was sent before is known
    assert {one.learner_ref for one in desk.asked} == {f"{n:032x}" for n in range(1_200)}
    assert jobs.unfinished(place, "backfill-x") is None


def test_who_goes_on_with_it_signs_for_themself(place: Installation) -> None:
    desk = FakeDesk()
    run(jobs.begin(place, "backfill-x", requests(1)), desk)
    assert desk.asked[0].requested_by == "mo"


def test_revocations_and_reevaluations_are_kept_as_they_were(place: Installation) -> None:
    revocation = StatusRequested(
        request_id="r",
        programme="demo",
        learner_ref="0" * 32,
        credential_id="c",
        action=StatusAction.REVOKE,
        reason=StatusReason.ISSUED_IN_ERROR,
        requested_by="sam",
        requested_at=1,
    )
    both = [*requests(1), revocation]
    jobs.begin(place, "recall-x", both)
    found = jobs.unfinished(place, "recall-x")
    assert found is not None
    assert list(found.requests) == both


def test_the_rate_is_kept(place: Installation) -> None:
    import time

    began = time.monotonic()
    run(jobs.begin(place, "backfill-x", requests(30)), FakeDesk(), rate=100)
    run(jobs.begin(place, "backfill-x", requests(30)), FakeDesk(), rate=10)
    assert time.monotonic() - began >= 2.0


def test_the_same_job_has_the_same_name_and_another_one_another() -> None:
    assert jobs.name_of("backfill", "demo", "block", 0) == jobs.name_of("backfill", "demo", "block", 0)
    assert jobs.name_of("backfill", "demo", "block", 0) != jobs.name_of("backfill", "demo", "block", 1)


def test_a_file_that_was_damaged_is_not_gone_on_with(place: Installation) -> None:
    job = jobs.begin(place, "backfill-x", requests(2))
    job.path.write_bytes(job.path.read_bytes()[:-20])
    with pytest.raises(RefusedError, match="delete it"):
        jobs.unfinished(place, "backfill-x")
