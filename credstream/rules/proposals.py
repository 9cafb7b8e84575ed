"""A catalogue version on its way: the very bytes to be adopted, and who has signed them so far. A file that people hand on."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

import msgspec
from msgspec import Struct

from schemas.catalogue import Catalogue, pack, unpack
from schemas.codec import decode, encode
from schemas.errors import MalformedError, RefusedError
from schemas.events import CatalogueAdopted, CataloguePublished, Micros
from services.signing.jws import sign_detached, signer_of
from services.signing.keys import Signer
from streams.settings import ProgrammeSettings

_KIND = "credstream catalogue proposal 1"


class Signature(Struct, frozen=True, kw_only=True):
    """One person's signatures (detached JWS): over the adoption, and over the copy for the archive."""

    adopted: str
    published: str


class Proposal(Struct, frozen=True, kw_only=True):
    """What is to be adopted, as records; `signatures` by everyone who signed."""

    kind: str = _KIND
    adopted: bytes
    published: bytes
    signatures: tuple[Signature, ...] = ()

    @property
    def event(self) -> CatalogueAdopted:
        """Return the adoption."""
        return decode(self.adopted, CatalogueAdopted)

    @property
    def catalogue(self) -> Catalogue:
        """Return the catalogue."""
        event = self.event
        return unpack(event.catalogue, event.digest)

    def signed(self, signer: Signer, kid: str) -> Proposal:
        """Return the proposal with one more signature."""
        one = Signature(
            adopted=sign_detached(self.adopted, signer, kid).decode(),
            published=sign_detached(self.published, signer, kid).decode(),
        )
        return msgspec.structs.replace(self, signatures=(*self.signatures, one))

    def signers(self, pinned: ProgrammeSettings) -> Sequence[str]:
        """Return the ids of the pinned keys that have signed both records, each key once."""
        by_key: dict[str, str] = {}
        for one in self.signatures:
            kids = {
                signer_of(token.encode(), payload, pinned.catalogue_keys)
                for token, payload in ((one.adopted, self.adopted), (one.published, self.published))
            }
            kid = kids.pop()
            if kid is not None and not kids:
                by_key.setdefault(pinned.catalogue_keys[kid], kid)
        return list(by_key.values())


def propose(catalogue: Catalogue, adoption_no: int, effective_from: Micros | None) -> Proposal:
    """Return a proposal that nobody has signed.

    Raises:
        RefusedError: The catalogue is too large.
    """
    try:
        digest, packed = pack(catalogue)
    except ValueError as error:
        raise RefusedError(str(error)) from None
    adopted = CatalogueAdopted(
        programme=catalogue.programme,
        adoption_no=adoption_no,
        digest=digest,
        effective_from=effective_from,
        catalogue=packed,
    )
    published = CataloguePublished(
        programme=catalogue.programme, digest=digest, published_at=time.time_ns() // 1000, catalogue=packed
    )
    return Proposal(adopted=encode(adopted), published=encode(published))


def read(path: Path) -> Proposal:
    """Return a proposal from its file.

    Raises:
        RefusedError: It is none, or what is archived would not be what is adopted.
    """
    try:
        proposal = msgspec.json.decode(path.read_bytes(), type=Proposal)
        event, catalogue = proposal.event, proposal.catalogue
        published = decode(proposal.published, CataloguePublished)
    except OSError as error:
        raise RefusedError(f"{path}: {error.strerror}") from None
    except (msgspec.DecodeError, MalformedError) as error:
        raise RefusedError(f"{path} is no proposal: {error}") from None
    same = (event.programme, event.digest, event.catalogue) == (
        published.programme,
        published.digest,
        published.catalogue,
    )
    if proposal.kind != _KIND or not same or catalogue.programme != event.programme:
        raise RefusedError(f"{path} is no proposal: its parts do not belong together")
    return proposal


def write(proposal: Proposal, path: Path) -> None:
    """Write a proposal's file; one that is there is replaced as a whole."""
    draft = path.with_name(f"{path.name}.draft")
    draft.write_bytes(msgspec.json.format(msgspec.json.encode(proposal)) + b"\n")
    draft.replace(path)
