"""What operators do about a programme's keys: rotation, retirement, compromise, and checks before any of it hurts."""
