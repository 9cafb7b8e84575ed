"""What becomes of a learner's awards when evidence changed. Written from `docs/rules.md`, "When it is attained", and its own code.

Awards are kept for ever here, with what became of each.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from credstream.audit.books import Book, Version, for_learner
from credstream.audit.earning import Earned, Recognised, Time, earned
from credstream.audit.evaluator import Held, Shown

State = Literal["held", "suspended", "kept", "review", "gone", "taken"]
"""`gone`: revoked by its rule, which may grant it again. `taken`: revoked by staff, for good."""
_WHEN_LOST: Final[Mapping[str, State]] = {"revoke": "gone", "suspend": "suspended", "keep": "kept", "ask": "review"}
_SAID: Final[Mapping[State, str]] = {
    "held": "already_held",
    "suspended": "suspended",
    "kept": "kept",
    "review": "review",
    "gone": "regressed",
    "taken": "withheld",
}


CredentialOf = Callable[[str, int, int], str | None]
"""The credential of an achievement's award, by its number and edition."""


@dataclass(slots=True)
class Award:
    """One award: by what is known now since when, at which level, until when, and what became of it."""

    number: int
    credential: str | None
    since: int
    level: str | None
    until: int | None
    state: State = "held"
    paused: bool = False  # suspended by staff, whatever the evidence says
    edition: int = 1
    superseded: list[str | None] = field(default_factory=list)  # the credentials of editions before

    @property
    def stands(self) -> bool:
        """Say whether it is not revoked."""
        return self.state not in {"gone", "taken"}

    @property
    def is_suspended(self) -> bool:
        """Say whether it is suspended, by whomever."""
        return self.stands and (self.paused or self.state == "suspended")


@dataclass(slots=True)
class Said:
    """What must follow from one record: what becomes of it, what each rule says, which statuses change."""

    disposition: str
    outcomes: list[dict[str, Any]] = field(default_factory=list)
    changes: list[tuple[str | None, str, str]] = field(default_factory=list)  # credential, status, reason


@dataclass(slots=True)
class Awards:
    """The awards of one learner, by achievement, oldest first."""

    credential_of: CredentialOf
    of: dict[str, list[Award]] = field(default_factory=dict)
    recognised: dict[str, Recognised] = field(default_factory=dict)
    rejudged: dict[str, tuple[str, int]] = field(default_factory=dict)

    def find(self, credential: str) -> tuple[str, Award] | None:
        """Return an award and what it is of, by a credential of any of its editions."""
        every = ((name, one) for name, several in self.of.items() for one in several)
        return next((found for found in every if credential in {found[1].credential, *found[1].superseded}), None)

    def reissue(self, said: Said, book: Book, shown: Sequence[Shown], name: str, award: Award, reason: str) -> None:
        """Give an award a credential of its next edition, with what counts for it now; the one before is revoked."""
        standing = self._held(counting=False)
        found, _ = self._earned(name, book.versions[name], shown, standing, standing)
        place = _places([one for one in self.of[name] if one.state != "gone"], found.times)
        versions = for_learner(book.versions[name], _instants(shown, standing), self.rejudged.get(name))
        time = Time(award.since, award.level, award.until, versions[-1])
        if award.number in place:
            time = found.times[place[award.number]]
        said.changes.append((award.credential, "revoked", reason))
        award.superseded.append(award.credential)
        award.edition += 1
        award.credential = self.credential_of(name, award.number, award.edition)
        award.since, award.level, award.until = time.since, time.level, time.until
        if award.is_suspended:
            said.changes.append((award.credential, "suspended", reason))
        said.outcomes.append(_outcome(name, "reissued", time, award))

    def settle(
        self,
        said: Said,
        book: Book,
        now: int,
        shown: Sequence[Shown],
        names: Sequence[str],
        lost: Iterable[str] = (),
        *,
        keep_all: bool = False,
    ) -> None:
        """Judge these achievements, blocks first, and add to ``said`` what follows."""
        offer, gone = book.in_force(now).offered, set(lost)
        standing, counting = self._held(counting=False), self._held(counting=True)
        for name in names:
            awards = self.of.get(name, [])
            if name not in offer and all(one.state == "gone" for one in awards):
                continue
            before = counting.get(name)
            found, in_force = self._earned(name, book.versions[name], shown, standing, counting)
            step = _Step(said, name, gone, self.credential_of, keep_all=keep_all)
            self.of[name] = step.settle(awards, found, in_force, is_offered=name in offer)
            _note(standing, name, [one for one in self.of[name] if one.stands])
            _note(counting, name, [one for one in self.of[name] if one.stands and not one.is_suspended])
            after = counting.get(name)
            if before is not None and (after is None or len(after.again) < len(before.again)):
                gone.add(name)

    def _earned(
        self,
        name: str,
        versions: Sequence[Version],
        shown: Sequence[Shown],
        standing: Mapping[str, Held],
        counting: Mapping[str, Held],
    ) -> tuple[Earned, Earned]:
        """Return what is earned with all that stands, and what is earned without what is suspended."""
        recognised, rejudged = self.recognised.get(name), self.rejudged.get(name)
        own = for_learner(versions, _instants(shown, standing), rejudged)
        found = earned(own, shown, standing, recognised)
        if all(standing.get(block) == counting.get(block) for version in own for block in version.blocks):
            return found, found
        own = for_learner(versions, _instants(shown, counting), rejudged)
        return found, earned(own, shown, counting, recognised)

    def _held(self, *, counting: bool) -> dict[str, Held]:
        found: dict[str, Held] = {}
        for name, awards in self.of.items():
            _note(found, name, [one for one in awards if one.stands and not (counting and one.is_suspended)])
        return found


