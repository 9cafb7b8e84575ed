"""A lane in an operator's hands: what it keeps, read at one moment; and changing that, alone and in one transaction."""
