"""Catalogue files that are broken or meant to do harm, each with a line that the loader must say about it.

Run as a program it loads every one under limits of the operating system and prints what was said and what it cost.
"""

from __future__ import annotations

import json
import os
import resource
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from credstream.rules.loader import CatalogueError, load

CPU_S = 20
"""Where a file costs more the operating system ends the program: a net for what has no end, not a measure of speed."""
MEMORY_BYTES = 2 << 30

PROGRAMME = "programme: p\nversion: 1\nissuer: {name: Issuer}\nproviders:\n  - {id: college, name: College}\n"
ASSESSMENTS = "".join(f"- {{id: {n}, name: N, providers: [college]}}\n" for n in ("theory", "practice"))
HEAD = "- id: first\n  name: First\n  description: D\n  criteria: C\n  rule:\n    requires: "
GOOD = {"programme.yaml": PROGRAMME, "assessments.yaml": ASSESSMENTS}
Writer = Callable[[Path], None]


@dataclass(frozen=True, kw_only=True)
class Hostile:
    """Files of a catalogue whose other files are good, or how to write them. `told`: how a line begins and ends."""

    name: str
    told: tuple[str, str]
    files: Mapping[str, str | bytes] | None = None
    write: Writer | None = None

    def __str__(self) -> str:
        return self.name


def achievements(name: str, text: str | bytes, begins: str, ends: str) -> Hostile:
    return Hostile(name=name, files={"achievements/a.yaml": text}, told=(begins, ends))


def requires(name: str, text: str, begins: str, ends: str) -> Hostile:
    return achievements(name, f"{HEAD}{text}\n", begins, ends)


def many_assessments(number: int, tail: str = "") -> str:
    return "".join(f"- {{id: a{n}, name: N, providers: [college]{tail}}}\n" for n in range(number))


def _link(folder: Path) -> None:
    (folder / "achievements" / "a.yaml").symlink_to("b.yaml")
    (folder / "achievements" / "b.yaml").symlink_to("a.yaml")


def _device(folder: Path) -> None:
    (folder / "achievements" / "a.yaml").symlink_to("/dev/zero")


def _fifo(folder: Path) -> None:
    os.mkfifo(folder / "achievements" / "a.yaml")


def _folder(folder: Path) -> None:
    (folder / "achievements" / "a.yaml").mkdir()


def _files(folder: Path) -> None:
    for n in range(1_001):
        (folder / "achievements" / f"{n}.yaml").touch()


def _sparse(folder: Path) -> None:
    with (folder / "achievements" / "a.yaml").open("wb") as file:
        file.truncate(10_000_000)


def _large_together(folder: Path) -> None:
    for n in range(6):
        (folder / "achievements" / f"{n}.yaml").write_text("#" * 900_000)


LAUGHS = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{chr(98 + n)}: &{chr(98 + n)} [{', '.join([f'*{chr(97 + n)}'] * 9)}]\n" for n in range(12)
)
NO_ALIAS = "anchors and aliases are not read"
EVERYTHING = "an expression has values of known types: numbers, texts, truths, times, results, and lists of these"


def cel(name: str, text: str, ends: str) -> Hostile:
    quoted = text.replace("\\", "\\\\").replace('"', '\\"')
    what = f'{{expression: {{assessments: theory, cel: "{quoted}"}}}}'
    return requires(name, what, "a.yaml:6:", ends)


