"""A catalogue that says all that a catalogue can say, and a partner who endorses in it."""

from __future__ import annotations

import json
from pathlib import Path

from credstream.rules.loader import load
from schemas.catalogue import Catalogue, Key
from services.issuing.endorsement import endorsement_document
from services.signing.data_integrity import sign
from services.signing.endorsing import did_key, did_key_method
from services.signing.keys import LocalSigner, seed_signer
from services.signing.shape import Shape

BASE = "https://credentials.college.example"
SIGNER = seed_signer(bytes(32))
PARTNER = seed_signer(bytes([7] * 32))
KEY = Key(id="credentials-1", purpose="credentials", public_key_multibase=SIGNER.public_multikey, active_from=0)
ENDORSED = f"{BASE}/achievements/college/patient-transfer"

PROGRAMME = f"""\
programme: college
version: "2026.2"
issuer:
  name: Collège boréal d'essai (fictional)
  description: A college that exists in tests alone.
  url: https://college.example/
  email: registrar@college.example
  country: CA
  region: Ontario
  logo: https://college.example/logo.svg
  colour: "#7a1f3d"
  identifiers: [{{identifier: "C-17", type: "ext:CollegeCode"}}]
providers:
  - {{id: clinic, name: Clinic (fictional), url: "https://clinic.example/"}}
  - {{id: theory-centre, name: Theory Centre (fictional)}}
partners:
  - {{id: hospital, name: Hospital (fictional), key: {PARTNER.public_multikey}, url: "https://hospital.example/"}}
"""
ASSESSMENTS = """\
- {id: theory, name: Transfer theory, fr: Théorie du transfert, providers: [theory-centre, clinic]}
- id: practical
  name: Supervised transfer
  fr: Transfert supervisé
  providers: [clinic]
  levels:
    - {name: weak, description: Needs help at each step., points: 1}
    - {name: sound, description: Safe without help., points: 2}
    - {name: strong, description: "Safe, and teaches others.", points: 3}
- {id: attendance, name: Attendance, providers: [clinic]}
"""
ACHIEVEMENTS = """\
- id: first-aid
  name: First aid
  description: Helps at once.
  criteria: Attend.
  rule: {requires: {result: {assessment: attendance, passed: true}}}
- id: patient-transfer
  name: Patient transfer
  description: Moves patients without harm.
  criteria: |
    **How it is earned.** Score 80 % in theory, and show a sound transfer.
  achievement_type: MicroCredential
  field_of_study: Health care
  sector: Health
  code: HC-204
  credits: 1.5
  role: trainee
  tags: [health, transfer]
  related: [first-aid]
  endorsements: [endorsements/hospital.json]
  alignments:
    - target_name: Nurse aides, orderlies and patient service associates
      target_url: https://noc.esdc.gc.ca/Structure/NocProfile?code=33102
      target_framework: NOC 2021
      target_code: "33102"
      target_description: Assist in the care of patients.
      target_type: ext:NOC
  fr:
    name: Transfert de patients
    description: Déplace des patients sans leur nuire.
    criteria: "**Comment l'obtenir.** 80 % en théorie et un transfert sûr."
  rule:
    requires:
      all:
        - result: {assessment: theory, at_least: 80 %}
        - result: {assessment: practical, level: sound}
    levels:
      pass: {result: {assessment: theory, at_least: 80 %}}
      distinction: {result: {assessment: theory, at_least: 95 %}}
"""


def endorsement(signer: LocalSigner = PARTNER, endorsed: str = ENDORSED, until: str | None = None) -> bytes:
    """Return an endorsement that a partner signed."""
    document = endorsement_document(
        identifier="urn:uuid:0192f0aa-5d6f-8c11-8c0a-3f6f0b7f2b01",
        partner={
            "id": did_key(signer.public_multikey),
            "name": "Hospital (fictional)",
            "url": "https://hospital.example/",
        },
        endorsed=endorsed,
        comment="We hire for this, and the supervised transfer is what the ward is like.",
        valid_from="2026-01-01T00:00:00Z",
        valid_until=until,
    )
    method = did_key_method(signer.public_multikey)
    return sign(Shape(document), [], signer, verification_method=method, created="2026-01-01T00:00:00Z")


def write_folder(folder: Path, endorsed: bytes | None = None) -> Path:
    """Write the catalogue's files."""
    for name, text in {
        "programme.yaml": PROGRAMME,
        "assessments.yaml": ASSESSMENTS,
        "achievements/all.yaml": ACHIEVEMENTS,
        "endorsements/hospital.json": (endorsed or endorsement()).decode(),
    }.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(text, "utf-8")
    return folder


def catalogue(folder: Path, endorsed: bytes | None = None) -> Catalogue:
    """Return the catalogue."""
    return load(write_folder(folder, endorsed)).build(base_url=BASE, keys=[KEY])


def tampered(signed: bytes) -> bytes:
    """Return an endorsement that says more than was signed."""
    document = json.loads(signed)
    document["credentialSubject"]["endorsementComment"] += " Truly."
    return json.dumps(document).encode()