def _note(held: dict[str, Held], name: str, awards: Sequence[Award]) -> None:
    """Note what is held by these awards of an achievement."""
    times = sorted(((one.since, one.level) for one in awards), key=lambda time: time[0])
    held.pop(name, None)
    if times:
        held[name] = Held(*times[0], tuple(times[1:]))


def _instants(shown: Sequence[Shown], others: Mapping[str, Held]) -> dict[str, list[int]]:
    found: dict[str, list[int]] = {}
    for one in shown:
        found.setdefault(one.assessment, []).append(one.at)
    return found | {f"held {name}": [at for at, _ in one.times] for name, one in others.items()}


class _Step:
    """One achievement, judged anew."""

    def __init__(self, said: Said, name: str, gone: set[str], credential_of: CredentialOf, *, keep_all: bool) -> None:
        self._said, self._name, self._gone, self._keep_all = said, name, gone, keep_all
        self._credential_of = credential_of
        self._spoke = False

    def settle(self, awards: list[Award], found: Earned, in_force: Earned, *, is_offered: bool) -> list[Award]:
        """Return the awards as they are now.

        Each stands for a time that counts, without any suspended block; those left over for what only such a block gives, and are
        suspended; what is left after that is lost.
        """
        latest = awards[-1] if awards else None
        unchanged = _unchanged(latest, found, in_force)
        slots = [award for award in awards if award.state != "gone"]
        closed = bool(slots) and slots[-1].state == "taken"
        place = _places(slots, in_force.times)
        left_over = iter(found.times[len(in_force.times) :])
        for award in slots:
            at = place.get(award.number)
            time = next(left_over, None) if at is None else in_force.times[at]
            if time is None:
                self._lose(award, found)
            else:
                self._hold(award, time, counts=at is not None)
        fresh = [time for at, time in enumerate(in_force.times) if at not in set(place.values())]
        # what staff took is not renewed; what may be repeated is
        if is_offered and not (closed and fresh and fresh[0].version.rule.renewal is not None):
            for time in fresh:
                number = awards[-1].number + 1 if awards else 1
                credential = self._credential_of(self._name, number, 1)
                awards = [*awards, Award(number, credential, time.since, time.level, time.until)]
                self._say("granted", time, awards[-1])
        if not self._spoke:
            self._say(unchanged, found.times[-1] if found.times else found.asked, latest)
        return awards

    def _hold(self, award: Award, time: Time, *, counts: bool) -> None:
        if award.state == "taken":
            return
        was, was_suspended = award.state, award.is_suspended
        award.since, award.level, award.until = time.since, time.level, time.until
        award.state = "held" if counts else "suspended"
        if award.state != was:
            self._tell(award, time.version, was_suspended=was_suspended)
            back = was == "suspended" and award.state == "held"
            self._say("reinstated" if back else _SAID[award.state], time, award)

    def _lose(self, award: Award, found: Earned) -> None:
        about = found.asked or (found.times[-1] if found.times else None)
        if award.state not in {"held", "suspended"} or about is None:
            return
        was, was_suspended = award.state, award.is_suspended
        version = about if isinstance(about, Version) else about.version
        award.state = _WHEN_LOST["keep" if self._keep_all else version.rule.on_loss]
        if award.state != was:
            self._tell(award, version, was_suspended=was_suspended)
            self._say(_SAID[award.state], about, award)

    def _tell(self, award: Award, version: Version, *, was_suspended: bool) -> None:
        """Note which change of status follows; a building block that fell away is another reason than the evidence itself."""
        by_block = bool(self._gone & version.blocks) or (award.is_suspended and bool(version.blocks))
        reason = "building_block_lost" if by_block else "evidence_corrected"
        if not award.stands:
            self._said.changes.append((award.credential, "revoked", reason))
        elif was_suspended != award.is_suspended:
            self._said.changes.append((award.credential, "suspended" if award.is_suspended else "reinstated", reason))

    def _say(self, verdict: str, about: Time | Version | None, award: Award | None) -> None:
        self._spoke = True
        self._said.outcomes.append(_outcome(self._name, verdict, about, award))


def _outcome(name: str, verdict: str, about: Time | Version | None, award: Award | None) -> dict[str, Any]:
    time = about if isinstance(about, Time) else None
    version = about if isinstance(about, Version) else time.version if time else None
    return {
        "achievement": name,
        "verdict": verdict,
        "rule_digest": None if version is None else version.digest,
        "award": None if award is None else award.number,
        "edition": None if award is None else award.edition,
        "credential_id": None if award is None else award.credential,
        "attained_at": None if time is None else time.since,
        "level": None if time is None else time.level,
        "valid_until": None if time is None else time.until,
    }


def _unchanged(latest: Award | None, found: Earned, in_force: Earned) -> str:
    if latest is None or latest.state == "gone" or not found.times:
        return _SAID[latest.state] if latest is not None and latest.stands else "not_yet"
    if latest.state == "held" and len(in_force.times) < len(found.times):
        return "suspended"
    return _SAID[latest.state]


def _places(slots: Sequence[Award], times: Sequence[Time]) -> dict[int, int]:
    """Return the time for which each award stands: the one with its instant; the others follow in order."""
    at_instant = {time.since: at for at, time in enumerate(times)}
    place = {award.number: at_instant[award.since] for award in slots if award.since in at_instant}
    free = [at for at in range(len(times)) if at not in place.values()]
    waiting = [award.number for award in slots if award.number not in place]
    return place | dict(zip(waiting, free, strict=False))