CASES: list[Hostile] = [
    # what expands
    achievements("billion laughs", LAUGHS, "a.yaml:1:4: ", NO_ALIAS),
    requires("alias to itself", "&a {all: [*a]}", "a.yaml:6:25: ", NO_ALIAS),
    achievements(
        "quadratic blow-up", f"a: &a {'x' * 15_000}\nb: [{', '.join(['*a'] * 20_000)}]\n", "a.yaml:1:4: ", NO_ALIAS
    ),
    requires("merge key", "{<<: {all: []}}", "a.yaml:6:16: ", "merge keys are not read"),
    # what runs
    achievements(
        "python object",
        "- !!python/object/apply:os.system [id]\n",
        "a.yaml:1:3: ",
        "tags are not read: write the value alone",
    ),
    requires(
        "tag of a number",
        "{count: {number: !!int 1, assessments: theory}}",
        "a.yaml:6:32: ",
        "tags are not read: write the value alone",
    ),
    achievements(
        "tag directive",
        "%TAG !e! tag:x,2000:\n---\n- !e!x {}\n",
        "a.yaml:3:3: ",
        "tags are not read: write the value alone",
    ),
    # what is deep or large
    achievements(
        "open brackets",
        "- " + "[" * 100_000,
        "a.yaml:1:1002: ",
        "exceeded maximum nesting depth (while increasing flow level that begins in line 1)",
    ),
    achievements("brackets", "[" * 500 + "]" * 500, "a.yaml:1:31: ", "nested more than 30 deep"),
    achievements("open braces", "{a: " * 100_000, "a.yaml:1:", "nested more than 30 deep"),
    achievements("nested dashes", "- " * 200_000, "a.yaml:1:61: ", "nested more than 30 deep"),
    achievements("nested questions", "? " * 200_000, "a.yaml:1:61: ", "nested more than 30 deep"),
    requires(
        "deep criteria",
        "{none: [" * 13 + "{result: {assessment: theory}}" + "]}" * 13,
        "a.yaml:6:",
        "nested more than 30 deep",
    ),
    requires(
        "long all",
        "{all: [" + ", ".join(["{result: {assessment: theory}}"] * 1_001) + "]}",
        "a.yaml:1:3: first: ",
        "more than 1000 criteria",
    ),
    achievements("10 MB", b"#" * 10_000_000, "a.yaml:1:1: ", "10,000,000 bytes; at most 1,000,000 are read"),
    Hostile(
        name="10 MB of nothing", write=_sparse, told=("a.yaml:1:1: ", "10,000,000 bytes; at most 1,000,000 are read")
    ),
    Hostile(
        name="5 MB in several",
        write=_large_together,
        told=("achievements:1:1: ", "5,400,000 bytes in all; at most 5,000,000 are read"),
    ),
    achievements("many values", "[" + "a," * 400_000 + "]", "a.yaml:1:", "more than 100,000 values"),
    achievements(
        "many fields",
        "- {" + "".join(f"f{n}: 1, " for n in range(60_000)) + "}",
        "a.yaml:1:",
        "more than 100,000 values",
    ),
    achievements("many documents", "---\n" * 200_000, "a.yaml:2:1: ", "a file holds one document; here begins another"),
    achievements("many anchors", "- &a\n" * 90_000, "a.yaml:1:3: ", NO_ALIAS),
    achievements(
        "long text",
        f"- id: first\n  name: {'x' * 900_000}\n",
        "a.yaml:2:9: ",
        "a text of 900,000 characters; at most 20,000 are read",
    ),
    achievements("long key", f"- {'x' * 900_000}: 1\n", "a.yaml:", ""),
    achievements("long id", f"- id: {'x' * 15_000}\n", "a.yaml:1:7: xxx", "single hyphens, at most 100 characters"),
    achievements(
        "escapes",
        '- id: "' + "\\x41" * 200_000 + '"\n',
        "a.yaml:1:7: ",
        "a text of 200,000 characters; at most 20,000 are read",
    ),
    achievements("many mistakes", "- {}\n" * 30_000, "and more mistakes", "; mend these first"),
    achievements(
        "many unknown names",
        HEAD + "{all: [" + ", ".join(f"{{result: {{assessment: t{n}}}}}" for n in range(10_000)) + "]}\n",
        "and ",
        " more mistakes; mend these first",
    ),
    # what is not a file, or too many of them
    Hostile(name="links in a circle", write=_link, told=("a.yaml:1:1: cannot be read: ", "")),
    Hostile(name="device", write=_device, told=("a.yaml:1:1: ", "cannot be read: not a file")),
    Hostile(name="pipe", write=_fifo, told=("a.yaml:1:1: ", "cannot be read: not a file")),
    Hostile(name="folder", write=_folder, told=("a.yaml:1:1: ", "cannot be read: not a file")),
    Hostile(name="1,001 files", write=_files, told=("achievements:1:1: ", "more than 1,000 files")),
    # bytes that are no text, and text that hides
    achievements("binary", bytes(range(256)) * 4, "a.yaml:2:118: ", "not UTF-8"),
    achievements("UTF-16", "- id: first".encode("utf-16"), "a.yaml:1:1: ", "not UTF-8"),
    achievements("lone surrogate in bytes", b"- id: a\n  name: \xed\xa0\x80\n", "a.yaml:2:9: ", "not UTF-8"),
    achievements(
        "lone surrogate escaped",
        '- id: "\\uD800"\n',
        "a.yaml:1:",
        "found invalid Unicode character escape code (while parsing a quoted scalar that begins in line 1)",
    ),
    achievements("NUL", "- id: a\n  name: \x00\n", "a.yaml:2:9: ", "the character U+0000 is not allowed"),
    achievements("NULs", "\x00" * 900_000, "a.yaml:1:20: ", "the character U+0000 is not allowed"),
    achievements(
        "NUL escaped", '- id: first\n  name: "a\\0b"\n', "a.yaml:2:9: ", "the character U+0000 is not allowed"
    ),
    achievements("override", "- id: a\n  name: x\u202ey\n", "a.yaml:2:10: ", "the character U+202E is not allowed"),
    achievements(
        "override in a comment", "# x\u202ey\n- id: a\n", "a.yaml:1:4: ", "the character U+202E is not allowed"
    ),
    achievements("override in a name", '- "\\u202eid": a\n', "a.yaml:1:3: ", "the character U+202E is not allowed"),
    achievements(
        "line separator", '- id: first\n  name: "a\\u2028b"\n', "a.yaml:2:9: ", "the character U+2028 is not allowed"
    ),
    achievements("escape sequence", "- id: \x1b[2J\n", "a.yaml:1:7: ", "the character U+001B is not allowed"),
    achievements(
        "not normal", "- id: first\n  name: e\u0301\n", "a.yaml:2:9: ", "the text is not in Unicode normal form C"
    ),
    achievements(
        "piled marks",
        "- id: first\n  name: x" + "\u0334" * 40 + "\n",
        "a.yaml:2:9: ",
        "more than 30 combining marks in a row",
    ),
    # what YAML does not take
    achievements(
        "tab",
        "\t- x",
        "a.yaml:1:1: ",
        "found character that cannot start any token (while scanning for the next token that begins in line 1)",
    ),
    achievements(
        "unclosed",
        "- {id: first\n",
        "a.yaml:2:1: ",
        "did not find expected ',' or '}' (while parsing a flow mapping that begins in line 1)",
    ),
    achievements(
        "unclosed quote",
        "- id: 'first\n",
        "a.yaml:2:1: ",
        "found unexpected end of stream (while scanning a quoted scalar that begins in line 1)",
    ),
    achievements("list as a name", "- ? [a, b]\n  : c\n", "a.yaml:1:5: ", "a name is wanted here"),
    achievements("version", "%YAML 9.9\n---\n- a\n", "a.yaml:1:1: ", "found incompatible YAML document"),
    achievements("text alone", "hello", "a.yaml:1:1: ", "a list is wanted here"),
    # names
    achievements("field twice", "- {id: a, id: b}\n", "a.yaml:1:11: ", "id stands twice"),
    achievements(
        "unknown field",
        HEAD + "{holds: {achievement: first, levl: x}}\n",
        "a.yaml:6:",
        "unknown field levl; did you mean level?",
    ),
    achievements(
        "id twice",
        (HEAD + "{result: {assessment: theory}}\n") * 2,
        "a.yaml:7:3: ",
        "the achievement first stands twice",
    ),
    Hostile(
        name="assessment twice",
        files={"assessments.yaml": ASSESSMENTS * 2},
        told=("assessments.yaml:3:3: ", "the assessment theory stands twice"),
    ),
    requires("built on itself", "{holds: first}", "a.yaml:1:3: ", "built on itself: first -> first"),
    achievements(
        "long circle",
        "".join(HEAD.replace("first", f"a{n}", 1) + f"{{holds: a{(n + 1) % 2_000}}}\n" for n in range(2_000)),
        "a.yaml:1:3: built on itself: a0 -> ",
        " -> a0",
    ),
    # numbers, days and lengths of time
    requires(
        "huge number",
        f"{{count: {{number: {'9' * 6_000}, assessments: theory}}}}",
        "a.yaml:6:32: 999",
        "a whole number from 1 is wanted here",
    ),
    requires(
        "other digits",
        "{count: {number: ٣, assessments: theory}}",
        "a.yaml:6:32: ",
        "٣: a whole number from 1 is wanted here",
    ),
    requires(
        "negative",
        "{count: {number: -1, assessments: theory}}",
        "a.yaml:6:32: ",
        "-1: a whole number from 1 is wanted here",
    ),
    requires(
        "octal",
        "{count: {number: 0o7, assessments: theory}}",
        "a.yaml:6:32: ",
        "0o7: a whole number from 1 is wanted here",
    ),
    requires(
        "infinite",
        "{weighted: {at_least: 40 %, parts: {theory: .inf}}}",
        "a.yaml:6:",
        ".inf: a number with at most six decimals is wanted here",
    ),
    requires(
        "exponent",
        "{weighted: {at_least: 40 %, parts: {theory: 1e999999999}}}",
        "a.yaml:6:",
        "1e999999999: a number with at most six decimals is wanted here",
    ),
    requires(
        "share of nothing",
        "{result: {assessment: theory, at_least: 0 of 0}}",
        "a.yaml:6:",
        "0 of 0: a share is wanted here: a percentage from 0 % to 100 %, or 18 of 25",
    ),
    requires(
        "no such day",
        "{result: {assessment: theory, by: 9999-99-99}}",
        "a.yaml:6:49: ",
        "9999-99-99: a day is wanted here: 2027-01-05, or an instant with its offset",
    ),
    requires(
        "before time",
        "{result: {assessment: theory, by: 0000-01-01}}",
        "a.yaml:6:49: ",
        "0000-01-01: a day is wanted here: 2027-01-05, or an instant with its offset",
    ),
    requires(
        "year 10000",
        "{result: {assessment: theory, by: 10000-01-01}}",
        "a.yaml:6:49: ",
        "10000-01-01: a day is wanted here: 2027-01-05, or an instant with its offset",
    ),
    requires(
        "99999 years",
        "{result: {assessment: theory, recent: 99999 years}}",
        "a.yaml:6:53: ",
        "99999 years: lengths of time end at a hundred years",
    ),
    requires(
        "lengths",
        f"{{result: {{assessment: theory, recent: {'9 days ' * 2_500}x}}}}",
        "a.yaml:6:",
        "a length of time is wanted here: 90 days, 24 months, 1 year 6 months",
    ),
    Hostile(
        name="time zone",
        files={"programme.yaml": PROGRAMME + "time_zone: ../../../../etc/passwd\n"},
        told=("programme.yaml:6:12: no time zone", "such as America/Toronto"),
    ),
    Hostile(
        name="long time zone",
        files={"programme.yaml": PROGRAMME + f"time_zone: {'a/' * 9_000}\n"},
        told=("programme.yaml:6:12: no time zone", "such as America/Toronto"),
    ),
    # patterns
    requires(
        "long pattern",
        f"{{count: {{number: 1, assessments: '{'a*' * 5_000}'}}}}",
        "a.yaml:6:",
        "a pattern has at most 200 characters",
    ),
    Hostile(
        name="catastrophic pattern",
        files={
            "assessments.yaml": "".join(
                f"- {{id: {'a' * 90}{n}, name: N, providers: [college]}}\n" for n in range(5_000)
            ),
            "achievements/a.yaml": f"{HEAD}{{count: {{number: 1, assessments: '{'*a' * 60}*b'}}}}\n",
        },
        told=("a.yaml:6:", "no assessment is meant by this"),
    ),
    Hostile(
        name="many patterns",
        files={
            "assessments.yaml": many_assessments(10_000),
            "achievements/a.yaml": f"{HEAD}{{count: {{number: 1, assessments: [{', '.join(f'a*{n}' for n in range(5_000))}]}}}}\n",
        },
        told=("a.yaml:6:", "too many different patterns for so many assessments"),
    ),
    Hostile(
        name="patterns that multiply",
        files={
            "assessments.yaml": many_assessments(10_000),
            "achievements/a.yaml": "".join(
                f"{HEAD.replace('first', f'b{n}', 1)}{{count: {{number: 1, assessments: 'a*'}}}}\n"
                for n in range(2_000)
            ),
        },
        told=("a.yaml:", "the patterns of the catalogue mean more than 200,000 assessments in all"),
    ),
    Hostile(
        name="tags that multiply",
        files={
            "assessments.yaml": many_assessments(8_000, ", tags: [t]"),
            "achievements/a.yaml": f"{HEAD}{{all: [{', '.join(['{count: {number: all, assessments: tag:t}}'] * 900)}]}}\n",
        },
        told=("a.yaml:", "the patterns of the catalogue mean more than 200,000 assessments in all"),
    ),
    # examples, which are run
    achievements(
        "many examples",
        HEAD
        + "{result: {assessment: theory}}\n  examples: ["
        + "{name: n, results: [], attained: false}, " * 101
        + "]\n",
        "a.yaml:7:13: ",
        "101 examples; at most 100 are run",
    ),
    achievements(
        "large example",
        HEAD
        + "{result: {assessment: theory}}\n  examples: [{name: n, attained: false, results: ["
        + "{assessment: theory, date: 2026-01-01}, " * 101
        + "]}]\n",
        "a.yaml:7:14: ",
        "101 results; an example has at most 100",
    ),
    # expressions
    cel(
        "CEL: parentheses", "(" * 900 + "true" + ")" * 900, "expression: Expression recursion limit exceeded. limit: 32"
    ),
    cel("CEL: nested macros", "[1,2,3].all(x, " * 40 + "true" + ")" * 40, "recursion limit exceeded. limit: 32"),
    cel("CEL: long", "true && " * 500 + "true", "an expression has at most 2000 characters"),
    cel("CEL: huge literal", "1" * 1_900 + " == 1", "invalid int literal"),
    cel(
        "CEL: texts that double",
        "['aaaaaaaaaa']" + ".map(s, s + s + s + s)" * 20 + ".size() == 1",
        "texts are not joined in an expression",
    ),
    cel(
        "CEL: lists that double",
        "[[1, 2]]" + ".map(s, s + s)" * 20 + ".size() == 1",
        "lists are not joined in an expression",
    ),
    cel(
        "CEL: lists in lists",
        "[1]" + ".map(s, [s, s])" * 20 + ".exists(s, s == s)",
        "an expression makes no lists of lists",
    ),
    cel(
        "CEL: lists of the same",
        "held" + ".map(s, held)" * 20 + ".exists(s, s == s)",
        "an expression makes no lists of lists",
    ),
    cel("CEL: unknown types", "[1, 'a'].map(s, s + s).size() == 2", "texts are not joined in an expression"),
    cel("CEL: unknown types on purpose", "dyn(1) == 1", EVERYTHING),
    cel("CEL: maps", "{'a': [1]}.size() == 1", EVERYTHING),
    cel(
        "CEL: lists after wide characters",
        "'é😀' == 'x' || (held + held).size() > 1",
        "lists are not joined in an expression",
    ),
    cel(
        "CEL: misspelt",
        "results.exists(r, r.scor > 1)",
        "undefined field 'scor' not found in struct 'credstream.Result'",
    ),
    cel("CEL: number", "1 + 1", "an expression says true or false, and this one is INT"),
    cel("CEL: no such function", "system('id') == 1", "undeclared reference to 'system' (in container '')"),
]


def written(case: Hostile, folder: Path) -> Path:
    """Write a case's files."""
    (folder / "achievements").mkdir(parents=True)
    for name, text in {**GOOD, **(case.files or {})}.items():
        (folder / name).write_bytes(text if isinstance(text, bytes) else text.encode())
    if case.write is not None:
        case.write(folder)
    return folder


def measured() -> Iterator[tuple[str, float, list[str]]]:
    """Yield each case's name, the seconds of CPU and what the loader said."""
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    for case in CASES:
        with tempfile.TemporaryDirectory() as folder:
            path = written(case, Path(folder) / "catalogue")
            began = time.process_time()
            resource.setrlimit(resource.RLIMIT_CPU, (int(began) + CPU_S, resource.RLIM_INFINITY))
            try:
                load(path)
                said: list[str] = []
            except CatalogueError as error:
                said = list(error.mistakes)
            except Exception as error:  # noqa: BLE001  whatever a user would see as a stack trace
                said = [f"{type(error).__name__}: {error}"]
            yield case.name, time.process_time() - began, said


def main() -> None:
    """Print a line for each case, at once, so that the last one tells where it ended."""
    for line in measured():
        sys.stdout.write(json.dumps(line) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
