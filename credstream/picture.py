"""The pipe as a Mermaid flowchart, drawn from the topology: the README shows it, a test holds the two together."""

from __future__ import annotations

from collections.abc import Iterator

from schemas.topology import TOPICS, Topic

_PEOPLE = {"gateway": "gateway", "staff": "staff", "publisher": "publisher", "subscribers": "subscribers"}


def mermaid() -> str:
    """Return the flowchart's text, one line a node or arrow; a processor's own state topics hang below it."""
    return "\n".join(["flowchart LR", *_nodes(), *_arrows()])


def _nodes() -> Iterator[str]:
    actors = dict.fromkeys(actor for topic in TOPICS for actor in (*topic.writers, *topic.readers))
    for actor in actors:
        yield f"    {actor}([{actor}])" if actor in _PEOPLE else f"    {actor}[[{actor}]]"
    for topic in TOPICS:
        yield f'    {_id(topic)}["{topic.name}"]'


def _arrows() -> Iterator[str]:
    for topic in TOPICS:
        own = set(topic.writers) & set(topic.readers)
        for writer in topic.writers:
            yield f"    {writer} {'<-.->' if writer in own else '-->'} {_id(topic)}"
        for reader in topic.readers:
            if reader not in own:
                yield f"    {_id(topic)} --> {reader}"


def _id(topic: Topic) -> str:
    return topic.name.replace(".", "_").replace("-", "_")
