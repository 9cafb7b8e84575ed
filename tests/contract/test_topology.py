"""The map of the pipe holds together, and what is shown of it is drawn from it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from credstream.picture import mermaid
from schemas.topology import TOPICS, Cleanup, Processor, Topic, inputs

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("topic", TOPICS, ids=lambda t: t.name)
def test_a_topic_is_named_subject_participle_version(topic: Topic) -> None:
    assert re.fullmatch(r"[a-z]+(-[a-z]+)*\.[a-z]+(-[a-z]+)*\.v\d+", topic.name)


@pytest.mark.parametrize("topic", TOPICS, ids=lambda t: t.name)
def test_every_topic_is_written_and_read(topic: Topic) -> None:
    assert topic.writers
    assert topic.readers


@pytest.mark.parametrize("processor", [Processor.COMPETENCY, Processor.ISSUING, Processor.STATUS])
def test_every_stage_on_lanes_reads_exactly_one_topic(processor: Processor) -> None:
    assert len(inputs(processor)) == 1


def test_only_state_and_lists_are_compacted() -> None:
    compacted = {t.name for t in TOPICS if t.cleanup is Cleanup.COMPACT}
    states = {t.name for t in TOPICS if set(t.writers) & set(t.readers)}
    assert compacted == states | {"status-list.published.v1"}


def test_nothing_that_is_kept_expires() -> None:
    assert all(t.settings().get("retention.ms") == "-1" for t in TOPICS if t.cleanup is Cleanup.KEEP)


def test_the_quarantine_takes_the_largest_record_that_any_other_topic_takes() -> None:
    quarantine = next(t for t in TOPICS if t.name.startswith("record.quarantined"))
    assert all(quarantine.max_bytes >= 4 * t.max_bytes for t in TOPICS if t is not quarantine)


def test_topic_names_stand_in_the_topology_alone() -> None:
    names = re.compile("|".join(re.escape(t.name) for t in TOPICS))
    rooms = [ROOT / room for room in ("schemas", "services", "streams", "credstream")]
    code = [p for room in rooms for kind in ("*.py", "*.html", "*.js") for p in room.rglob(kind)]
    assert code
    elsewhere = [p for p in code if p.name != "topology.py" and names.search(p.read_text("utf-8"))]
    assert elsewhere == []


def test_the_readme_shows_the_pipe_as_it_is() -> None:
    assert f"```mermaid\n{mermaid()}\n```" in (ROOT / "README.md").read_text("utf-8")
