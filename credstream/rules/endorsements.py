"""Reads the endorsements that a catalogue's folder holds, and verifies each with its partner's key before it is published."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from credstream.rules.yaml_source import Mistakes, Place
from schemas.catalogue import Partner
from services.signing.endorsing import did_key, endorsement_fault
from services.signing.multikey import public_bytes


def is_multikey(text: str) -> bool:
    """Say whether a text is an Ed25519 public key."""
    try:
        public_bytes(text)
    except ValueError:
        return False
    return True


class EndorsementReader:
    """Reads files of one folder."""

    def __init__(self, folder: Path, programme: str, partners: Sequence[Partner], mistakes: Mistakes) -> None:
        """Know the programme's partners; note what is wrong in ``mistakes``."""
        self._folder, self._programme, self._mistakes = folder, programme, mistakes
        self._partners = {did_key(partner.key): partner for partner in partners}

    def read(self, place: Place, name: str, achievement: str) -> str:
        """Return an endorsement as its partner signed it, as compact JSON; what is wrong with it is noted."""
        path = self._folder / name
        if not path.resolve().is_relative_to(self._folder.resolve()):
            self._mistakes.add(place, f"{name}: lies outside the catalogue's folder")
            return ""
        try:
            document: Any = json.loads(path.read_text("utf-8"))
            partner = self._partners.get(document["issuer"]["id"])
            endorsed = str(document["credentialSubject"]["id"])
        except OSError as error:
            self._mistakes.add(place, f"{name}: {error.strerror}")
            return ""
        except (ValueError, LookupError, TypeError):
            self._mistakes.add(place, f"{name}: no signed endorsement; credstream endorse makes one")
            return ""
        if partner is None:
            self._mistakes.add(
                place, f"{name}: signed by {document['issuer']['id']}, which is no partner of programme.yaml"
            )
        elif fault := endorsement_fault(document, partner.key):
            self._mistakes.add(place, f"{name}: {fault}")
        if not endorsed.endswith(f"/achievements/{self._programme}/{achievement}"):
            self._mistakes.add(place, f"{name}: endorses {endorsed}, not {achievement}")
        return json.dumps(document, ensure_ascii=False, separators=(",", ":"))
