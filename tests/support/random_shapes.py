"""Random shapes of credentials, with every optional part that an Open Badge has, and random values for their slots."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from typing import Any, Final

from services.signing.contexts import CREDENTIALS_V2, OPEN_BADGES_V3
from services.signing.shape import Slot, Text

FRENCH: Final = (
    "Zoé Lefèvre-Côté",
    "Sécurité en entrepôt : niveau débutant",
    "L\u2019hygiène des mains — « précautions »",
    "Œuvre d'été à Trois-Rivières",
    "Noe\u0308l Benoi\u0302t",
    "Transfert sécuritaire d\u0027un·e patient·e\u00a0!",
    "Îlot\u2011dessert, façon Ç",
)
_ODD: Final = (
    '"\\\x00\x01\b\t\n\f\r\x1f\x7f\u0080\u2028\ufffe\uffff\ufeff<>{}^`| \ue000\ud7ff\U0001f600\U0010ffff\u202e'
)
_IRI_CHARACTERS: Final = "abcXYZ0189-._~:/?#@!$&'()*+,;=%é漢ß\U0001f600"


class Maker:
    """Draws one shape after another from a seed."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self._kinds: dict[str, Callable[[], str]] = {}

    def document(self) -> dict[str, Any]:
        """Return a document with slots."""
        self._kinds = {}
        self._density = self.random.choices([0.08, 0.2, 0.4, 0.95], [20, 10, 4, 1])[0]
        some, many = self._some, self._many
        subject: dict[str, Any] = {
            **some(id=lambda: self.iri("subject", "urn:uuid:")),
            "type": ["AchievementSubject"],
            **some(
                role=lambda: self.text("role"),
                narrative=lambda: self.text("narrative"),
                licenseNumber=lambda: self.text("licence"),
                term=lambda: self.text("term"),
                creditsEarned=lambda: self.random.choice([0, 3, 1.5, 12.25]),
                activityStartDate=lambda: self.date("start"),
                activityEndDate=lambda: self.date("end"),
                source=lambda: self._profile("source"),
                identifier=lambda: many(1, 3, self._identity),
                result=lambda: many(1, 4, self._result),
            ),
            "achievement": self._achievement(),
        }
        return {
            "@context": [CREDENTIALS_V2, OPEN_BADGES_V3],
            "id": self.iri("id", "https://issuer.example/credentials/"),
            "type": ["VerifiableCredential", "OpenBadgeCredential"],
            "name": self.text("name"),
            "issuer": self._profile("issuer"),
            "validFrom": self.date("from"),
            "credentialSubject": subject,
            **({"endorsement": many(1, 2, self._endorsement)} if self.random.random() < self._density / 4 else {}),
            **some(
                description=lambda: Text(('avant "', self.text("description"), '" après\n')),
                validUntil=lambda: self.date("until"),
                awardedDate=lambda: self.date("awarded"),
                evidence=lambda: many(1, 4, self._evidence),
                credentialStatus=lambda: {
                    "id": Text(("https://issuer.example/status/", Slot("list"), "#", Slot("index"))),
                    "type": "BitstringStatusListEntry",
                    "statusPurpose": "revocation",
                    "statusListIndex": self.text("index", self._word),
                    "statusListCredential": self.iri("list", "https://issuer.example/status/"),
                },
            ),
        }

    def values(self, names: Sequence[str]) -> list[str]:
        """Return values for the slots of the last document: drawn from few, so that they coincide often."""
        self._few = [self._words() for _ in range(self.random.randint(1, 6))]
        self._few_iris = ["".join(self.random.choices(_IRI_CHARACTERS, k=self.random.randint(0, 8))) for _ in range(3)]
        return [self._kinds[name]() for name in names]

    # -- parts ---------------------------------------------------------------------------------------------------------

    def _achievement(self) -> dict[str, Any]:
        return {
            "id": "https://issuer.example/achievements/a",
            "type": ["Achievement"],
            "name": "Sécurité à l'entrepôt",
            "description": self.text("achieved"),
            "criteria": {"narrative": "Réussir."},
            **self._some(
                tag=lambda: ["fixed", *self._many(1, 3, lambda i: self.text(f"tag{i}"))],
                inLanguage=lambda: "fr",
                alignment=lambda: self._many(1, 3, self._alignment),
                resultDescription=lambda: self._many(1, 3, self._description),
                otherIdentifier=lambda: self._many(1, 2, self._other),
                creditsAvailable=lambda: 2.5,
                related=lambda: self._many(1, 2, lambda i: {"type": ["Related"], "id": self.iri(f"rel{i}", "https:")}),
            ),
        }

    def _profile(self, name: str) -> dict[str, Any]:
        return {
            "id": f"did:web:{name}.example",
            "type": ["Profile"],
            **self._some(
                name=lambda: self.text(f"{name}-name"),
                email=lambda: self.text(f"{name}-mail"),
                image=lambda: {"id": self.iri(f"{name}-image", "https:"), "type": "Image"},
                address=lambda: {"type": ["Address"], "addressLocality": self.text(f"{name}-place")},
            ),
        }

    def _identity(self, i: int) -> dict[str, Any]:
        hashed = {"type": "IdentityObject", "hashed": True, "identityType": "emailAddress"}
        return {**hashed, "identityHash": self.text(f"hash{i}"), "salt": self.text(f"salt{i}")}

    def _result(self, i: int) -> dict[str, Any]:
        return {
            "type": ["Result"],
            **self._some(
                resultDescription=lambda: self.iri(f"described{i}", "urn:rd:"),
                value=lambda: self.text(f"value{i}"),
                status=lambda: self.random.choice(["Completed", "Failed"]),
                alignment=lambda: [self._alignment(f"r{i}")],
            ),
        }

    def _description(self, i: int) -> dict[str, Any]:
        return {
            "id": self.iri(f"rd{i}", "urn:rd:"),
            "type": ["ResultDescription"],
            "name": self.text(f"rd-name{i}"),
            "resultType": "LetterGrade",
            **self._some(
                allowedValue=lambda: ["A", self.text(f"allowed{i}"), "A"],
                rubricCriterionLevel=lambda: self._many(1, 3, self._level),
            ),
        }

    def _level(self, i: int) -> dict[str, Any]:
        return {"id": f"urn:level:{i}", "type": ["RubricCriterionLevel"], "name": self.text(f"level{i}"), "points": "1"}

    def _alignment(self, i: object) -> dict[str, Any]:
        return {
            "type": ["Alignment"],
            "targetName": self.text(f"target{i}"),
            "targetUrl": self.iri(f"url{i}", "https:"),
        }

    def _other(self, i: int) -> dict[str, Any]:
        return {"type": "IdentifierEntry", "identifier": self.text(f"other{i}"), "identifierType": "identifier"}

    def _evidence(self, i: int) -> dict[str, Any]:
        return {
            **self._some(id=lambda: self.iri(f"evidence{i}", self.random.choice(["https:", "urn:e:"]))),
            "type": ["Evidence"],
            "name": self.text(f"evidence-name{i}"),
            **self._some(
                narrative=lambda: self.text("narrative"),
                genre=lambda: self._many(1, 3, lambda n: self.text(f"genre{n}")),
            ),
        }

    def _endorsement(self, i: int) -> dict[str, Any]:
        """Return a credential within the credential: its proof is a graph of its own."""
        proof = {
            "type": "DataIntegrityProof",
            "created": "2026-01-01T00:00:00Z",
            "cryptosuite": "eddsa-rdfc-2022",
            "proofPurpose": "assertionMethod",
            "verificationMethod": f"did:web:partner{i}.example#k",
            "proofValue": f"z{i}",
        }
        return {
            "id": f"urn:endorsement:{i}",
            "type": ["VerifiableCredential", "EndorsementCredential"],
            "name": self.text(f"endorsement{i}"),
            "issuer": {"id": f"did:web:partner{i}.example", "type": ["Profile"]},
            "validFrom": "2026-01-01T00:00:00Z",
            "credentialSubject": {"id": "https://issuer.example/achievements/a", "type": ["EndorsementSubject"]},
            "proof": [proof],
        }

    def _some(self, **parts: Callable[[], Any]) -> dict[str, Any]:
        return {name: made() for name, made in parts.items() if self.random.random() < self._density}

    def _many(self, least: int, most: int, made: Callable[[int], Any]) -> list[Any]:
        return [made(i) for i in range(self.random.randint(least, most))]

    # -- slots ---------------------------------------------------------------------------------------------------------

    def text(self, name: str, made: Callable[[], str] | None = None) -> Slot:
        self._kinds.setdefault(name, made or self._drawn)
        return Slot(name)

    def date(self, name: str) -> Slot:
        return self.text(name, lambda: f"2026-{self.random.randint(1, 12):02d}-0{self.random.randint(1, 9)}T10:00:00Z")

    def iri(self, name: str, scheme: str) -> Text:
        self._kinds[name] = lambda: self.random.choice(self._few_iris)
        return Text((scheme, Slot(name)))

    def _drawn(self) -> str:
        return self.random.choice(self._few) if self.random.random() < 0.7 else self._words()

    def _word(self) -> str:
        return str(self.random.randint(0, 131_071))

    def _words(self) -> str:
        kind = self.random.random()
        if kind < 0.4:
            return self.random.choice(FRENCH)
        if kind < 0.7:
            return "".join(self.random.choices(_ODD + "ab é", k=self.random.randint(0, 10)))
        return "".join(chr(self._code_point()) for _ in range(self.random.randint(0, 6)))

    def _code_point(self) -> int:
        code = self.random.randrange(0x110000)
        return code if not 0xD800 <= code <= 0xDFFF else 0x41
