"""What `credstream verify` prints quotes the credential, which anyone may have written."""

from __future__ import annotations

import io
import json

from rich.console import Console
from support.badges import DOCUMENTS, NOW, badge, signed

from credstream.cli.verifying import verdict_tree
from services.signing.verifying import Verifier


def test_a_credential_cannot_style_or_break_what_is_printed_of_it() -> None:
    document = {**signed(badge()), "issuer": "did:web:x[/]y[bold green]valid"}
    verdict = Verifier(DOCUMENTS, now=NOW).verify(json.dumps(document).encode())
    console = Console(file=io.StringIO(), width=120)
    console.print(verdict_tree("a[/]b.json", verdict))
    assert isinstance(console.file, io.StringIO)
    printed = console.file.getvalue()
    assert "a[/]b.json" in printed
    assert "did:web:x[/]y[bold green]valid is not known here" in printed
