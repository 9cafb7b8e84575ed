"""Lanes decode in threads of their own: the first records of a process may all be decoded at the same moment."""

from __future__ import annotations

import subprocess
import sys

import pytest

PROGRAMS = {
    "a catalogue": """
from schemas.catalogue import Achievement, Catalogue, Issuer, pack, unpack
from schemas.rules import All, Result, Rule
rule = Rule(requires=All(of=(Result(assessment="quiz"),)))
achievement = Achievement(id="a", name="A", description="D", criteria="C", rule=rule)
digest, packed = pack(Catalogue(programme="p", version="1", base_url="https://p.example", issuer=Issuer(name="I"), keys=(),
    providers=(), assessments=(), achievements=(achievement,)))
run = lambda: unpack(packed, digest)
""",
    "a completion": """
from schemas.codec import decode, encode
from schemas.events import AssessmentCompleted, CompletionBody, ResultKind
body = CompletionBody(result_id="r", revision=0, kind=ResultKind.COMPLETED, assessment="quiz", completed_at=0)
value = encode(AssessmentCompleted(event_id="e", programme="p", provider="c", learner_ref="l", received_at=0, body=body))
run = lambda: decode(value, AssessmentCompleted)
""",
    "a learner's progress": """
from services.competency.progress import NOTHING, decoded, encoded
kept = encoded(NOTHING)
run = lambda: decoded(kept)
""",
    "a lane's ledger": """
from services.competency.ledger import Ledger, decoded, encoded
kept = encoded(Ledger(0))
run = lambda: decoded(kept)
""",
    "a lane's issuing": """
from streams.issuing import IssuingStage, Progress
stage = IssuingStage({})
kept = stage.kept(Progress(1, {}), Progress(1, {"p": 3}))
run = lambda: stage.restored(0, kept)
""",
    "a signature": """
from services.signing.jws import signer_of
run = lambda: signer_of(b"eyJhbGciOiJFZERTQSIsImtpZCI6ImsifQ..AAAA", b"", {})
""",
}
AT_ONCE = """
import sys, threading
sys.setswitchinterval(1e-6)
together = threading.Barrier(4)
def first():
    together.wait()
    run()
threads = [threading.Thread(target=first) for _ in range(4)]
for thread in threads: thread.start()
for thread in threads: thread.join()
"""


@pytest.mark.parametrize("what", PROGRAMS)
def test_several_threads_may_be_the_first_to_decode(what: str) -> None:
    for _ in range(
        3 if what == "a catalogue" else 1
    ):  # before types were learnt on import, two of three of these ended in a segmentation fault
        ran = subprocess.run([sys.executable, "-c", PROGRAMS[what] + AT_ONCE], capture_output=True, check=False)
        assert ran.returncode == 0, ran.stderr.decode()
