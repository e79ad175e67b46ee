"""The benchmark: ``python -m bench [throughput|latency|curves|soak|report]``; ``docs/benchmarks.md`` says what is measured.

Each contender runs in a process of its own (``bench.contenders``) against a real Apache Kafka.
"""
