"""The escape from the language of criteria: one CEL expression over the evidence, type-checked, with limits.

The engine is Google's (cel-cpp), whose limits are fixed: 10,000 steps of iteration, 32 levels, no loops, no functions of ours.
An expression that fails is not true. What it sees is whole numbers, texts and truths: nothing that could be rounded.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import Any, Final

from cel_expr_python import cel
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

from schemas.events import Micros
from schemas.rules import Expression
from services.competency.progress import Standing, named
from services.competency.selection import NO_PIECES, Evidence, Piece, floor_share, share_of
from services.competency.timeline import Timeline

MAX_CHARS: Final = 2_000
MAX_RESULTS: Final = 200
"""An expression sees the latest results only, so that its cost has an end."""
_FIELD: Final = descriptor_pb2.FieldDescriptorProto
_FIELDS: Final = {
    "assessment": _FIELD.TYPE_STRING,
    "provider": _FIELD.TYPE_STRING,
    "completed_at": _FIELD.TYPE_INT64,
    "score": _FIELD.TYPE_INT64,
    "score_max": _FIELD.TYPE_INT64,
    "share": _FIELD.TYPE_INT64,
    "passed": _FIELD.TYPE_BOOL,
    "level": _FIELD.TYPE_STRING,
    "attempt": _FIELD.TYPE_INT64,
    "assessor": _FIELD.TYPE_STRING,
    "role": _FIELD.TYPE_STRING,
    "site": _FIELD.TYPE_STRING,
    "critical": _FIELD.TYPE_BOOL,
    "evidence": _FIELD.TYPE_STRING,
}


def _pool() -> Any:
    """Return the type of a result, so that a misspelt field is found when the expression is compiled."""
    file = descriptor_pb2.FileDescriptorProto(name="credstream/evidence.proto", package="credstream", syntax="proto3")
    message = file.message_type.add(name="Result")
    for at, (name, kind) in enumerate(_FIELDS.items()):
        message.field.add(
            name=name, number=at + 1, type=kind, label=_FIELD.LABEL_OPTIONAL, proto3_optional=True, oneof_index=at
        )
        message.oneof_decl.add(name=f"_{name}")
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return pool


_POOL: Final = _pool()
_Result: Final = message_factory.GetMessageClass(_POOL.FindMessageTypeByName("credstream.Result"))
_ENVIRONMENT: Final = cel.NewEnv(
    _POOL,
    variables={
        "results": cel.Type.List(cel.Type("credstream.Result")),
        "held": cel.Type.List(cel.Type.STRING),
        "now": cel.Type.INT,
        "day": cel.Type.INT,
    },
)
_DAY: Final[Micros] = 86_400_000_000


@lru_cache(maxsize=1024)
def compiled(text: str) -> Any:
    """Return an expression ready to be evaluated.

    Raises:
        ValueError: It is too long, does not parse, its types do not fit, or its answer is not true or false.
    """
    if len(text) > MAX_CHARS:
        raise ValueError(f"an expression has at most {MAX_CHARS} characters")
    try:
        expression = _ENVIRONMENT.compile(text)
    except RuntimeError as error:
        told = str(error).partition("ERROR: ")[2] or str(error)
        raise ValueError(told.splitlines()[0].removeprefix("<input>:")) from None
    if expression.return_type() != cel.Type.BOOL:
        raise ValueError(f"an expression says true or false, and this one is {expression.return_type().name()}")
    return expression


def timeline(criterion: Expression, evidence: Evidence) -> Timeline:
    """Return when an expression is true: it is asked whenever evidence enters that it looks at, and the answer holds until then."""
    changes: list[Micros] = []
    for instant in sorted(set(asked_at(criterion, evidence))):
        if is_true(criterion, evidence, instant)[0] == (len(changes) % 2 == 0):
            changes.append(instant)
    return tuple(changes)


def asked_at(criterion: Expression, evidence: Evidence) -> Iterator[Micros]:
    """Yield the instants at which evidence enters that an expression looks at."""
    for name in criterion.assessments:
        yield from (piece[0] for piece in evidence.results.get(name, NO_PIECES))
    held = (evidence.held[name] for name in criterion.achievements if name in evidence.held)
    yield from (since for holding in held for since, _ in holding.times)


def is_true(criterion: Expression, evidence: Evidence, instant: Micros) -> tuple[bool, str | None]:
    """Say whether it is true at an instant, and what failed if something did."""
    results = [_shown(key, standing) for _, key, standing in seen(criterion, evidence, instant)]
    held = [name for name in criterion.achievements if name in evidence.held and evidence.held[name].since <= instant]
    try:
        answer = compiled(criterion.cel).eval(data={"results": results, "held": held, "now": instant, "day": _DAY})
    except RuntimeError as error:
        return False, str(error)
    if answer.type() != cel.Type.BOOL:
        return False, str(answer.value())
    return bool(answer.value()), None


def seen(criterion: Expression, evidence: Evidence, instant: Micros) -> list[Piece]:
    """Return the results that an expression sees at an instant, in the order in which they were shown."""
    pieces = [
        piece
        for name in criterion.assessments
        for piece in evidence.results.get(name, NO_PIECES)
        if piece[0] <= instant
    ]
    return sorted(pieces)[-MAX_RESULTS:]


def _shown(key: str, standing: Standing) -> Any:
    shown = {
        "assessment": standing.assessment,
        "provider": named(key)[0],
        "completed_at": standing.completed_at,
        "score": standing.score,
        "score_max": standing.score_max,
        "share": floor_share(share_of(standing)),
        "passed": standing.passed,
        "level": standing.level,
        "attempt": standing.attempt,
        "assessor": standing.assessor_ref,
        "role": standing.assessor_role,
        "site": standing.site,
        "critical": standing.critical,
        "evidence": standing.evidence_url,
    }
    return _Result(**{name: value for name, value in shown.items() if value is not None})
