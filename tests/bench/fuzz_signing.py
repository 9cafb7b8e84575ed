"""Compiled shapes against PyLD, on random credentials, for as long as it takes: `make fuzz COUNT=100000 SEED=1`.

Each credential's canonical form must be that of the full path (PyLD for the meaning, pyoxigraph's RDFC-1.0) and its JSON that of
the document. One in ten is canonicalised by PyLD alone too, where its text holds nothing that PyLD is known to escape wrongly.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import re
import sys
import time
from collections import Counter

from pyld import jsonld
from support.random_shapes import Maker

from schemas.text import text_fault
from services.signing.contexts import load
from services.signing.plain import UnsignableError
from services.signing.rdf import canonical
from services.signing.shape import Shape, SlotError

VALUES_PER_SHAPE = 50
NOT_ESCAPED = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ufffe\uffff]")


def pylds_own(document: dict[str, object]) -> bytes:
    options = {"algorithm": "URDNA2015", "format": "application/n-quads", "documentLoader": load, "base": None}
    return str(jsonld.normalize(document, options)).encode()


def check(shape: Shape, values: list[str], number: int) -> str:
    """Compare one credential on every path; returns which one gave its canonical form."""
    in_json, in_nquads = shape.escaped(values)
    document = shape.document(values)
    expected = canonical(document)
    found = shape.canonical(values, in_nquads)
    assert found == expected, "another canonical form than the full path's"
    assert shape.digest(values, in_nquads) == hashlib.sha256(expected).digest(), "another digest"
    assert json.loads(shape.json(in_json) + b"}") == document, "other JSON"
    if number % 10 == 0 and not any(map(NOT_ESCAPED.search, values)):
        assert pylds_own(document) == expected, "another canonical form than PyLD's own"
        return "PyLD alone too"
    return "laid out" if shape.is_laid_out(in_nquads) else "sorted, or the full path"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--count", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    asked = parser.parse_args()
    maker, paths, refused, shapes, number = Maker(asked.seed), Counter[str](), Counter[str](), 0, 0
    began = said = time.monotonic()
    while number < asked.count:
        document = maker.document()
        shape = Shape(document)
        shapes += 1
        for _ in range(VALUES_PER_SHAPE):
            values = maker.values(shape.slots)
            try:
                paths[check(shape, values, number)] += 1
            except (SlotError, UnsignableError) as error:
                if isinstance(error, UnsignableError) and not any(map(text_fault, values)):
                    raise  # text that the log may hold is never refused
                refused[str(error).partition(": ")[2] or str(error)] += 1
                continue
            except AssertionError as error:
                sys.exit(f"seed {asked.seed}, credential {number}: {error}\n{json.dumps(shape.document(values))}")
            number += 1
        if time.monotonic() - said > 10:
            said = time.monotonic()
            print(f"{number:,} credentials of {shapes:,} shapes", flush=True)
    print(
        f"seed {asked.seed}: {number:,} credentials of {shapes:,} shapes are byte for byte what the full path makes of them"
    )
    print(f"by path: {dict(paths)}; refused: {dict(refused)}; {time.monotonic() - began:.0f} s")


if __name__ == "__main__":
    main()
