"""`credstream endorse`: how a partner endorses an achievement, with a key of its own and without an installation."""

from __future__ import annotations

import getpass
import json
import uuid
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from credstream.cli.console import Exit, err, is_terminal, out
from schemas.errors import RefusedError
from services.issuing.documents import present
from services.issuing.endorsement import endorsement_document
from services.signing.data_integrity import sign
from services.signing.endorsing import did_key, did_key_method, endorsement_fault
from services.signing.shape import Shape
from streams.keystore import create_key, signer

KeyFile = Annotated[Path, Parameter(help="The partner's encrypted key file (PKCS#8).")]
Passphrase = Annotated[
    Path | None, Parameter(name="--passphrase-file", help="The key's passphrase; asked for unless given.")
]


def new_key(key: KeyFile, *, passphrase_file: Passphrase = None) -> Exit:
    """Make a partner's key file, and print the public key for the programme's `partners`.

    Example: credstream endorse key acme.pem
    """
    try:
        public = create_key(key, _passphrase(passphrase_file, "a passphrase for the new key"))
    except FileExistsError:
        raise RefusedError(f"{key} is there already; a key is never overwritten") from None
    out.print(f"made {key}; keep it and its passphrase to yourselves")
    out.print(f"for programme.yaml, under partners: key: {public}", soft_wrap=True, highlight=False)
    return Exit.DONE


def sign_endorsement(
    achievement: Annotated[str, Parameter(help="The achievement's URL.")],
    *,
    key: KeyFile,
    name: Annotated[str, Parameter(help="The partner's name, as credentials will show it.")],
    comment: Annotated[str, Parameter(help="What the partner says of the achievement.")],
    output: Annotated[Path, Parameter(name=["--output", "-o"], help="Where to write it.")],
    url: Annotated[str | None, Parameter(help="The partner's site.")] = None,
    until: Annotated[datetime | None, Parameter(help="The day on which it ends; without end unless given.")] = None,
    passphrase_file: Passphrase = None,
) -> Exit:
    """Endorse an achievement: that the competency is asked for, and that its assessment reflects the work.

    The file goes into the catalogue's folder, and its name under the achievement's `endorsements`.

    Example: credstream endorse sign https://…/achievements/pilots/site-safety --key acme.pem --name Acme --comment "…" -o acme.json
    """
    if not achievement.startswith("https://") or "/achievements/" not in achievement:
        raise RefusedError(f"{achievement}: an achievement's URL is wanted, as credstream rules show --json gives it")
    own = signer(key, _passphrase(passphrase_file, f"the passphrase of {key}"))
    now = datetime.now(UTC).replace(microsecond=0)
    document = endorsement_document(
        identifier=f"urn:uuid:{uuid.uuid4()}",
        partner=present({"id": did_key(own.public_multikey), "name": name, "url": url}),
        endorsed=achievement,
        comment=comment,
        valid_from=_stamp(now),
        valid_until=None if until is None else _stamp(until.replace(tzinfo=until.tzinfo or UTC)),
    )
    signed = sign(
        Shape(document), [], own, verification_method=did_key_method(own.public_multikey), created=_stamp(now)
    )
    output.write_bytes(json.dumps(json.loads(signed), ensure_ascii=False, indent=1).encode() + b"\n")
    out.print(f"{output}: endorsed {achievement} as {name}", soft_wrap=True, highlight=False)
    return Exit.DONE


def check_endorsement(file: Path) -> Exit:
    """Say who endorsed what, and whether the signature holds. Exit code 1 when it does not."""
    try:
        document = json.loads(file.read_text("utf-8"))
        key = str(document["issuer"]["id"]).removeprefix("did:key:")
        fault = endorsement_fault(document, key)
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise RefusedError(f"{file}: no endorsement ({error})") from None
    if fault is not None:
        err.print(f"{file}: {fault}")
        return Exit.NO
    subject = document["credentialSubject"]
    out.print(f"{document['issuer'].get('name')} ({key}) endorses {subject['id']}:", soft_wrap=True, markup=False)
    out.print(str(subject.get("endorsementComment", "")), markup=False)
    return Exit.DONE


def _stamp(instant: datetime) -> str:
    return instant.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _passphrase(path: Path | None, wanted: str) -> bytes:
    if path is not None:
        try:
            return path.read_bytes().strip()
        except OSError as error:
            raise RefusedError(f"{path}: {error.strerror}") from None
    if not is_terminal():
        raise RefusedError(f"{wanted} is needed: give --passphrase-file")
    return getpass.getpass(f"{wanted}: ").encode()
