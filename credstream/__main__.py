"""`python -m credstream` is the `credstream` command."""

from credstream.cli import main

main()
