"""The documents that an installation's credentials point to, by URL, read from the topics: what a verifier needs, offline."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

import msgspec

from credstream.reading import committed
from schemas.catalogue import Catalogue, unpack
from schemas.codec import decode
from schemas.events import CataloguePublished, StatusListPublished
from schemas.ids import achievement_url, issuer_document_url, jwk_url, key_history_url, provider_url, translated_url
from schemas.topology import CATALOGUE_PUBLISHED, LIST_PUBLISHED
from services.issuing.achievement import achievement_document, translated_document
from services.issuing.documents import CREDENTIALS_V2, OPEN_BADGES_V3, did_document, jwk, key_history, provider_profile
from streams.settings import Installation
from streams.wording import wording


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
    """Return a catalogue's public documents by URL: DID document, JWKs, providers, and achievements in each language."""
    found: dict[str, Any] = {}
    words = wording(catalogue)
    for provider in catalogue.providers:
        url = provider_url(catalogue.base_url, catalogue.programme, provider.id)
        found[url] = provider_profile(catalogue, provider)
    for achievement in catalogue.achievements:
        url = achievement_url(catalogue.base_url, catalogue.programme, achievement.id)
        endorsements = words.endorsements(achievement.id, time.time_ns() // 1000)
        found[url] = achievement_document(catalogue, achievement, endorsements=endorsements)
        for translation in achievement.translations:
            language = translation.language
            found[translated_url(url, language)] = translated_document(catalogue, achievement, language)
    context = [CREDENTIALS_V2, OPEN_BADGES_V3]
    documents = {url: {"@context": context, **about} for url, about in found.items()}
    for key in (key for key in catalogue.jwt_keys if key.removed_at is None):
        documents[jwk_url(catalogue.base_url, catalogue.programme, key.id)] = jwk(catalogue, key)
    documents[issuer_document_url(catalogue.base_url, catalogue.programme)] = did_document(catalogue)
    documents[key_history_url(catalogue.base_url, catalogue.programme)] = key_history(catalogue)
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
