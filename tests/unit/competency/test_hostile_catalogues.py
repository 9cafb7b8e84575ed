"""A catalogue that is signed but broken or meant to do harm is set aside or refused by the lane, which goes on as before."""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from support.competency import BASE_URL, CompetencyLane, catalogue, completion

from schemas.catalogue import Catalogue, Issuer, canonical, pack
from schemas.errors import MalformedError, QuarantineReason
from schemas.events import CompetencyDecided, DecisionBody, Disposition
from schemas.ids import content_digest
from schemas.rules import All, Count, Criterion, Expression, Holds, Level, Nothing, Result, Rule, Span
from services.competency.adoption import catalogue_faults
from services.competency.sizes import MAX_TOUCHED

QUIZ = Result(assessment="quiz")
GOOD = catalogue({"a": QUIZ})


def changed(text: Callable[[bytes], bytes]) -> bytes:
    return zlib.compress(text(canonical(GOOD)))


def with_field(where: Callable[[Any], Any]) -> Callable[[bytes], bytes]:
    """A catalogue with a field that no version known here has, in canonical form for the rest."""

    def change(text: bytes) -> bytes:
        tree = json.loads(text)
        where(tree)["since"] = "2026"
        return json.dumps(tree, sort_keys=True, separators=(",", ":")).encode()

    return change


def plain(packed: bytes) -> bytes:
    """What `packed` would be at most: the digest of a bomb need not be right, since it is never read to its end."""
    return zlib.decompressobj().decompress(packed, 20_000_000)


UNREADABLE: dict[str, tuple[bytes, str]] = {
    "zip bomb": (zlib.compress(b" " * 50_000_000, 9), "the catalogue is not what"),
    "not compressed": (canonical(GOOD), "no catalogue: Error -3"),
    "cut off": (zlib.compress(canonical(GOOD))[:-5], "the catalogue is not what"),
    "bytes after the end": (zlib.compress(canonical(GOOD)) + b"x", "the catalogue is not what"),
    "empty": (b"", "the catalogue is not what"),
    "nothing inside": (zlib.compress(b""), "no catalogue: Input data was truncated"),
    "deep lists": (zlib.compress(b"[" * 5_000_000), "no catalogue: Expected `object`"),
    "deep criteria": (
        changed(lambda t: t.replace(b'"requires":', b'"requires":' + b'{"kind":"all","of":[' * 500_000)),
        "no catalogue: ",
    ),
    "deep where nothing is known": (
        changed(lambda t: t[:-1] + b',"x":' + b"[" * 1_000_000 + b"]" * 1_000_000 + b"}"),
        "no catalogue: ",
    ),
    "unknown field": (changed(with_field(lambda t: t)), "fields that are not known here"),
    "unknown field of a rule": (
        changed(with_field(lambda t: t["achievements"][0]["rule"])),
        "fields that are not known",
    ),
    "unknown field of a criterion": (
        changed(with_field(lambda t: t["achievements"][0]["rule"]["requires"])),
        "fields that are not known here",
    ),
    "unknown kind of criterion": (changed(lambda t: t.replace(b'"result"', b'"exec"')), "Invalid value 'exec'"),
    "field twice": (changed(lambda t: t.replace(b'"version":"1"', b'"version":"2","version":"1"')), "canonical form"),
    "white space": (changed(lambda t: t + b" "), "not in canonical form"),
    "huge number": (
        changed(lambda t: t.replace(b'"active_from":0', b'"active_from":' + b"9" * 100_000)),
        "no catalogue: ",
    ),
    "no number": (changed(lambda t: t.replace(b'"active_from":0', b'"active_from":NaN')), "JSON is malformed"),
    "no UTF-8": (changed(lambda t: t.replace(b"Demo", b"\xff\xfe")), "no catalogue: "),
    "lone surrogate": (changed(lambda t: t.replace(b"Demo", b"\\ud800")), "no catalogue: "),
    "binary": (zlib.compress(bytes(range(256)) * 100), "no catalogue: JSON is malformed"),
}


@pytest.mark.fault("P12")
@pytest.mark.parametrize("name", UNREADABLE)
def test_an_unreadable_catalogue_is_set_aside_and_the_lane_goes_on(name: str) -> None:
    packed, told = UNREADABLE[name]
    lane = CompetencyLane()
    lane.adopt(GOOD)
    before, ledger = dict(lane.state), lane.ledger
    with pytest.raises(MalformedError) as caught:
        lane.adopt(GOOD, adoption_no=2, catalogue=packed, digest=content_digest(plain_or_nothing(packed)))
    assert caught.value.reason is QuarantineReason.MALFORMED
    assert told in str(caught.value)
    assert len(str(caught.value)) < 1_000
    assert (lane.state, lane.ledger) == (before, ledger)
    lane.send(completion())
    assert lane.holds() == {"a"}


def plain_or_nothing(packed: bytes) -> bytes:
    try:
        return plain(packed)
    except zlib.error:
        return b""


