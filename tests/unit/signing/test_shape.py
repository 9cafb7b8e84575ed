"""A compiled shape gives the bytes that JSON-LD and RDFC-1.0 give, whatever the values, or takes their path."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.random_shapes import Maker

from services.signing.contexts import CREDENTIALS_V2, OPEN_BADGES_V3, UnknownContextError, context
from services.signing.generic import Canonicaliser
from services.signing.plain import MAX_DEPTH, MAX_VALUES, UnsignableError
from services.signing.rdf import canonical, rdfc10
from services.signing.shape import Shape, ShapeError, Slot, SlotError, Text

NASTY = st.text(
    alphabet=st.one_of(
        st.characters(exclude_categories=["Cs"]), st.sampled_from('"\\\x7f\ufffe<>{}^`|\n\té😀\U0010ffff')
    ),
    max_size=12,
)
IRI_REST = st.text(alphabet="abcxyz0159-._~:/?#&=%éß漢", max_size=10)


def badge(results: int, evidence: int, tags: int, until: bool) -> dict[str, Any]:
    """Return a badge's document with slots: same names may stand twice, ids may coincide, lists vary."""
    return {
        "@context": [CREDENTIALS_V2, OPEN_BADGES_V3],
        "id": Text(("urn:x:", Slot("id"))),
        "type": ["VerifiableCredential", "OpenBadgeCredential"],
        "name": Slot("name"),
        "description": Text(('before "', Slot("description"), '" after\n')),
        "issuer": {"id": "did:web:issuer.example", "type": ["Profile"], "name": "Issuer"},
        "validFrom": Slot("from"),
        **({"validUntil": Slot("until")} if until else {}),
        "credentialSubject": {
            "id": Text(("urn:x:", Slot("subject"))),
            "type": ["AchievementSubject"],
            "achievement": {
                "id": "https://issuer.example/a",
                "type": ["Achievement"],
                "name": "A",
                "description": "D",
                "criteria": {"narrative": Slot("name")},
                "tag": ["fixed", *(Slot(f"tag{i}") for i in range(tags))],
                "resultDescription": [
                    {
                        "id": Text(("urn:x:", Slot(f"rd{i}"))),
                        "type": ["ResultDescription"],
                        "name": "R",
                        "resultType": "RawScore",
                    }
                    for i in range(results)
                ],
            },
            "result": [
                {"type": ["Result"], "resultDescription": Text(("urn:x:", Slot(f"rd{i}"))), "value": Slot(f"value{i}")}
                for i in range(results)
            ],
        },
        "evidence": [{"type": ["Evidence"], "name": Slot(f"ev{i}"), "genre": "report"} for i in range(evidence)],
    }


SHAPES = {key: Shape(badge(*key)) for key in [(0, 0, 0, False), (1, 1, 0, True), (2, 2, 2, False), (3, 0, 3, True)]}
IRIS = ("id", "subject", "rd0", "rd1", "rd2")


@settings(max_examples=600, deadline=None)
@given(data=st.data(), key=st.sampled_from(sorted(SHAPES)))
def test_the_fast_path_gives_the_standards_bytes(data: st.DataObject, key: tuple[int, int, int, bool]) -> None:
    shape = SHAPES[key]
    few = data.draw(st.lists(NASTY, min_size=1, max_size=3))  # drawn from few, values coincide often
    few_iris = data.draw(st.lists(IRI_REST, min_size=1, max_size=2))
    values = [data.draw(st.sampled_from(few_iris if name in IRIS else few)) for name in shape.slots]
    _, in_nquads = shape.escaped(values)
    assert shape.canonical(values, in_nquads) == canonical(shape.document(values))


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 2**32))
def test_every_shape_that_a_badge_can_have_gives_the_standards_bytes(seed: int) -> None:
    """`make fuzz` does this a hundred thousand times."""
    maker = Maker(seed)
    shape = Shape(maker.document())
    for _ in range(4):
        values = maker.values(shape.slots)
        _, in_nquads = shape.escaped(values)
        try:
            expected = canonical(shape.document(values))
        except UnsignableError as error:
            assert "control character" in str(error)  # noqa: PT017  the log holds none (schemas.text)
            continue
        assert shape.canonical(values, in_nquads) == expected
        assert shape.digest(values, in_nquads) == hashlib.sha256(expected).digest()


def test_an_order_that_comes_again_is_laid_out_once_and_too_many_are_sorted() -> None:
    document = badge(1, 0, 0, until=False)
    roomy, narrow = Shape(document), Shape(document, max_layouts=2)
    for n in range(200):
        values = [f"{n * 7919 * (i + 1) % 10_007}" for i in range(len(roomy.slots))]
        _, in_nquads = roomy.escaped(values)
        assert roomy.canonical(values, in_nquads) == narrow.canonical(values, in_nquads)
    assert 2 < len(roomy._layouts) < 60
    assert len(narrow._layouts) == 2


@settings(max_examples=300, deadline=None)
@given(values=st.lists(NASTY, min_size=len(SHAPES[1, 1, 0, True].slots), max_size=len(SHAPES[1, 1, 0, True].slots)))
def test_the_json_is_the_document(values: list[str]) -> None:
    import json

    shape = SHAPES[1, 1, 0, True]
    values = ["a" if name in IRIS else value for name, value in zip(shape.slots, values, strict=True)]
    in_json, _ = shape.escaped(values)
    assert json.loads(shape.json(in_json) + b"}") == shape.document(values)


