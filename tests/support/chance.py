"""A programme and its learners at random, decided by the real stages: everything that may happen, in any order."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from random import Random
from typing import Any

from support.audited import Maker, MemoryLog, catalogue, credential, digest_of
from support.competency import DAY, EPOCH_START

from schemas.catalogue import Transition
from schemas.events import (
    AwardRequested,
    Losses,
    RecognitionBody,
    ReevaluationRequested,
    ReissueRequested,
    ResultKind,
    ReviewAnswer,
    ReviewDecided,
    StatusAction,
    StatusReason,
    StatusRequested,
)
from schemas.rules import All, Count, Criterion, Holds, Level, Nothing, Renewal, Result, Rule, Span, Validity
from schemas.rules import Any as AnyOf

NAMES = "abcde"
LEARNERS = 4
DAYS = (1, 5, 30, 100, 200, 280, 300, 364)
TRANSITIONS: Sequence[Transition] = ("keep", "grandfather", "reevaluate")
ASSESSMENTS = ("quiz", "lab", "essay")


def criterion(chance: Random, blocks: Sequence[str], depth: int = 0) -> Criterion:
    drawn = chance.random()
    if blocks and drawn < 0.3:
        return Holds(achievement=chance.choice(blocks))
    if drawn < 0.6:
        least, take = chance.choice((300_000, 500_000, 800_000)), chance.choice(("any", "best", "latest", "first"))
        return Result(assessment=chance.choice(ASSESSMENTS), at_least=least, take=take)  # type: ignore[arg-type]
    if drawn < 0.75:
        within = chance.choice((None, Span(hours=24 * 30)))
        return Count(number=chance.choice((1, 2, 3)), assessments=("quiz", "lab"), passed=True, within=within)
    if drawn < 0.85 or depth > 1:
        return Nothing(of=(Result(assessment="essay", critical=True),))
    of = (criterion(chance, blocks, depth + 1), criterion(chance, blocks, depth + 1))
    return chance.choice((All, AnyOf))(of=of)


def rule(chance: Random, blocks: Sequence[str]) -> Rule:
    about: dict[str, Any] = {"attained": chance.choice(("first", "first", "standing"))}
    if about["attained"] == "first" and chance.random() < 0.3:
        about["repeatable"] = True
    elif chance.random() < 0.5:
        about["validity"] = Validity(months=chance.choice((1, 6, 12)))
        if about["attained"] == "first" and chance.random() < 0.6:
            requires = chance.choice((None, criterion(chance, blocks)))
            opens, grace = chance.choice((None, Span(months=2))), chance.choice((None, Span(months=1)))
            about["renewal"] = Renewal(opens=opens, grace=grace, requires=requires)
    if chance.random() < 0.3:
        about["levels"] = tuple(Level(name=name, requires=criterion(chance, blocks)) for name in ("low", "high"))
    about["on_loss"] = chance.choice(("revoke", "suspend", "keep", "ask"))
    return Rule(requires=criterion(chance, blocks), **about)


class World:
    """What happens, drawn by chance."""

    def __init__(self, chance: Random) -> None:
        self.chance, self.made = chance, Maker()
        self.rules: dict[str, Rule] = {}
        for name in NAMES:
            self.rules[name] = rule(chance, list(self.rules))
        self.versions = [self.rules]
        self.made.adopt(catalogue("1", self.rules))
        self.number = 0

    def happen(self) -> None:
        """One thing more."""
        happenings: Sequence[tuple[Callable[[], None], int]] = (
            (self.result, 62),
            (self.status, 12),
            (self.review, 6),
            (self.award, 4),
            (self.reissue, 4),
            (self.judge_anew, 5),
            (self.new_rules, 3),
            (self.made.publish_lists, 4),
        )
        self.number += 1
        [happening] = self.chance.choices([one for one, _ in happenings], [weight for _, weight in happenings])
        happening()

    def somebody(self) -> int:
        return self.chance.randrange(LEARNERS)

    def some_credential(self, who: int) -> str:
        award, edition = self.chance.choice((1, 1, 1, 2, 3)), self.chance.choice((1, 1, 1, 2))
        return credential(who, self.chance.choice(NAMES), award, edition)

    def result(self) -> None:
        chance, revision = self.chance, self.chance.choice((0, 0, 0, 1, 2))
        kinds = (ResultKind.CORRECTED, ResultKind.RETRACTED) if revision else (ResultKind.COMPLETED,)
        event = self.number if chance.random() < 0.95 else self.number - 1
        self.made.send(
            self.somebody(),
            f"r{chance.randrange(6)}",
            event_id=f"e{event}",
            revision=revision,
            kind=chance.choice(kinds),
            assessment=chance.choice(ASSESSMENTS),
            at=chance.choice(DAYS) * DAY + chance.choice((0, 1)),
            passed=chance.choice((True, False, None)),
            score=chance.choice((None, 20, 50, 85, 99)),
            critical=chance.choice((None, True)),
        )

    def status(self) -> None:
        who, action = self.somebody(), self.chance.choice(list(StatusAction))
        about: dict[str, Any] = {"reason": StatusReason.MISCONDUCT, "urgent": self.chance.random() < 0.3}
        self.made.ask(who, StatusRequested, credential_id=self.some_credential(who), action=action, **about)

    def review(self) -> None:
        who, answer = self.somebody(), self.chance.choice(list(ReviewAnswer))
        about: dict[str, Any] = {"provider": "college", "result_id": f"r{self.chance.randrange(6)}"}
        self.made.ask(who, ReviewDecided, answer=answer, credential_id=self.some_credential(who), **about)

    def award(self) -> None:
        level, day = self.chance.choice((None, "low", "high")), self.chance.choice((0, 50, 200))
        about: dict[str, Any] = {
            "attained_at": EPOCH_START + day * DAY,
            "body": RecognitionBody(narrative="Years at work"),
        }
        self.made.ask(self.somebody(), AwardRequested, achievement=self.chance.choice(NAMES), level=level, **about)

    def reissue(self) -> None:
        who = self.somebody()
        self.made.ask(who, ReissueRequested, credential_id=self.some_credential(who), reason=StatusReason.SUPERSEDED)

    def judge_anew(self) -> None:
        name, rules = self.chance.choice(NAMES), self.chance.choice(self.versions)
        since, losses = self.chance.choice((0, EPOCH_START + 100 * DAY)), self.chance.choice(list(Losses))
        about: dict[str, Any] = {
            "rule_digest": digest_of(rules.get(name, self.rules[name])),
            "since": since,
            "losses": losses,
        }
        self.made.ask(self.somebody(), ReevaluationRequested, achievement=name, **about)

    def new_rules(self) -> None:
        changed = {name: rule(self.chance, NAMES[: NAMES.index(name)]) for name in self.chance.sample(NAMES, 2)}
        rules = self.rules | changed
        if self.chance.random() < 0.3:
            del rules[self.chance.choice(NAMES)]
        self.made.adopt(catalogue(str(self.number), rules, self.chance.choice(TRANSITIONS)))
        self.versions.append(rules)


def world(seed: int) -> MemoryLog:
    """The log of one world."""
    made = World(Random(seed))
    for _ in range(made.chance.choice((20, 40, 60))):
        made.happen()
    return made.made.done()
