"""A simulation, summed up while it runs: counts by achievement, rows for spreadsheets and JSON. Memory is bounded."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryFile
from types import TracebackType
from typing import Any, BinaryIO, Final, Self

import msgspec

from credstream.rules.simulating import Compared, Effect, Trial
from credstream.zones import day
from schemas.catalogue import Achievement
from schemas.events import Micros
from services.competency.reasons import Node, asked, explanation, lines

_EXAMPLES: Final = 3
_REASONS: Final = 200
"""How many different reasons of an achievement and effect are counted; of those that come later only the number."""
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r")
_COLUMNS: Final = (
    "achievement",
    "name",
    "learner_ref",
    "effect",
    "level_now",
    "level_draft",
    "attained_now",
    "attained_draft",
    "until_now",
    "until_draft",
    "missing",
)


def in_words(missing: Sequence[Node], names: Mapping[str, str], zone: str) -> list[str]:
    """Return in a line each what is missing."""
    return [lines(explanation(node), names=names, zone=zone)[0].text for node in missing]


@dataclass(slots=True)
class Summary:
    """What a draft does to one achievement. `reasons` counts what is missing, by effect; `examples` are a few learners."""

    achievement: str
    name: str
    change: str
    on_loss: str
    holders_now: int = 0
    holders_draft: int = 0
    effects: Counter[Effect] = field(default_factory=Counter)
    reasons: dict[Effect, Counter[str]] = field(default_factory=dict)
    examples: dict[Effect, list[str]] = field(default_factory=dict)

    def add(self, found: Compared, missing: Sequence[str]) -> None:
        """Count one learner; ``missing`` is what is asked and not met, the same words for all who miss it."""
        self.holders_now += found.now is not None
        self.holders_draft += found.draft is not None
        if found.effect is None:
            return
        self.effects[found.effect] += 1
        said = self.reasons.setdefault(found.effect, Counter())
        if reason := "; ".join(missing):
            said[reason if reason in said or len(said) < _REASONS else "for other reasons"] += 1
        learners = self.examples.setdefault(found.effect, [])
        if len(learners) < _EXAMPLES:
            learners.append(found.learner_ref)

    def plain(self) -> dict[str, Any]:
        """Return what programs are told."""
        return {
            "achievement": self.achievement,
            "name": self.name,
            "change": self.change,
            "on_loss": self.on_loss,
            "holders_now": self.holders_now,
            "holders_draft": self.holders_draft,
            **{effect: self.effects[effect] for effect in Effect},
            "reasons": {
                effect: [{"missing": reason, "learners": count} for reason, count in said.most_common()]
                for effect, said in self.reasons.items()
                if said
            },
        }


def summaries(tried: Trial, names: Sequence[str]) -> dict[str, Summary]:
    """Return an empty summary of each achievement, with what publishing the draft as it is would mean."""
    return {name: _summary(tried, name) for name in names}


def _summary(tried: Trial, name: str) -> Summary:
    before, after = tried.now.rules.get(name, ()), tried.draft.rules.get(name, ())
    stated: Achievement | None = tried.draft.newest.achievements.get(name)
    known = tried.now.newest.achievements.get(name)
    if stated is None:
        change = "removed"
    elif known is None:
        change = "added"
    elif before == after:
        change = "unchanged"
    else:
        change = "changed" if before[-1].rule_digest != after[-1].rule_digest else "unchanged"
    about = stated or known
    version = (after or before)[-1]
    return Summary(name, name if about is None else about.name, change, version.rule.on_loss)


class Rows:
    """Every learner on whom a draft has an effect, in a file without a name that ends with this."""

    def __init__(self, zone: str) -> None:
        """Begin with none; days are told in this time zone."""
        self._zone = zone
        self._file: BinaryIO = TemporaryFile()  # noqa: SIM115  closed by __exit__

    def __enter__(self) -> Self:
        """Begin."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Let the file go."""
        self._file.close()

    def add(self, found: Compared, summary: Summary, names: Mapping[str, str]) -> None:
        """Sum up one learner and achievement, and remember what the draft changes for whom."""
        missing = in_words(found.missing, names, self._zone)
        summary.add(found, [asked(node, names=names)[0].text for node in found.missing])
        if found.effect is not None:
            row = {
                "achievement": found.achievement,
                "name": summary.name,
                "learner_ref": found.learner_ref,
                "effect": found.effect,
                "now": found.now,
                "draft": found.draft,
                "missing": missing,
            }
            self._file.write(msgspec.json.encode(row) + b"\n")

    def lines(self) -> Iterator[bytes]:
        """Yield each as JSON."""
        self._file.seek(0)
        for line in self._file:
            yield line.rstrip(b"\n")

    def write_csv(self, path: Path) -> int:
        """Write them for a spreadsheet and return how many there are. No cell begins a formula."""
        count, beside = 0, path.with_name(f"{path.name}.part")
        with beside.open("w", encoding="utf-8-sig", newline="") as file:  # Excel takes other UTF-8 for Latin-1
            writer = csv.writer(file)
            writer.writerow(_COLUMNS)
            for count, line in enumerate(self.lines(), 1):  # noqa: B007  the last one is the count
                row = msgspec.json.decode(line)
                now, draft = row["now"] or {}, row["draft"] or {}
                cells = [
                    row["achievement"],
                    row["name"],
                    row["learner_ref"],
                    row["effect"],
                    *(side.get("level") for side in (now, draft)),
                    *(self._day(side.get("since")) for side in (now, draft)),
                    *(self._day(side.get("until")) for side in (now, draft)),
                    "; ".join(row["missing"]),
                ]
                writer.writerow([harmless(cell or "") for cell in cells])
        beside.replace(path)
        return count

    def _day(self, instant: Micros | None) -> str:
        return "" if instant is None else day(instant, self._zone)


def harmless(cell: str) -> str:
    """Return a cell that no spreadsheet takes for a formula (CWE-1236): one that would begin one begins with an apostrophe."""
    return f"'{cell}" if cell.startswith(_FORMULA) else cell
