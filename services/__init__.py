"""What credstream decides: pure functions of what was known and what just happened. No clock, environment or socket."""
