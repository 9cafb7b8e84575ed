"""A log that is not the one this installation was made with is refused before anything is read from it."""

from __future__ import annotations

from dataclasses import replace

import msgspec
import pytest
from support.pipe import Pipe, until

from schemas.errors import RefusedError, UnavailableError
from schemas.topology import TOPICS
from streams import topics


def test_every_topic_is_there_with_the_installations_lanes(pipe: Pipe) -> None:
    states = topics.describe(pipe.place)
    assert [s.topic for s in states] == list(TOPICS)
    assert all(s.id and s.partitions == pipe.place.kafka.lanes for s in states)
    assert topics.create(pipe.place) == []


@pytest.mark.fault("B11")
def test_another_number_of_lanes_is_refused(pipe: Pipe) -> None:
    other = replace(pipe.place, kafka=msgspec.structs.replace(pipe.place.kafka, lanes=3))
    for ask in (topics.create, topics.identity):
        with pytest.raises(RefusedError, match="has 4 partitions, this installation 3 lanes"):
            ask(other)


def test_the_identity_changes_with_the_epoch(pipe: Pipe) -> None:
    assert topics.identity(pipe.place) == topics.identity(pipe.place)
    assert topics.identity(replace(pipe.place, epoch="another")) != topics.identity(pipe.place)


def test_a_broker_that_is_away_is_told(pipe: Pipe) -> None:
    away = replace(pipe.place, kafka=msgspec.structs.replace(pipe.place.kafka, bootstrap_servers="127.0.0.1:9"))
    with pytest.raises(UnavailableError, match=r"127\.0\.0\.1:9 does not answer"):
        topics.describe(away)


@pytest.mark.fault("B16")
def test_every_reader_comes_to_have_no_lag_though_markers_end_its_topics(pipe: Pipe) -> None:
    for _ in until("no lag anywhere"):
        if not any(lag.records for lag in topics.lags(pipe.place)):
            return
