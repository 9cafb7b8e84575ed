"""`credstream why`: the question that people have about a decision."""

from __future__ import annotations

import time
from typing import Annotated, Any

from cyclopts import Parameter

from credstream.cli.answers import plain, trees
from credstream.cli.console import DEFAULT_FOLDER, Data, Exit, Json, installation, out, reading, write_json
from credstream.why import ask, learner_ref_of
from schemas.errors import RefusedError
from schemas.ids import lane_of, learner_key
from schemas.topology import DECIDED, PROGRESS
from services.competency.wording import Language
from streams.settings import Installation
from streams.topics import ends


def why(
    learner: Annotated[str, Parameter(help="scheme:identifier (email:a@example.ca) or the learner_ref.")],
    achievement: Annotated[str | None, Parameter(help="One achievement; by default all.")] = None,
    *,
    programme: Annotated[str | None, Parameter(help="Needed when the installation has several.")] = None,
    language: Annotated[Language, Parameter(help="en or fr.")] = "en",
    as_json: Json = False,
    data: Data = DEFAULT_FOLDER,
) -> Exit:
    """Say how a learner stands with an achievement and why: what is missing or what counted, then every decision.

    Exit code 1 when it is not held; without ACHIEVEMENT, when nothing is.

    Example: credstream why email:dana@example.ca safe-patient-transfer --language fr
    """
    place = installation(data)
    chosen = programme_of(place.programmes, programme)
    learner_ref, now = learner_ref_of(place, chosen, learner), time.time_ns() // 1_000
    with reading("reading the log", lambda: _size(place, chosen, learner_ref)) as say:
        answer = ask(place, chosen, learner_ref, achievement, now, say)
    if as_json:
        write_json(plain(answer, language))
    else:
        for tree in trees(answer, language):
            out.print(tree)
        if not answer.situations:
            out.print("nothing was decided about this learner" if language == "en" else "rien n'a été décidé")
    return Exit.DONE if any(situation.is_held for situation in answer.situations) else Exit.NO


def _size(place: Installation, programme: str, learner_ref: str) -> int:
    """Return how many records an answer may have to read."""
    lane = lane_of(learner_key(programme, learner_ref), place.kafka.lanes)
    return sum(end for (_, at), end in ends(place, [PROGRESS, DECIDED]).items() if at == lane)


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
