"""Runs every verifier on every shape and writes what it said into docs/conformance.md: `make proof`."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

from support import elsewhere, shapes
from support.conformance import (
    SHAPES,
    STRINGS,
    Table,
    refused,
    sample_name,
    shapes_by_group,
    verified,
    write,
)
from support.others import VERIFIERS


def main() -> None:
    by_group: Table = {group: {SHAPES: count} for group, count in shapes_by_group().items()}
    by_sample: Table = {sample_name(signed): {} for signed in shapes.samples()}
    with TemporaryDirectory() as folder, elsewhere.knowing(Path(folder) / "errors.log") as node:
        for name, of in VERIFIERS.items():
            verify = of(node)
            counts, wrong = verified(verify)
            for group, cells in by_group.items():
                cells[name] = counts[group]
            for signed in shapes.samples():
                by_sample[sample_name(signed)][name], let_pass = refused(name, verify, signed)
                wrong += [f"{sample_name(signed)}: {path} can be changed" for path in let_pass]
            print(f"{name}: {counts.total()} shapes verify", *wrong, sep="\n  ")
    write(SHAPES, by_group, [SHAPES, *VERIFIERS])
    write(STRINGS, by_sample, list(VERIFIERS))


if __name__ == "__main__":
    main()
