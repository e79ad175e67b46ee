"""The streaming prediction worker: records come in, records go out, exactly once.

The flow, with the module that does each step::

    input topic ─▶ kafka/source ─▶ avro/decode ─▶ pipeline/validate ─▶ pipeline/predict ─▶ avro/encode ─▶ kafka/sink
                        │               └──────────────┬──────────────────────┘                              │
                        │                      a refused record                                              ├─▶ predictions
                        │                 pipeline/dead_letters ────────────────────────────────────────────▶└─▶ dead letters
                        └─ service: the loop. One transaction a micro-batch: outputs + dead letters + input offsets

Everything between source and sink is a pure function of (records, model). Two laws hold at every moment:

1. Conservation: records in = predictions + dead letters (+ tombstones, by policy).
2. Order of durability: an offset is committed only with, or after, every record that came of it.

``errors`` draws the exception tree, ``ports`` the seams, ``bootstrap`` puts it all together, and ``testing`` runs the
whole worker in memory for your own tests.
"""

__version__ = "0.1.0"
