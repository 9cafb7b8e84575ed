"""What a learner has attained, from what providers attest and what the catalogue asks. Pure: no clock, no I/O, no chance.

`rulebook` makes adopted catalogues ready for use, `acceptance` says which completions count, `progress` is a learner's evidence,
`criteria` judges each kind of criterion, `attainment` each rule over time, `decisions` what follows; `reasons` tells why.
"""
