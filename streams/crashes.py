"""Which record ends the process each time that it is tried.

The count stands in the metadata of the group's committed offset: outside the transaction that it judges, so it survives the
process, and whoever takes the lane over finds it. A transaction that commits clears it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

_NOTE: Final = re.compile(r"trying ([0-9]{1,19}) for the ([0-9]{1,9})th time")


@dataclass(frozen=True, slots=True)
class Trial:
    """A record is about to be decoded: its offset, and how many processes have tried it so, this one included."""

    offset: int
    starts: int

    @property
    def note(self) -> str:
        """Return what to keep beside the offset."""
        return f"trying {self.offset} for the {self.starts}th time"

    def again(self, offset: int) -> Trial:
        """Return the trial of a record, after a process died in this one."""
        return Trial(offset, self.starts + 1 if offset == self.offset else 1)


def noted(metadata: str | None) -> Trial | None:
    """Return the trial in which the process before this one died, if it did."""
    found = _NOTE.fullmatch(metadata or "")
    return Trial(int(found[1]), int(found[2])) if found else None
