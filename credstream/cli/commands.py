"""Every command in one place: what `credstream --help` lists."""

from __future__ import annotations

from importlib.metadata import version

from cyclopts import App

from credstream.cli import (
    asking,
    auditing,
    awarding,
    compromising,
    demonstrating,
    endorsing,
    holding,
    keeping,
    key_checking,
    key_schedule,
    keyring,
    mending,
    quarantining,
    rebinding,
    reconciling,
    rejudging,
    replaying,
    reviewing,
    ruling,
    running,
    sending,
    simulating,
    verifying,
    versioning,
)
from credstream.cli.console import err, out

app = App(
    name="credstream",
    help="Completions in, signed Open Badges 3.0 credentials out, exactly once.",
    help_epilogue="Begin with `credstream demo`, or `credstream init` and `credstream up`.",
    version=version("credstream"),
    console=out,
    error_console=err,
)
app.command(running.init)
app.command(running.up)
app.command(running.run)
app.command(demonstrating.demo)
app.command(sending.send)
app.command(asking.why)
app.command(verifying.verify)
app.command(keeping.export)
app.command(auditing.audit)

topics = App(
    name="topics", help="The topics: are they there, do they fit; and what to do when the log is not as it should be."
)
topics.default(keeping.topics)
topics.command(mending.unhang)
topics.command(mending.accept_gap)
topics.command(rebinding.rebind)
app.command(topics)

status = App(name="status", help="Change or show the status of credentials.")
status.command(awarding.show)
status.command(awarding.suspend)
status.command(awarding.reinstate)
status.command(awarding.revoke)
app.command(status)
app.command(awarding.award)

review = App(name="review", help="What waits for a person: late results, and awards that lost their evidence.")
review.command(reviewing.queue, name="list")
review.command(reviewing.show)
review.command(reviewing.decide)
app.command(review)

quarantine = App(name="quarantine", help="What was set aside, why, and giving it to the pipe again once it is mended.")
quarantine.command(quarantining.listed, name="list")
quarantine.command(quarantining.show)
quarantine.command(quarantining.redrive)
quarantine.command(quarantining.dismiss)
app.command(quarantine)
app.command(reconciling.reconcile)
app.command(replaying.replay)

keys = App(name="keys", help="The keys that sign credentials and status lists, and those of persons.")
keys.command(key_schedule.create)
keys.command(key_schedule.table, name="list")
keys.command(key_schedule.rotate)
keys.command(key_schedule.retire)
keys.command(compromising.compromised)
keys.command(key_checking.check)
keys.command(keyring.person)
app.command(keys)

rules = App(name="rules", help="Catalogues: what may be earned, and when.")
rules.command(ruling.check)
rules.command(ruling.try_examples, name="test")
rules.command(ruling.explain)
rules.command(ruling.show)
rules.command(ruling.diff)
rules.command(simulating.simulate)
rules.command(versioning.publish_rules, name="publish")
rules.command(versioning.propose)
rules.command(versioning.approve)
rules.command(versioning.versions)
rules.command(versioning.rollback)
rules.command(rejudging.backfill)
rules.command(rejudging.recall)
rules.command(ruling.schema)
app.command(rules)

endorse = App(name="endorse", help="For partners: endorse an achievement with a key of your own.")
endorse.command(endorsing.new_key, name="key")
endorse.command(endorsing.sign_endorsement, name="sign")
endorse.command(endorsing.check_endorsement, name="check")
app.command(endorse)

credential = App(name="credential", help="Credentials in every form: signed JSON, JWT, badge images, certificates.")
credential.command(holding.get)
app.command(credential)

learner = App(name="learner", help="What one learner holds.")
learner.command(holding.record)
app.command(learner)
