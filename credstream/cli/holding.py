"""`credstream credential get` and `credstream learner record`: what holders take with them."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Final, Literal

from cyclopts import Parameter

from credstream.cli.asking import programme_of
from credstream.cli.console import DEFAULT_FOLDER, Data, Exit, err, installation, out
from credstream.forms import credential_form, learner_form
from credstream.gateway.records import Records
from credstream.why import learner_ref_of
from schemas.errors import RefusedError
from services.forms.words import Language
from streams.form_store import Form
from streams.tables import open_database

Output = Annotated[
    Path | None, Parameter(name=["--output", "-o"], help="Where to write it; by default its name, here.")
]
InLanguage = Annotated[Language, Parameter(help="Of images and PDFs: en or fr.")]
_STANDARD_OUTPUT: Final = Path("-")


def get(
    credential: Annotated[str, Parameter(help="The credential's id, or its URL.")],
    *,
    form: Annotated[
        Literal["json", "jwt", "png", "svg", "pdf"],
        Parameter(help="json: as issued; jwt: for wallets; png, svg: a badge with it inside; pdf: a certificate."),
    ] = "json",
    language: InLanguage = "en",
    output: Output = None,
    data: Data = DEFAULT_FOLDER,
) -> Exit:
    """Write a credential, or another form of it, to a file (`-o -`: to standard output).

    Exit code 1 when there is no such credential.

    Example: credstream credential get 6f9619ff-8b86-8011-b42d-00c04fc964ff --form pdf --language fr -o certificat.pdf
    """
    place, name = installation(data), credential.rpartition("/")[2]
    if form == "json":
        row = Records(open_database(place.database_url)).credential(name)
        found = None if row is None else Form(row.document, "application/vc")
    else:
        found = credential_form(place, name, form, language)
    return _written(found, f"no credential {name} was issued here", output or Path(f"{name}.{form}"))


def record(
    learner: Annotated[str, Parameter(help="scheme:identifier (email:a@example.ca) or the learner_ref.")],
    *,
    form: Annotated[
        Literal["jwt", "pdf"],
        Parameter(help="jwt: a Comprehensive Learner Record 2.0; pdf: a transcript with it inside."),
    ] = "pdf",
    programme: Annotated[str | None, Parameter(help="Needed when the installation has several.")] = None,
    language: InLanguage = "en",
    output: Output = None,
    data: Data = DEFAULT_FOLDER,
) -> Exit:
    """Write a learner's record of every credential that holds now: signed, and for printing.

    Exit code 1 when they hold none.

    Example: credstream learner record email:dana@example.ca --language fr -o releve.pdf
    """
    place = installation(data)
    chosen = programme_of(place.programmes, programme)
    found = learner_form(place, chosen, learner_ref_of(place, chosen, learner), form, language)
    return _written(found, "this learner holds no credential now", output or Path(f"learner-record.{form}"))


def _written(found: Form | None, missing: str, output: Path) -> Exit:
    if found is None:
        err.print(missing)
        return Exit.NO
    if output == _STANDARD_OUTPUT:
        sys.stdout.buffer.write(found.body)
        return Exit.DONE
    try:
        output.write_bytes(found.body)
    except OSError as error:
        raise RefusedError(f"{output}: {error.strerror}") from None
    out.print(f"{output}: {len(found.body):,} bytes, {found.digest}", soft_wrap=True, highlight=False)
    return Exit.DONE
