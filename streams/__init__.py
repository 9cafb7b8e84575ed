"""What credstream does: the exactly-once lanes, the views, their settings, topics, keys and metrics."""
