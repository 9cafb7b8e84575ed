"""For programs that talk to credstream."""
