"""The edge to Kafka: one consumer, one producer, and the rules by which they commit."""
