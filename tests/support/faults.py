"""What can go wrong, and what then happens: the rows of `docs/reliability.md`.

A test says which of them it proves with `@pytest.mark.fault("P1", …)`; a row without a test is named in the document as such.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Fault:
    """One row."""

    id: str
    what: str
    then: str


GROUPS: Final = {
    "P": "Processes",
    "B": "Broker and network",
    "E": "Events",
    "K": "Keys",
    "C": "Clocks",
    "D": "Disks",
    "G": "Configuration",
    "L": "Status lists",
}

FAULTS: Final = (
    Fault("P1", "A worker is killed with -9, at any step of a batch", "Its lanes move on with the next worker"),
    Fault("P2", "It is killed again and again, faster than its session ends", "No damage; it recovers when that stops"),
    Fault("P3", "SIGTERM", "It finishes its batch, leaves its group, exits with 0"),
    Fault("P4", "A worker is stopped, replaced, and wakes inside its transaction", "It is fenced, says so, and leaves"),
    Fault("P5", "One lane in the hands of two", "The broker refuses one of them; it leaves and comes back"),
    Fault("P6", "Workers come and go all the time", "Every lane makes progress"),
    Fault(
        "P7", "A record makes a worker run out of memory", "It dies, starts again, and sets the record aside at last"
    ),
    Fault("P8", "A record ends every process that reads it", "It is quarantined as `crash_loop`; its lane goes on"),
    Fault("P9", "A worker hangs", "A watchdog ends it after 30 s; its lanes go on"),
    Fault("P10", "The gateway, views, status or forms are killed with -9", "The others go on; it resumes where it was"),
    Fault("P11", "The gateway runs out of file descriptors", "Callers wait or are refused; it serves again by itself"),
    Fault("P12", "A broken catalogue is published", "It is quarantined; the one in force stays in force"),
    Fault("B1", "The broker is stopped and started", "What it acknowledged is there; work goes on"),
    Fault("B2", "The broker is killed with -9", "What it acknowledged is there; work goes on"),
    Fault(
        "B3", "The log is cut off behind a reader", "The lane that sees it parks; the others go on; nothing is reset"
    ),
    Fault("B4", "The broker is away", "The gateway answers 503 and accepts nothing that was not acknowledged"),
    Fault("B5", "Packets vanish on an open connection", "Calls time out and are tried again; nothing happens twice"),
    Fault("B6", "Connections are reset", "They are opened again; nothing happens twice"),
    Fault("B7", "The network is slow, or cuts everything into slices", "Slower; nothing else"),
    Fault(
        "B8", "The gateway alone is cut off from the broker", "Sending answers 503; pages and verification still serve"
    ),
    Fault("B9", "Retention removed records that nobody had read", "The lane parks; it never jumps ahead"),
    Fault("B10", "A topic was deleted and made anew", "Workers refuse to start"),
    Fault("B11", "A topic has another number of partitions", "Workers refuse to start"),
    Fault("B12", "Answers get lost; leaders and coordinators move", "Tried again or fenced, never half done"),
    Fault("B13", "No permission on a topic; credentials refused by the broker", "One clear line and an exit code"),
    Fault("B14", "A record larger than allowed", "Quarantined as `too_large`, with hash and size"),
    Fault("B15", "Ten times the load", "The backlog is worked off; nothing is dropped"),
    Fault("B16", "Offsets with gaps, from markers and aborted transactions", "Nothing counts on offsets without gaps"),
    Fault(
        "B17", "Of three brokers the leaders are killed under load", "Work goes on after the election; nothing is lost"
    ),
    Fault("B18", "The broker is killed while transactions are open", "They end when their lanes have an owner again"),
    Fault("E1", "The same event again", "It is decided as known; there is one credential"),
    Fault("E2", "The same event id with other content", "Quarantined as `event_id_conflict`; the first stands"),
    Fault("E3", "The same attainment through another event", "Already held; nothing is issued"),
    Fault("E4", "A correction before its original", "Kept, and applied; the order makes no difference"),
    Fault("E5", "Events very late, or from the future", "Late ones go to review; future ones are quarantined"),
    Fault("E6", "Numbers that are none, negative or above the maximum", "Refused with the field, or quarantined"),
    Fault("E7", "Bytes cut short, empty, null or of another format", "Quarantined with their bytes; the lane goes on"),
    Fault("E8", "Bytes behind the end of an event", "Quarantined"),
    Fault("E9", "A schema id that nobody knows", "Quarantined where others write; waited for where only we do"),
    Fault("E10", "An event of an older or newer schema", "Every version reads every other"),
    Fault("E11", "Bytes of another schema", "Never read as something else"),
    Fault(
        "E12", "Text with controls, overrides, broken encodings, piles of marks", "Refused; real text and emoji pass"
    ),
    Fault("E13", "Enormous or deeply nested values", "Refused by size before they are decoded; no schema is recursive"),
    Fault("E14", "JSON with repeated keys, a byte order mark, another encoding", "400"),
    Fault(
        "E15", "A provider or an assessment that the catalogue does not know", "Quarantined, each for its own reason"
    ),
    Fault("E16", "A provider attests what it may not", "Quarantined"),
    Fault("E17", "Signatures missing, wrong, by an unknown key, with another algorithm", "Refused with a reason"),
    Fault("E18", "Headers in any number, with any bytes", "Quarantined with the record, as they were"),
    Fault("E19", "Rules or keys change between deciding and signing", "The credential has what its claim pinned"),
    Fault("E20", "Revoked twice; revoked what is unknown; reinstated what was revoked", "Idempotent; revoked is final"),
    Fault(
        "E21", "A learner is erased before, while or after a credential is issued", "The data key goes; lists stay true"
    ),
    Fault("E22", "More results of one learner than may be kept", "Quarantined as `learner_full`; the lane goes on"),
    Fault("E23", "A completion dated back before a change of rules", "It waits for a person"),
    Fault(
        "K1", "A key is missing, unreadable, open to others or cut short", "The process refuses to start, in one line"
    ),
    Fault(
        "K2", "A key is of the wrong kind, or its passphrase is wrong", "It refuses to start; no passphrase is shown"
    ),
    Fault("K3", "A key is not the published one", "Nothing is signed with it"),
    Fault("K4", "Keys are rotated amid the stream", "Claims before the boundary have the old key; all verify"),
    Fault(
        "K5", "A token is away, slow, or its PIN wrong", "Its programme's claims wait, no other's; a PIN is tried once"
    ),
    Fault("K6", "A signer returns a wrong signature", "It never leaves; the programme's claims wait"),
    Fault("K7", "A key ends while it is in use", "Nothing later is signed with it; an alert comes before"),
    Fault("K8", "A key was stolen", "All that it signed is issued anew, the old revoked, the key removed last"),
    Fault("C1", "A worker's clock is wrong by a year, a day or two hours", "No date in a credential comes from it"),
    Fault("C2", "Leap days, zones, and clocks that go back", "Dates of claims never go back"),
    Fault("D1", "The broker's disk is full", "Nothing more is accepted; what was acknowledged is there; it resumes"),
    Fault("D2", "A folder cannot be written", "Told in one line"),
    Fault("D3", "The views' file is lost", "Built again from the log, to the same rows"),
    Fault("D4", "The views' file is damaged", "Noticed, and built again from the log"),
    Fault("D5", "A lane's state and its offsets do not belong together", "The lane parks; it decides nothing twice"),
    Fault("G1", "A setting is missing, wrong or unknown", "Refused before Kafka is touched, in one line with its name"),
    Fault("G2", "Rules with circles, bombs or endless work", "Refused before they are published, with where and why"),
    Fault("L1", "A list fills up", "The next one is opened when it is half full"),
    Fault("L2", "Two publish one list", "One is fenced; versions rise; no bit is cleared"),
    Fault("L3", "The publisher dies while it writes", "The former list is served whole"),
)
