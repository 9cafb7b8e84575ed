"""The HTTP face: providers send, everyone verifies, operators watch."""
