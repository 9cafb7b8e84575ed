"""Everything on this machine: an embedded Kafka and a supervisor for the processors."""
