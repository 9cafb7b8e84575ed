"""What `why` tells: how things stand first, then each decision with its cause, in English and French, by the programme's clocks."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from rich.console import Console
from support.competency import DAY, EPOCH_START, LEARNER, PROGRAMME, CompetencyLane, catalogue, completion

from credstream.answering import WORDS
from credstream.cli.answers import plain, trees
from credstream.learners import LaneKept
from credstream.why import Answer, Cause, Decided, answer_of
from credstream.zones import minute, zone_of
from schemas.catalogue import Catalogue
from schemas.events import (
    CompetencyDecided,
    Disposition,
    ResultKind,
    StatusAction,
    StatusReason,
    StatusRequested,
    Verdict,
)
from schemas.rules import All, Count, Distinct, Renewal, Result, Rule, Span, Validity
from services.competency.progress import AwardState

ZONE = "America/Toronto"
TRANSFER = Rule(
    requires=All(
        of=(
            Result(assessment="quiz", at_least=800_000),
            Count(
                assessments=("lab",),
                number=3,
                passed=True,
                within=Span(hours=90 * 24),
                distinct=(Distinct(of="assessor", number=2),),
                zone=ZONE,
            ),
        )
    ),
    validity=Validity(months=12, zone=ZONE),
)


class Asked:
    """A lane and the decisions about one learner with their causes, as `why` reads them from the topics."""

    def __init__(self, adopted: Catalogue) -> None:
        self.lane, self.found = CompetencyLane(), list[Decided]()
        self.lane.adopt(adopted)

    def send(self, *causes: Any) -> None:
        for cause in causes:
            self._take(cause, self.lane.send(cause))

    def revoke(self) -> None:
        credential = self.lane.claims[0].credential_id
        request = StatusRequested(
            request_id="request-1",
            programme=PROGRAMME,
            learner_ref=LEARNER,
            credential_id=credential,
            action=StatusAction.REVOKE,
            reason=StatusReason.ISSUED_IN_ERROR,
            requested_by="sam",
            requested_at=self.lane.now,
        )
        self._take(request, self.lane.ask(request))

    def _take(self, cause: Cause, decided: CompetencyDecided) -> None:
        self.found.append(Decided(decided=decided, cause=cause, outcome=None))

    def answer(self, *names: str, now: int = EPOCH_START + 40 * DAY) -> Answer:
        kept = LaneKept(lane=0, own={k: v for k, v in self.lane.state.items() if k.startswith(b"\0")})
        book = kept.rulebook(PROGRAMME)
        assert book is not None
        return answer_of(book, PROGRAMME, LEARNER, names or None, self.lane.progress(), self.found, now)


def text(answer: Answer, language: Any = "en") -> str:
    console = Console(width=160, color_system=None)
    with console.capture() as captured:
        for tree in trees(answer, language):
            console.print(tree)
    return captured.get()


def lab(number: int, **about: Any) -> Any:
    return completion(
        f"l-{number}", number * DAY, None, assessment="lab", passed=True, **{"assessor_ref": "ana", **about}
    )


def transfers() -> Asked:
    named = catalogue({"transfer": TRANSFER})
    assessments = tuple(
        msgspec.structs.replace(a, name={"lab": "Supervised transfer", "quiz": "Theory"}.get(a.id, a.name))
        for a in named.assessments
    )
    asked = Asked(msgspec.structs.replace(named, assessments=assessments))
    asked.send(completion("q-1", score=85), lab(1), lab(2))
    return asked


def test_what_is_missing_is_told_first_with_names_and_the_day_by_which_it_would_do() -> None:
    lines = text(transfers().answer("transfer")).splitlines()
    assert lines[0].startswith("transfer (transfer): not attained yet  as of 2023-12-24 17:13 EST")
    said = "✗ 2 of 3 results of Supervised transfer (passed, within 90 days, 2 different assessors), 1 more by 2024-02-13 would do"
    assert any(said in line and "1 of 2 different assessors" in line for line in lines)
    assert any("Supervised transfer: passed, assessor ana, shown 2023-11-15 (college l-1)" in line for line in lines)
    at = next(n for n, line in enumerate(lines) if "3 decisions" in line)
    assert at > next(n for n, line in enumerate(lines) if "what is asked" in line)


def test_the_situation_is_that_of_now_not_of_the_last_decision() -> None:
    later = text(transfers().answer("transfer", now=EPOCH_START + 200 * DAY))
    assert "✗ 0 of 3 results of Supervised transfer" in later


def test_what_is_held_says_since_when_until_when_and_by_what_and_who_revoked_it() -> None:
    asked = transfers()
    asked.send(lab(3, assessor_ref="ben"))
    held = asked.answer("transfer")
    [one] = held.situations
    assert (one.is_held, one.attained, len(one.evidence)) == (True, True, 4)
    assert "award 1: held, attained 2023-11-17, valid until 2024-11-17" in text(held)
    assert "its validity ended 2024-11-17" in text(asked.answer("transfer", now=EPOCH_START + 400 * DAY))
    asked.revoke()
    answer = asked.answer("transfer")
    assert not answer.situations[0].is_held
    said = text(answer)
    assert "not held: revoked by staff" in said
    assert "sam asked to revoke the credential (issued in error)" in said


def test_what_renews_it_is_told_with_its_days() -> None:
    renewal = Renewal(opens=Span(months=3), grace=Span(hours=10 * 24), requires=Result(assessment="lab", passed=True))
    asked = Asked(catalogue({"transfer": msgspec.structs.replace(TRANSFER, renewal=renewal)}))
    asked.send(completion("q-1", score=85), lab(1), lab(2), lab(3, assessor_ref="ben"))
    said = text(asked.answer("transfer"))
    assert "renewed by results shown from 2024-08-17 to 2024-11-27" in said
    assert "✗ a result of lab (passed): no result that counts yet" in said.split("renewed by")[1]
    assert "renouvelée par des résultats présentés du 2024-08-17 au 2024-11-27" in text(asked.answer("transfer"), "fr")
    assert "renewed by" not in text(asked.answer("transfer", now=EPOCH_START + 400 * DAY))
    revoked = Asked(catalogue({"transfer": msgspec.structs.replace(TRANSFER, renewal=renewal)}))
    revoked.send(completion("q-1", score=85), lab(1), lab(2), lab(3, assessor_ref="ben"))
    revoked.revoke()
    assert "renewed by" not in text(revoked.answer("transfer"))
    asked.send(lab(280))
    assert "renewed by results shown from 2025-08-17 to 2025-11-27" in text(asked.answer("transfer"))


def test_decisions_that_say_the_same_are_folded_for_people_and_all_there_for_programs() -> None:
    asked = Asked(catalogue({"badge": Result(assessment="quiz", at_least=900_000)}))
    asked.send(*(completion(f"q-{n}", n * DAY, 50) for n in range(5)))
    answer = asked.answer()
    assert "4 more decisions until" in text(answer)
    [one] = plain(answer, "en")["achievements"]
    assert [d["verdict"] for d in one["decisions"]] == [Verdict.NOT_YET] * 5


def test_a_correction_names_itself_and_a_late_result_is_told_to_await_a_review() -> None:
    asked = Asked(catalogue({"badge": Result(assessment="quiz", at_least=900_000)}))
    asked.send(completion(score=50), completion(revision=1, kind=ResultKind.CORRECTED, score=95))
    said = text(asked.answer())
    assert "granted, after a correction of quiz: 95 of 100" in said
    assert "revision 1" in said


def test_a_result_that_came_too_late_awaits_a_review_in_plain_sight() -> None:
    late = catalogue({"badge": Result(assessment="quiz", at_least=900_000)})
    assessments = tuple(msgspec.structs.replace(a, accepted_late_days=30) for a in late.assessments)
    asked = Asked(msgspec.structs.replace(late, assessments=assessments))
    asked.send(completion(score=95))
    answer = asked.answer("badge")
    assert len(answer.situations[0].late) == 1
    assert asked.found[0].decided.disposition is Disposition.AWAITING_REVIEW
    assert text(answer).count("awaits a review") == 2  # in the situation, and in the decision


def test_in_french_every_word_is_french() -> None:
    said = text(transfers().answer("transfer"), "fr")
    assert "pas encore acquise" in said
    assert "il en manque 1 d'ici le 2024-02-13" in said
    assert "évaluateur : ana" in said
    assert "decision" not in said.replace("décision", "")


def test_both_languages_have_the_same_words_and_every_state_and_verdict_has_one() -> None:
    english, french = WORDS["en"], WORDS["fr"]
    assert english.keys() == french.keys()
    assert all(english[name].count("{}") == french[name].count("{}") for name in english)
    assert {state.value for state in AwardState} <= english.keys()
    assert {v.value for v in Verdict} <= {name.removeprefix("verdict.") for name in english}
    assert {d.value for d in Disposition} <= english.keys()


@pytest.mark.parametrize(("zone", "said"), [("UTC", "2023-11-14 22:13 UTC"), (ZONE, "2023-11-14 17:13 EST")])
def test_instants_are_told_by_the_clocks_of_the_programme(zone: str, said: str) -> None:
    assert minute(EPOCH_START, zone) == said
    assert zone_of(catalogue({"badge": TRANSFER})) == ZONE
    assert zone_of(catalogue({"badge": Result(assessment="quiz")})) == "UTC"