@settings(max_examples=300, deadline=None)
@given(data=st.data(), key=st.sampled_from(sorted(SHAPES)))
def test_anyones_document_has_the_same_canonical_form_fast_and_slow(
    data: st.DataObject, key: tuple[int, int, int, bool]
) -> None:
    shape = SHAPES[key]
    values = [data.draw(IRI_REST if name in IRIS else NASTY) for name in shape.slots]
    document = shape.document(values)
    assert FAST.canonical(document) == canonical(document)


FAST = Canonicaliser()


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"unknownTerm": Slot("x")}, UnsignableError),
        ({"id": Slot("x")}, UnsignableError),
        ({"id": Text(("name:", Slot("x")))}, ShapeError),
        ({"@context": ["https://elsewhere.example/context"]}, UnknownContextError),
    ],
    ids=[
        "a term of no context",
        "an id without a scheme",
        "a scheme that is a term",
        "a foreign context",
    ],
)
def test_what_cannot_be_compiled_soundly_is_refused(change: dict[str, Any], error: type[Exception]) -> None:
    with pytest.raises(error):
        Shape({**badge(0, 0, 0, until=False), **change})


@pytest.mark.parametrize("value", ["a b", "a\u00a0b", "a\u3000b", "a\n", "a<b", "a[b", 'a"b', "a\\b"])
def test_an_iri_slot_takes_only_what_an_iri_may_hold(value: str) -> None:
    shape = SHAPES[0, 0, 0, False]
    values = [value if name == "id" else "x" for name in shape.slots]
    with pytest.raises(SlotError, match="id"):
        shape.escaped(values)


def deep(levels: int) -> Any:
    return "x" if not levels else [deep(levels - 1)]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"name": "\ud800"}, "surrogate"),
        ({"na\ud800me": "x"}, "surrogate"),
        ({"id": "urn:x:\u00a0"}, "malformed"),
        ({"id": "urn:x:a\n"}, "malformed"),
        ({"name": deep(MAX_DEPTH)}, "levels"),
        ({"name": ["x"] * MAX_VALUES}, "values"),
        ({"name": 2**53}, "number"),
        ({"name": float("inf")}, "number"),
        ({"name": float("nan")}, "number"),
    ],
)
def test_both_paths_refuse_what_is_not_plain_and_say_why(change: dict[str, Any], reason: str) -> None:
    shape = SHAPES[0, 0, 0, False]
    document = {**shape.document(["x"] * len(shape.slots)), **change}
    for canonicalise in (canonical, Canonicaliser().canonical, FAST.canonical):
        with pytest.raises(UnsignableError, match=reason):
            canonicalise(document)


def edges(pairs: list[tuple[Any, Any]]) -> str:
    return "".join(f"_:e{a} <http://x.example/p> _:e{b} .\n" for a, b in pairs)


@pytest.mark.parametrize(
    "graph",
    [
        edges([(i, j) for i in range(10) for j in range(10)]),
        edges([(c, f"{c}x{i}") for c in range(2) for i in range(9)]),
        edges([(i, (i + 1) % 101) for i in range(101)]),
        "".join(f'_:e{i} <http://x.example/p> "{i}" .\n' for i in range(501)),
    ],
    ids=["a clique", "two equal stars", "a long ring", "many nodes"],
)
def test_a_graph_made_to_be_slow_is_refused_at_once(graph: str) -> None:
    with pytest.raises(UnsignableError, match="without a name"):
        rdfc10(graph)


def test_a_few_nodes_that_look_alike_are_told_apart_by_their_neighbours() -> None:
    """Two equal pairs that hang on different ones: their labels follow the neighbours, however they were written."""
    pairs = 'A <http://x.example/p> B .\nB <http://x.example/q> C .\nC <http://x.example/v> "{0}" .\n'
    text = "".join(
        pairs.format(value).replace("A", f"_:a{n}").replace("B", f"_:b{n}").replace("C", f"_:c{n}")
        for n, value in enumerate(("x", "y"))
    )
    assert rdfc10(text) == rdfc10(text.replace("_:a0", "_:z9").replace("_:b1", "_:a0"))


def test_many_equal_leaves_are_no_graph_made_to_be_slow() -> None:
    document = SHAPES[0, 0, 0, False].document(["x"] * len(SHAPES[0, 0, 0, False].slots))
    document["evidence"] = [{"type": ["Evidence"], "name": "same"} for _ in range(40)]
    assert canonical(document).count(b'"same"') == 40


def test_nodes_that_look_alike_but_hang_on_different_ones_take_the_full_path() -> None:
    """The two middle images have equal first-degree hashes and no quad in common: only their neighbours tell them apart."""
    document = SHAPES[0, 0, 0, False].document(["x"] * len(SHAPES[0, 0, 0, False].slots))
    document["evidence"] = [
        {"type": ["Evidence"], "name": name, "image": {"image": {"narrative": text}}}
        for name, text in (("1", "x"), ("2", "y"))
    ]
    assert FAST.canonical(document) == canonical(document)


@pytest.mark.parametrize("where", ["id", "evidence"])
def test_a_relative_address_is_refused(where: str) -> None:
    document = SHAPES[0, 0, 0, False].document(["x"] * len(SHAPES[0, 0, 0, False].slots))
    document[where] = "relative" if where == "id" else [{"id": "here/there", "type": ["Evidence"]}]
    with pytest.raises(UnsignableError, match="relative"):
        canonical(document)


def test_a_context_is_what_was_pinned() -> None:
    assert "@context" in context(OPEN_BADGES_V3)
    with pytest.raises(UnknownContextError):
        context("https://www.w3.org/2018/credentials/v1")
