"""The forms of single values in a catalogue's files: addresses, codes, and the closed lists of Open Badges 3.0 (appendix B).

A credential that carries another form does not verify elsewhere, so it is refused before anything is published.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Form:
    """How a value is written, and how to say so."""

    pattern: str
    wanted: str


def _one_of(kind: str, *names: str) -> Form:
    """Return the form of a term of a list that may be extended."""
    return Form(rf"^({'|'.join(names)}|ext:[A-Za-z0-9._-]+)$", f"{kind} of Open Badges 3.0, or ext: and a word,")


_ADDRESS: Final = Form(r"^https?://[^\s/?#\\]+[^\s\\]*$", "an http or https address")
_EMAIL: Final = Form(r"^[^@\s]+@[^@\s]+\.[^@\s]+$", "an email address")
_COUNTRY: Final = Form(r"^[A-Z]{2}$", "a country by its two letters (CA)")
_COLOUR: Final = Form(r"^#[0-9a-fA-F]{6}$", "a colour (#0f4c5c)")
_LANGUAGE: Final = Form(r"^[A-Za-z]{2,8}(-[A-Za-z0-9]{1,8})*$", "a language by its code (en, fr-CA)")
_ACHIEVEMENT_TYPE: Final = _one_of(
    "an achievement type",
    *("Achievement", "ApprenticeshipCertificate", "Assessment", "Assignment", "AssociateDegree", "Award", "Badge"),
    *("BachelorDegree", "Certificate", "CertificateOfCompletion", "Certification", "CommunityService", "Competency"),
    *("Course", "CoCurricular", "Degree", "Diploma", "DoctoralDegree", "Fieldwork", "GeneralEducationDevelopment"),
    *("JourneymanCertificate", "LearningProgram", "License", "Membership", "ProfessionalDoctorate"),
    *("QualityAssuranceCredential", "MasterCertificate", "MasterDegree", "MicroCredential", "ResearchDoctorate"),
    "SecondarySchoolDiploma",
)
_TARGET_TYPE: Final = _one_of(
    "a target type",
    *("ceasn:Competency", "ceterms:Credential", "CFItem", "CFRubric", "CFRubricCriterion", "CFRubricCriterionLevel"),
    "CTDL",
)
_IDENTIFIER_TYPE: Final = _one_of(
    "an identifier type",
    *("name", "sourcedId", "systemId", "productId", "userName", "accountId", "emailAddress", "nationalIdentityNumber"),
    *("isbn", "issn", "lisSourcedId", "oneRosterSourcedId", "sisSourcedId", "ltiContextId", "ltiDeploymentId"),
    *("ltiToolId", "ltiPlatformId", "ltiUserId", "identifier"),
)
FORMS: Final[Mapping[str, Form]] = {
    **dict.fromkeys(("url", "logo", "image", "target_url"), _ADDRESS),
    "email": _EMAIL,
    "country": _COUNTRY,
    "colour": _COLOUR,
    "language": _LANGUAGE,
    "achievement_type": _ACHIEVEMENT_TYPE,
    "target_type": _TARGET_TYPE,
    "identifier_type": _IDENTIFIER_TYPE,
}
"""By the name of the field, wherever it stands."""
