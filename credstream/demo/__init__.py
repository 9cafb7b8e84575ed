"""The demonstration: completions to send, and the run that sends them and checks itself."""