def chain(number: int) -> dict[str, Criterion]:
    return {"b0": QUIZ, **{f"b{n}": Holds(achievement=f"b{n - 1}") for n in range(1, number)}}


def nested(depth: int) -> Criterion:
    criterion: Criterion = QUIZ
    for _ in range(depth):
        criterion = Nothing(of=(criterion,))
    return criterion


def cel(text: str) -> Criterion:
    return Expression(cel=text, assessments=("quiz",))


def issuer(name: str) -> Catalogue:
    return msgspec.structs.replace(GOOD, issuer=Issuer(name=name))


REFUSED: dict[str, tuple[Catalogue, str]] = {
    "CEL: texts that double": (
        catalogue({"a": cel("['a']" + ".map(s, s + s)" * 25 + ".size() == 1")}),
        "texts are not joined",
    ),
    "CEL: lists that double": (
        catalogue({"a": cel("[1]" + ".map(s, [s, s])" * 20 + ".exists(s, s == s)")}),
        "no lists of lists",
    ),
    "CEL: deep": (catalogue({"a": cel("(" * 900 + "true" + ")" * 900)}), "recursion limit exceeded"),
    "CEL: long": (catalogue({"a": cel("true || " * 1_000 + "true")}), "at most 2000 characters"),
    "deep criteria": (catalogue({"a": nested(17)}), "more than 16 deep"),
    "many criteria": (catalogue({"a": All(of=(QUIZ,) * 1_001)}), "more than 1000 criteria"),
    "deep level": (catalogue({"a": Rule(requires=QUIZ, levels=(Level(name="x", requires=nested(17)),))}), "16 deep"),
    "long chain": (catalogue(chain(MAX_TOUCHED + 1)), "others are built on it"),
    "very long chain": (catalogue(chain(15_000)), "others are built on it"),
    "long circle": (catalogue({**chain(5_000), "b0": Holds(achievement="b4999")}), "in a circle"),
    "too many at one assessment": (catalogue({f"a{n}": QUIZ for n in range(MAX_TOUCHED + 1)}), "look at it"),
    "too many achievements": (catalogue({f"a{n}": QUIZ for n in range(20_001)}), "20001 of them; at most 20000"),
    "too many assessments": (
        catalogue({"a": QUIZ}, assessments=["quiz", *(f"x{n}" for n in range(50_000))]),
        "50001 of them; at most 50000",
    ),
    "override": (issuer("College \u202egnp"), "U+202E is not allowed"),
    "NUL": (issuer("a\x00b"), "U+0000 is not allowed"),
    "long text": (issuer("x" * 1_000_000), "1000000 characters; at most 20000"),
    "level that hides": (
        catalogue({"a": Rule(requires=QUIZ, levels=(Level(name="x\u2066", requires=QUIZ),))}),
        "U+2066 is not allowed",
    ),
    "time zone": (catalogue({"a": Result(assessment="quiz", zone="../../etc/passwd")}), "no time zone"),
    "span without end": (
        catalogue({"a": Count(number=1, assessments=("quiz",), within=Span(months=2**62))}),
        "at most a hundred years",
    ),
    "huge count": (catalogue({"a": Count(number=2**62, assessments=("quiz",))}), "number is from 1 to 1000"),
    "id twice": (msgspec.structs.replace(GOOD, achievements=GOOD.achievements * 2), "'a' stands 2 times"),
    "id that leaves its folder": (catalogue({"../../a": QUIZ}), "cannot stand in an address"),
}


@pytest.mark.fault("P12", "G2")
@pytest.mark.parametrize("name", REFUSED)
def test_a_hostile_catalogue_is_refused_and_the_lane_goes_on(name: str) -> None:
    hostile, told = REFUSED[name]
    pack(hostile)  # it fits in a record, so it may come
    lane = CompetencyLane()
    lane.adopt(GOOD)
    before = {key: value for key, value in lane.state.items() if key != b"\x00lane"}
    adoptions = lane.ledger.programmes["demo"].adoptions
    [decided] = lane.adopt(hostile)
    assert isinstance(decided, CompetencyDecided)
    assert isinstance(decided.body, DecisionBody)
    assert decided.disposition is Disposition.REFUSED
    assert told in str(decided.body.detail)
    assert len(str(decided.body.detail)) <= 2_000
    assert {key: value for key, value in lane.state.items() if key != b"\x00lane"} == before
    assert lane.ledger.programmes["demo"].adoptions == adoptions
    lane.send(completion())
    assert lane.holds() == {"a"}


def test_what_is_as_large_as_may_be_is_adopted() -> None:
    rules = {f"a{n}": Result(assessment="quiz" if n < MAX_TOUCHED else f"x{n}") for n in range(2_000)}
    large = catalogue(rules, assessments=["quiz", *(f"x{n}" for n in range(2_000))], base_url=BASE_URL)
    assert catalogue_faults(large) == []
    assert catalogue_faults(catalogue(chain(MAX_TOUCHED))) == []
