"""`credstream rules publish | propose | approve | versions | rollback`: how versions of a catalogue come into force."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final

import msgspec
from cyclopts import Parameter
from rich.table import Table

from credstream import installation as installations
from credstream.cli.console import (
    DEFAULT_FOLDER,
    Data,
    Exit,
    Json,
    Programme,
    Yes,
    chosen_programme,
    confirmed,
    installation,
    instant_of,
    out,
    write_json,
)
from credstream.cli.ruling import examples_hold, show_differences
from credstream.people import catalogue_signer, settings_of
from credstream.rules import proposals
from credstream.rules.adopted import AdoptedVersion, find, history, lanes_kept
from credstream.rules.loader import load
from credstream.rules.proposals import Proposal
from credstream.rules.publishing import adopt, check_next, prepared
from credstream.zones import minute, zone_of
from schemas.catalogue import Catalogue
from schemas.errors import RefusedError
from schemas.events import Micros
from streams.jwt_keys import jwt_keys as jwt_keys_of
from streams.settings import Installation

Effective = Annotated[
    str | None,
    Parameter(help="When it takes force: a day, or an instant with its offset; else as soon as it is adopted."),
]
Output = Annotated[Path, Parameter(name=["--output", "-o"], help="The proposal's file, to be handed on.")]
MaybeOutput = Annotated[
    Path | None, Parameter(name=["--output", "-o"], help="Write a proposal instead, for others to approve.")
]
Key = Annotated[Path | None, Parameter(help="The file of your catalogue key; by default that of this installation.")]
_DIGEST_CHARS: Final = 12


def publish_rules(
    folder: Annotated[Path, Parameter(help="A catalogue's folder.")],
    *,
    effective_from: Effective = None,
    key: Key = None,
    data: Data = DEFAULT_FOLDER,
) -> Exit:
    """Publish a catalogue: run its examples, sign it, and wait until every lane has adopted it.

    Publishing the current one changes nothing. To roll back, see `credstream rules rollback`. Where several people must sign
    (`catalogue_signatures`), see `credstream rules propose`.

    Example: credstream rules publish catalogues/ontario-pilots --effective-from 2027-01-01
    """
    draft = load(folder)
    if not examples_hold(draft):
        return Exit.NO
    place = installation(data)
    catalogue = installations.build_catalogue(place, draft)
    return _publish(place, catalogue, _effective(effective_from, catalogue), key)


def propose(
    folder: Annotated[Path, Parameter(help="A catalogue's folder.")],
    *,
    output: Output,
    effective_from: Effective = None,
    key: Key = None,
    data: Data = DEFAULT_FOLDER,
) -> Exit:
    """Sign a catalogue as the first person, into a file that another person approves; nothing is published.

    Example: credstream rules propose catalogues/ontario-pilots -o autumn.proposal
    """
    draft = load(folder)
    if not examples_hold(draft):
        return Exit.NO
    place = installation(data)
    catalogue = installations.build_catalogue(place, draft)
    return _propose(place, catalogue, _effective(effective_from, catalogue), key, output)


def approve(
    file: Annotated[Path, Parameter(help="The proposal's file.")],
    *,
    key: Key = None,
    yes: Yes = False,
    data: Data = DEFAULT_FOLDER,
) -> Exit:
    """Show what a proposal changes, sign it as another person, and publish it when enough people have signed.

    Example: credstream rules approve autumn.proposal --key /media/mo/catalogue.pem
    """
    place = installation(data)
    proposal = proposals.read(file)
    event, catalogue = proposal.event, proposal.catalogue
    pinned = settings_of(place, event.programme)
    needed = max(1, pinned.catalogue_signatures)
    kid, signer = catalogue_signer(place, event.programme, key)
    versions = check_next(place, proposal)
    if catalogue.base_url != place.base_url:
        raise RefusedError(f"{file} is for {catalogue.base_url}; this installation is {place.base_url}")
    signers = list(proposal.signers(pinned))
    show_differences(versions[-1].catalogue if versions else None, catalogue)
    out.print(
        f"{catalogue.programme} {catalogue.version} as adoption {event.adoption_no}, "
        f"in force {_from(event.effective_from, catalogue)}; signed by {', '.join(signers) or 'nobody'}"
    )
    out.print(event.digest)
    if kid in signers:
        raise RefusedError(f"{kid} has signed it already; {needed} different people must, so use another key (--key)")
    what = "Sign and publish it" if len(signers) + 1 >= needed else "Sign it"
    if not confirmed(f"{what} as {kid}?", yes=yes):
        return Exit.NO
    signed = proposal.signed(signer, kid)
    proposals.write(signed, file)
    if len(signers) + 1 < needed:
        out.print(f"signed; {needed - len(signers) - 1} more must sign {file}")
        return Exit.DONE
    return _adopt(place, signed)


def versions(*, programme: Programme = None, as_json: Json = False, data: Data = DEFAULT_FOLDER) -> Exit:
    """List the catalogue versions that were adopted: number, name, digest, since when they are in force, and lanes.

    Example: credstream rules versions
    """
    place = installation(data)
    found = history(lanes_kept(place), chosen_programme(place, programme))
    if as_json:
        write_json([_plain(one) for one in found])
        return Exit.DONE
    table = Table("no", "version", "digest", "adopted", "in force from", "lanes")
    for one in found:
        zone = zone_of(one.catalogue)
        first, last = min(one.adopted_at.values()), max(one.adopted_at.values())
        until = f"\nto {minute(last, zone)}" if minute(last, zone) != minute(first, zone) else ""
        table.add_row(
            str(one.number),
            one.catalogue.version,
            one.digest.removeprefix("sha256-")[:_DIGEST_CHARS],
            minute(first, zone) + until,
            minute(one.in_force_from, zone) if one.number > 1 or one.effective_from else "the beginning",
            f"{len(one.adopted_at)} of {place.kafka.lanes}",
        )
    out.print(table if found else "no catalogue was adopted yet; credstream rules publish one")
    return Exit.DONE


def rollback(
    version: Annotated[str, Parameter(help="The number or digest of a former version: credstream rules versions.")],
    *,
    effective_from: Effective = None,
    key: Key = None,
    output: MaybeOutput = None,
    programme: Programme = None,
    yes: Yes = False,
    data: Data = DEFAULT_FOLDER,
) -> Exit:
    """Publish a former version again, with the keys of today. What it changes is shown first.

    What was granted meanwhile stays: see `credstream rules recall`.

    Example: credstream rules rollback 3
    """
    place = installation(data)
    chosen = chosen_programme(place, programme)
    known = history(lanes_kept(place), chosen)
    former = find(known, version)
    keys = tuple(installations.public_keys(place, chosen))
    catalogue = former.catalogue
    jwt_keys = tuple(jwt_keys_of(place, chosen))
    if (catalogue.keys, catalogue.jwt_keys) != (keys, jwt_keys):
        catalogue = msgspec.structs.replace(catalogue, keys=keys, jwt_keys=jwt_keys)
        out.print("it had other keys, which stay as they are today: so its digest is a new one")
    if not show_differences(known[-1].catalogue, catalogue) and effective_from is None:
        return Exit.DONE
    if not confirmed(f"Go back to adoption {former.number} ({catalogue.version})?", yes=yes):
        return Exit.NO
    effective = _effective(effective_from, catalogue)
    if output is not None:
        return _propose(place, catalogue, effective, key, output)
    return _publish(place, catalogue, effective, key)


def _publish(place: Installation, catalogue: Catalogue, effective: Micros | None, key: Path | None) -> Exit:
    proposal, current = prepared(place, catalogue, effective, say=out.print)
    if current is not None:
        return _is_current(current)
    kid, signer = catalogue_signer(place, catalogue.programme, key)
    out.print(f"signed by {kid}")
    return _adopt(place, proposal.signed(signer, kid))


def _propose(
    place: Installation, catalogue: Catalogue, effective: Micros | None, key: Path | None, output: Path
) -> Exit:
    proposal, current = prepared(place, catalogue, effective, say=out.print)
    if current is not None:
        return _is_current(current)
    kid, signer = catalogue_signer(place, catalogue.programme, key)
    proposals.write(proposal.signed(signer, kid), output)
    out.print(
        f"{output}: {catalogue.programme} {catalogue.version}, adoption {proposal.event.adoption_no}, signed by {kid}"
    )
    out.print(f"next, another person: credstream rules approve {output} --key FILE")
    return Exit.DONE


def _is_current(current: AdoptedVersion) -> Exit:
    name = f"{current.catalogue.programme} {current.catalogue.version}"
    out.print(f"{name}, adoption {current.number}: this is the current version already")
    out.print(current.digest)
    return Exit.DONE


def _adopt(place: Installation, proposal: Proposal) -> Exit:
    published = adopt(place, proposal, say=out.print)
    catalogue = proposal.catalogue
    out.print(f"{catalogue.programme} {catalogue.version}, adoption {published.adoption_no}: adopted by every lane")
    out.print(published.digest)
    return Exit.DONE


def _effective(text: str | None, catalogue: Catalogue) -> Micros | None:
    return None if text is None else instant_of(text, zone_of(catalogue))


def _from(effective: Micros | None, catalogue: Catalogue) -> str:
    return "as soon as it is adopted" if effective is None else f"from {minute(effective, zone_of(catalogue))}"


def _plain(one: AdoptedVersion) -> dict[str, object]:
    return {
        "number": one.number,
        "version": one.catalogue.version,
        "digest": one.digest,
        "effective_from": one.effective_from,
        "in_force_from": one.in_force_from if one.number > 1 or one.effective_from else 0,
        "adopted_at": {str(lane): at for lane, at in sorted(one.adopted_at.items())},
    }
