"""Whom a verifier trusts, and with what: an installation's own issuers, or those of an export, offline. Nothing is fetched."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from credstream.documents import catalogue_documents, catalogues, status_lists
from credstream.reading import committed, credentials
from schemas.catalogue import Catalogue
from schemas.codec import decode
from schemas.errors import RefusedError
from schemas.events import CredentialStatus, CredentialStatusChanged, Micros
from schemas.ids import credential_url
from schemas.topology import STATUS_CHANGED
from services.issuing.documents import verification_method
from services.signing.issuers import KeyTerm
from services.signing.verifying import Verifier
from streams.settings import Installation


@dataclass(frozen=True, slots=True, kw_only=True)
class Trust:
    """What is at hand. Suspensions are told of credentials whose id begins with `told_of`, if that is set.

    Plain data, so that other processes can be given it.
    """

    documents: Mapping[str, bytes]
    terms: Mapping[str, KeyTerm] = field(default_factory=dict)
    told_of: str | None = None
    suspended: frozenset[str] = frozenset()
    reissued: Mapping[str, str] = field(default_factory=dict)

    def verifier(self, now: datetime) -> Verifier:
        """Return a verifier that trusts this."""
        return Verifier(
            self.documents, now=now, terms=self.terms, is_suspended=self.is_suspended, reissued_as=self.reissued.get
        )

    def is_suspended(self, credential: str) -> bool | None:
        """Say whether the credential with this id is suspended, or None when its issuer is not here to tell."""
        if self.told_of is None or not credential.startswith(self.told_of):
            return None
        return credential in self.suspended


def of_installation(place: Installation) -> Trust:
    """Return what an installation's topics say: its issuers, their keys, lists and suspensions.

    Raises:
        UnavailableError: Kafka does not answer.
    """
    known = catalogues(place)
    documents: dict[str, bytes] = {}
    for catalogue in known.values():
        documents |= catalogue_documents(catalogue)
    return Trust(
        documents=documents | status_lists(place),
        terms=key_terms(known.values()),
        told_of=credential_url(place.base_url, ""),
        suspended=frozenset(credential_url(place.base_url, name) for name in _suspended(place)),
        reissued=_reissued(place, known.values()),
    )


def _reissued(place: Installation, known: Collection[Catalogue]) -> dict[str, str]:
    """Return as what each credential of a compromised key was issued anew; nothing is read where no key is."""
    if not any(key.compromised_at is not None for catalogue in known for key in catalogue.keys):
        return {}
    newer: dict[str, str] = {}
    for issued in credentials(place.bootstrap_servers):
        if issued.supersedes is not None:
            url = credential_url(place.base_url, issued.credential_id)
            newer[credential_url(place.base_url, issued.supersedes)] = url
    return newer


def _suspended(place: Installation) -> frozenset[str]:
    latest: dict[str, tuple[Micros, CredentialStatus]] = {}
    for record in committed(place.bootstrap_servers, STATUS_CHANGED):
        event = decode(record.value, CredentialStatusChanged)
        if event.decided_at >= latest.get(event.credential_id, (0,))[0]:
            latest[event.credential_id] = event.decided_at, event.status
    return frozenset(name for name, (_, status) in latest.items() if status is CredentialStatus.SUSPENDED)


def of_export(folder: Path) -> Trust:
    """Return what an export's documents say. Suspensions are not among them.

    Raises:
        RefusedError: The folder is no export.
    """
    try:
        index = json.loads((folder / "documents.json").read_bytes())["documents"]
        inside = folder.resolve()
        files = {url: (folder / str(name)).resolve() for url, name in index.items()}
        return Trust(documents={url: path.read_bytes() for url, path in files.items() if path.is_relative_to(inside)})
    except (OSError, ValueError, LookupError, AttributeError, TypeError):
        raise RefusedError(f"{folder} holds no documents.json; `credstream export {folder}` writes one") from None


def key_terms(known: Collection[Catalogue]) -> dict[str, KeyTerm]:
    """Return for what and when each programme uses its keys, by verification method.

    A JWT does not say when it was made, only since when its credential is valid, so nothing follows from the times of its key.
    """
    return {
        verification_method(catalogue, key.id): KeyTerm(
            purpose=key.purpose,
            active_from=_instant(key.active_from),
            active_until=_end(key.active_until),
            is_compromised=key.compromised_at is not None,
        )
        for catalogue in known
        for key in catalogue.keys
    } | {
        verification_method(catalogue, key.id): KeyTerm(
            purpose="credentials", active_from=_instant(0), is_compromised=key.compromised_at is not None
        )
        for catalogue in known
        for key in catalogue.jwt_keys
    }


def _end(until: Micros | None) -> datetime | None:
    return None if until is None else _instant(until)


def _instant(micros: Micros) -> datetime:
    return datetime.fromtimestamp(micros / 1_000_000, UTC)
