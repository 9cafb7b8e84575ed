"""The documents that an installation's credentials point to, by URL, read from the topics: what a verifier needs, offline."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from credstream.reading import committed
from schemas.catalogue import Catalogue, unpack
from schemas.codec import decode
from schemas.events import CataloguePublished, StatusListPublished
from schemas.ids import achievement_url, issuer_document_url
from schemas.topology import CATALOGUE_PUBLISHED, LIST_PUBLISHED
from services.issuing.documents import OPEN_BADGES_V3, achievement_document, did_document
from streams.settings import Installation


def catalogues(installation: Installation) -> Mapping[str, Catalogue]:
    """Return each programme's latest published catalogue.

    Raises:
        UnavailableError: Kafka does not answer.
    """
    latest: dict[str, tuple[int, Catalogue]] = {}
    for record in committed(installation.bootstrap_servers, CATALOGUE_PUBLISHED):
        published = decode(record.value, CataloguePublished)
        if published.published_at >= latest.get(published.programme, (0,))[0]:
            catalogue = unpack(published.catalogue, published.digest)
            latest[published.programme] = (published.published_at, catalogue)
    return {programme: catalogue for programme, (_, catalogue) in latest.items()}


def catalogue_documents(catalogue: Catalogue) -> dict[str, bytes]:
    """Return a catalogue's public documents by URL: the issuer's DID document and each achievement."""
    documents: dict[str, Any] = {issuer_document_url(catalogue.base_url, catalogue.programme): did_document(catalogue)}
    for achievement in catalogue.achievements:
        url = achievement_url(catalogue.base_url, catalogue.programme, achievement.id)
        documents[url] = {"@context": [OPEN_BADGES_V3], **achievement_document(catalogue, achievement)}
    return {url: msgspec.json.encode(document) for url, document in documents.items()}


def status_lists(installation: Installation) -> dict[str, bytes]:
    """Return the newest signed version of every status list by URL.

    Raises:
        UnavailableError: Kafka does not answer.
    """
    newest: dict[str, StatusListPublished] = {}
    for record in committed(installation.bootstrap_servers, LIST_PUBLISHED):
        published = decode(record.value, StatusListPublished)
        if published.status_list not in newest or published.version > newest[published.status_list].version:
            newest[published.status_list] = published
    return {url: published.credential for url, published in newest.items()}


def documents(installation: Installation) -> dict[str, bytes]:
    """Return every document by URL.

    Raises:
        UnavailableError: Kafka does not answer.
    """
    out: dict[str, bytes] = {}
    for catalogue in catalogues(installation).values():
        out |= catalogue_documents(catalogue)
    return out | status_lists(installation)
