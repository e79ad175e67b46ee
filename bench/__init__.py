"""Throughput on a real Kafka: the worker beside pass-through and the loops that people write by hand.

Every contender is a process of its own that consumes the same flights from its own group and ends when it has
delivered them all; rounds are interleaved, so that a slow minute of the machine hits all alike.
"""
