"""What `credstream why` says besides the reasons of rules, in English and French: states, decisions, causes, results."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from credstream.why import Answer, Decided, Shown, Situation
from credstream.zones import day
from schemas.events import (
    POINT,
    AssessmentCompleted,
    AwardRequested,
    CompletionBody,
    LearnerProfiled,
    Micropoints,
    ReevaluationRequested,
    ResultKind,
    ReviewDecided,
    StatusRequested,
)
from services.competency.progress import Award, AwardState, Standing, named
from services.competency.wording import Language

WORDS: Final[Mapping[Language, Mapping[str, str]]] = {
    "en": {
        "held": "held",
        "suspended": "suspended",
        "kept": "held, though its evidence fell away",
        "in_review": "held, though its evidence fell away; a person will decide",
        "revoked_by_rule": "not held: revoked, since its evidence fell away",
        "revoked_by_staff": "not held: revoked by staff",
        "suspended_by_staff": "suspended by staff",
        "not_attained": "not attained yet",
        "unknown": "nothing is known of this learner and it",
        "retired": "nobody can earn it any more",
        "as_of": "as of {}",
        "award": "award {}: {}",
        "since": "attained {}",
        "until": "valid until {}",
        "ended": "its validity ended {}",
        "level": "level {}",
        "next": "for the next award",
        "renewal": "renewed by results shown from {} to {}",
        "why": "why",
        "missing": "what is asked, and what there is",
        "evidence": "evidence that counts",
        "late": "came too late, awaits a review",
        "history": "{} decisions",
        "one_decision": "1 decision",
        "as_above": "for the reasons above",
        "same": "{} more decisions until {} said the same",
        "same_one": "1 more decision, {}, said the same",
        "credential": "credential {}",
        "rule": "rule {}",
        "decision": "decision {}",
        "granted": "granted",
        "reissued": "issued anew",
        "already_held": "held already",
        "not_yet": "not yet",
        "regressed": "lost, its credential revoked",
        "verdict.suspended": "suspended",
        "reinstated": "in force again",
        "verdict.kept": "its evidence fell away; it is kept",
        "review": "its evidence fell away; a person decides",
        "withheld": "met, but staff revoked it",
        "recorded": "recorded",
        "known": "known already",
        "outranked": "a higher revision stands already",
        "awaiting_review": "came too late, awaits a review",
        "applied": "done",
        "adopted": "adopted",
        "refused": "refused",
        "after": "after {}",
        "corrected": "a correction of {}",
        "retracted": "{} was retracted",
        "status": "{} asked to {} the credential ({})",
        "reviewed": "{} answered a review: {}",
        "recognised": "{} recognised prior learning",
        "reevaluated": "{} asked for another version to judge",
        "profiled": "the learner's profile",
        "score": "{} of {}",
        "passed": "passed",
        "failed": "not passed",
        "assessor": "assessor {}",
        "critical": "critical",
        "shown": "shown {}",
        "revision": "revision {}",
    },
    "fr": {
        "held": "acquise",
        "suspended": "suspendue",
        "kept": "acquise, bien que les preuves aient disparu",
        "in_review": "acquise, bien que les preuves aient disparu ; une personne décidera",
        "revoked_by_rule": "non acquise : révoquée, les preuves ayant disparu",
        "revoked_by_staff": "non acquise : révoquée par le personnel",
        "suspended_by_staff": "suspendue par le personnel",
        "not_attained": "pas encore acquise",
        "unknown": "rien n'est connu de cette personne à son sujet",
        "retired": "personne ne peut plus l'acquérir",
        "as_of": "au {}",
        "award": "attribution {} : {}",
        "since": "acquise le {}",
        "until": "valable jusqu'au {}",
        "ended": "sa validité a pris fin le {}",
        "level": "niveau {}",
        "next": "pour la prochaine attribution",
        "renewal": "renouvelée par des résultats présentés du {} au {}",
        "why": "pourquoi",
        "missing": "ce qui est exigé, et ce qu'il y a",
        "evidence": "preuves qui comptent",
        "late": "arrivé trop tard, en attente d'un examen",
        "history": "{} décisions",
        "one_decision": "1 décision",
        "as_above": "pour les raisons ci-dessus",
        "same": "{} autres décisions jusqu'au {} ont dit la même chose",
        "same_one": "1 autre décision, le {}, a dit la même chose",
        "credential": "attestation {}",
        "rule": "règle {}",
        "decision": "décision {}",
        "granted": "accordée",
        "reissued": "délivrée à nouveau",
        "already_held": "déjà acquise",
        "not_yet": "pas encore",
        "regressed": "perdue, son attestation révoquée",
        "verdict.suspended": "suspendue",
        "reinstated": "de nouveau en vigueur",
        "verdict.kept": "les preuves ont disparu ; elle est conservée",
        "review": "les preuves ont disparu ; une personne décide",
        "withheld": "remplie, mais révoquée par le personnel",
        "recorded": "enregistré",
        "known": "déjà connu",
        "outranked": "une révision plus haute vaut déjà",
        "awaiting_review": "arrivé trop tard, en attente d'un examen",
        "applied": "fait",
        "adopted": "adopté",
        "refused": "refusé",
        "after": "après {}",
        "corrected": "une correction de {}",
        "retracted": "{} a été retiré",
        "status": "{} a demandé : {} ({})",
        "reviewed": "{} a répondu à un examen : {}",
        "recognised": "{} a reconnu un acquis antérieur",
        "reevaluated": "{} a demandé le jugement par une autre version",
        "profiled": "le profil de la personne",
        "score": "{} sur {}",
        "passed": "réussi",
        "failed": "non réussi",
        "assessor": "évaluateur : {}",
        "critical": "critique",
        "shown": "présenté le {}",
        "revision": "révision {}",
    },
}
_HELD: Final = {AwardState.SUSPENDED: "suspended", AwardState.KEPT: "kept", AwardState.IN_REVIEW: "in_review"}


class Teller:
    """Says an answer's parts in a language, with the names that people know and days in the programme's time zone."""

    def __init__(self, answer: Answer, language: Language, names: Mapping[str, str]) -> None:
        """Tell this answer; ``names`` are those of assessments and achievements."""
        self.words, self.names, self._answer, self._language = WORDS[language], names, answer, language
        self._providers = {provider.id: provider.name for provider in answer.catalogue.providers}

    def name(self, name: str) -> str:
        """Return what people call an assessment or achievement."""
        return self.names.get(name, name)

    def state(self, situation: Situation) -> str:
        """Return how things stand, in a few words."""
        if situation.awards:
            return self.award_state(situation.awards[-1])
        if situation.retired and not situation.attained:
            return f"{self.words['not_attained']}; {self.words['retired']}"
        return self.words["not_attained" if situation.explained is not None else "unknown"]

    def award_state(self, award: Award) -> str:
        """Return the state of an award."""
        if award.stands and award.suspended:
            return self.words["suspended_by_staff"]
        return self.words[_HELD.get(award.state, award.state)]

    def award(self, award: Award) -> str:
        """Return an award with its dates."""
        words = self.words
        parts = [self.award_state(award), *([words["level"].format(award.level)] if award.level else [])]
        parts.append(words["since"].format(self.day(award.attained_at)))
        if award.valid_until is not None:
            ends = "ended" if award.valid_until < self._answer.now else "until"
            parts.append(words[ends].format(self.day(award.valid_until)))
        return words["award"].format(award.number, ", ".join(parts))

    def next(self, situation: Situation) -> str:
        """Return what the reasons of the next award are about."""
        if situation.renewable is None:
            return self.words["next"]
        opens, until = map(self.day, situation.renewable)
        return self.words["renewal"].format(opens, until)

    def shown(self, shown: Shown) -> str:
        """Return a result: its assessment, what it says, when it was shown, whose it is."""
        return self._result(shown.standing, *named(shown.key), shown.standing.revision)

    def evidence(self, provider: str, result_id: str, revision: int) -> str:
        """Return a result that a decision counted, by its name."""
        body = self._answer.results.get((provider, result_id, revision))
        return f"{provider} {result_id}" if body is None else self._result(body, provider, result_id, revision)

    def verdict(self, decided: Decided) -> str:
        """Return what was decided."""
        if decided.outcome is None:
            said = self.words[decided.decided.disposition]
            return f"{said}: {decided.detail}" if decided.detail and self._language == "en" else said
        verdict = decided.outcome.verdict
        return self.words.get(f"verdict.{verdict}", self.words.get(verdict, verdict))

    def cause(self, decided: Decided) -> str:  # noqa: PLR0911  one for each kind
        """Return what it was that was decided."""
        words, cause = self.words, decided.cause
        match cause:
            case AssessmentCompleted(body=CompletionBody() as body):
                kind = {ResultKind.CORRECTED: "corrected", ResultKind.RETRACTED: "retracted"}.get(body.kind)
                said = self._result(body, cause.provider, body.result_id, body.revision)
                return words["after"].format(words[kind].format(said) if kind else said)
            case StatusRequested():
                return words["status"].format(cause.requested_by, cause.action, cause.reason.replace("_", " "))
            case ReviewDecided():
                return words["reviewed"].format(cause.requested_by, cause.answer)
            case AwardRequested():
                return words["recognised"].format(cause.requested_by)
            case ReevaluationRequested():
                return words["reevaluated"].format(cause.requested_by)
            case LearnerProfiled():
                return words["profiled"]
            case _:
                return words["after"].format(decided.decided.event_id)

    def day(self, instant: int) -> str:
        """Return a day in the programme's time zone."""
        return day(instant, self._answer.zone)

    def _result(self, said: Standing | CompletionBody, provider: str, result_id: str, revision: int) -> str:
        words = self.words
        parts = []
        if said.score is not None and said.score_max is not None:
            parts.append(words["score"].format(self._points(said.score), self._points(said.score_max)))
        if said.passed is not None:
            parts.append(words["passed" if said.passed else "failed"])
        if said.level is not None:
            parts.append(words["level"].format(said.level))
        if said.critical:
            parts.append(words["critical"])
        if said.assessor_ref or said.assessor_role:
            parts.append(words["assessor"].format(said.assessor_ref or said.assessor_role))
        parts.append(words["shown"].format(self.day(said.completed_at)))
        if revision:
            parts.append(words["revision"].format(revision))
        colon = " : " if self._language == "fr" else ": "
        whose = f"{self._providers.get(provider, provider)} {result_id}"
        return f"{self.name(said.assessment)}{colon}{', '.join(parts)} ({whose})"

    def _points(self, micropoints: Micropoints) -> str:
        whole, rest = divmod(micropoints, POINT)
        text = f"{whole}.{rest:06d}".rstrip("0").rstrip(".")
        return text.replace(".", ",") if self._language == "fr" else text
