"""A provider's own list, held against what became of each completion on the real pipe."""

from __future__ import annotations

import csv
from pathlib import Path

from support.commands import credstream
from support.pipe import Pipe, completion


def test_each_line_of_a_list_is_answered_and_a_missing_one_is_no(mended: Pipe, tmp_path: Path) -> None:
    sent = [completion("listed-1"), completion("listed-2", score=10), completion("listed-3", assessment="juggling")]
    assert all(line.accepted for line in mended.send(sent))
    path, out = tmp_path / "list.csv", tmp_path / "answered.csv"
    lines = ["Attempt,Student,Event", *(f"listed-{i},=cmd,listed-{i}-0" for i in (1, 2, 3)), "listed-4,x,"]
    path.write_text("\n".join(lines))
    args = (
        "reconcile",
        str(path),
        "--provider",
        "great-river-training",
        "--event-id",
        "Event",
        "--result-id",
        "Attempt",
    )
    said = credstream(mended, *args, "-o", str(out), code=1)
    assert "missing, line 5: listed-4" in said
    with out.open(newline="") as file:
        found = list(csv.DictReader(file))
    assert [row["credstream_state"] for row in found] == ["decided", "decided", "quarantined", "missing"]
    assert found[0]["credstream_credentials"]
    assert not found[1]["credstream_credentials"]
    assert found[2]["credstream_detail"].startswith("unknown_assessment")
    assert found[0]["Student"] == "'=cmd"
    path.write_text("\n".join(lines[:-1]))
    assert "quarantined" in credstream(mended, *args)
    assert "must name a column" in credstream(mended, *args[:4], code=78)
