"""The endorsements in a credential: each is a credential of its own, signed by whoever endorses (OB 3.0 §8.6)."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Final

from services.signing.badge import as_list, endorsement_form_fault, id_of
from services.signing.jwt_proof import CompactJws, read_jws
from services.signing.verdict import VerifyStep

EndorsementSteps = Callable[[Mapping[str, Any], CompactJws | None], Iterable[VerifyStep]]
"""Judges an endorsement's contexts, issuer, key, proof, dates and revocation."""

_PLACES: Final = {"endorsement", "endorsementJwt"}
_MAX_ENDORSEMENTS: Final = 32
_MAX_REMEMBERED: Final = 1_024


class Endorsements:
    """Judges endorsements; remembers those of an achievement, which every credential of it repeats."""

    def __init__(self, judge: EndorsementSteps) -> None:
        """Judge each with this."""
        self._judge = judge
        self._known: dict[str, VerifyStep] = {}

    def step(self, credential: Mapping[str, Any], *, is_signed: bool) -> VerifyStep | None:
        """Say whether every endorsement in it holds and is of what it stands in; None when there are none.

        One that has ended, or whose signer is not known here, is told and takes nothing from the credential.
        """
        found = list(_found(credential))
        if not found:
            return None
        if not is_signed:
            return VerifyStep(
                "endorsements", "unknown", "not looked at, since the credential's own proof does not hold here"
            )
        if len(found) > _MAX_ENDORSEMENTS:
            return VerifyStep("endorsements", "unknown", f"more than {_MAX_ENDORSEMENTS} endorsements")
        about = {id_of(credential), id_of(credential["issuer"])}
        judged = [self._one(endorsement, about | {place}) for place, endorsement in found]
        wrong = next((step for outcome in ("fail", "unknown") for step in judged if step.outcome == outcome), None)
        return wrong or VerifyStep("endorsements", "pass", f"{len(found)}, {'; '.join(s.reason for s in judged)}")

    def _one(self, endorsement: Any, about: set[str]) -> VerifyStep:
        token = read_jws(endorsement.encode()) if isinstance(endorsement, str) and endorsement.isascii() else None
        if isinstance(token, str):
            return VerifyStep("endorsements", "fail", token)
        document = endorsement if token is None else token.payload
        if not isinstance(document, dict):
            return VerifyStep("endorsements", "fail", "an endorsement is no object and no token")
        if fault := endorsement_form_fault(document):
            return VerifyStep("endorsements", "fail", f"an endorsement {fault}")
        if id_of(document["credentialSubject"]) not in about:
            return VerifyStep("endorsements", "fail", "an endorsement is of something else")
        key = json.dumps(endorsement, sort_keys=True)
        if key not in self._known:
            if len(self._known) >= _MAX_REMEMBERED:
                self._known.clear()
            self._known[key] = self._judged(document, token)
        return self._known[key]

    def _judged(self, document: Mapping[str, Any], token: CompactJws | None) -> VerifyStep:
        issuer = document["issuer"]
        name = issuer.get("name") if isinstance(issuer, dict) else None
        by = f"by {name or id_of(issuer)}"
        steps = list(self._judge(document, token))
        dates = [step for step in steps if step.name == "dates"]
        broken = [s for s in steps if s.outcome == "fail" and s not in dates]
        if broken:
            return VerifyStep("endorsements", "fail", f"{by}: {broken[0].reason}")
        if not any(step.name == "proof" and step.outcome == "pass" for step in steps):
            untold = next(step for step in steps if step.outcome == "unknown")
            return VerifyStep("endorsements", "unknown", f"{by}: {untold.reason}")
        if dates[0].outcome == "fail":
            return VerifyStep("endorsements", "unknown", f"{by}: {dates[0].reason}")
        return VerifyStep("endorsements", "pass", f"{by}, signed with {id_of(issuer)}")


def _found(credential: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Yield each endorsement with the id of the object in which it stands; those within endorsements are theirs."""
    waiting: list[Any] = [credential]
    while waiting:
        node = waiting.pop()
        if isinstance(node, list):
            waiting += [inner for inner in node if isinstance(inner, dict | list)]
            continue
        for name in _PLACES & node.keys():
            yield from ((id_of(node), endorsement) for endorsement in as_list(node[name]))
        waiting += [v for name, v in node.items() if isinstance(v, dict | list) and name not in _PLACES]
