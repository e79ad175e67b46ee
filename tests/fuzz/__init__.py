"""Random schemas, bodies and damage, and what two decoders must agree on; ``python -m tests.fuzz.decode`` runs long."""
