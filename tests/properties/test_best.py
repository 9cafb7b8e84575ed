"""The best attempt, found by one pass over scores where all have one maximum, is the one that the words name."""

from __future__ import annotations

from fractions import Fraction

from hypothesis import given, settings
from hypothesis import strategies as st

from services.competency.progress import Standing
from services.competency.selection import Piece
from services.competency.tallies import best


@st.composite
def attempts(draw: st.DrawFn) -> Piece:
    at, key = draw(st.integers(0, 3)), f"college\0{draw(st.integers(0, 3))}"
    most = draw(st.sampled_from((4, 4, 4, 4, 4, 2)))
    score = draw(st.sampled_from((1, 1, 1, 2, 0, None)))
    kept = None if score is None else most
    return at, key, Standing(0, b"", False, "quiz", at, score, kept)  # noqa: FBT003


@settings(max_examples=500)
@given(pieces=st.lists(attempts(), min_size=2, max_size=4, unique_by=lambda piece: piece[:2]))
def test_the_best_has_the_greatest_share_and_of_several_was_the_earliest(pieces: list[Piece]) -> None:
    def rank(piece: Piece) -> tuple[Fraction, int, str]:
        score, most = piece[2].score, piece[2].score_max
        return (Fraction(1) if score is None else -Fraction(score, most or 1), piece[0], piece[1])

    assert best(pieces) == min(pieces, key=rank, default=None)
