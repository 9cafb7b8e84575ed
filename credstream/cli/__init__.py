"""The `credstream` command."""

from __future__ import annotations

import sys

from cyclopts import CycloptsError

from credstream.cli.console import Exit, err
from schemas.errors import PipelineError, RefusedError, UnavailableError


def main() -> None:
    """Run one command; a user's mistake or a missing service ends in one clear line, never in a stack trace."""
    from credstream.cli.commands import app  # noqa: PLC0415  `--help` needs none of it sooner

    try:
        code = app(exit_on_error=False)
    except CycloptsError:
        code = Exit.USAGE  # cyclopts has said what is wrong
    except RefusedError as error:
        code = _say(error, Exit.CONFIG)
    except UnavailableError as error:
        code = _say(error, Exit.UNAVAILABLE)
    except PipelineError as error:
        code = _say(error, Exit.NO)
    except KeyboardInterrupt:
        code = 130
    sys.exit(int(code or 0))


def _say(error: PipelineError, code: Exit) -> Exit:
    err.print(f"[bold red]credstream:[/] {error}", highlight=False, soft_wrap=True)
    return code
