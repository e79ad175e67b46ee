"""The joiner as a role: predictions and labels in, quality sketches out, exactly once.

::

    loop      one turn: take what there is, pair it, deliver
    reading   records of the two topics to rows

What belongs together, and what is told of it, ``worker.quality`` says; the edge to Kafka is in ``worker.kafka``.
"""
