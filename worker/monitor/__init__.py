"""The monitor as a role: sketches in, reports, alerts and its own state out, exactly once.

::

    loop        one turn: take sketches, look at the input, close windows, deliver
    watched     one model's drift, and its realised quality where labels are joined
    checkpoint  what is remembered, and where the sketches go on behind it
    encoding    reports and alerts to records of their topics

What a window, a drift and an episode are, ``worker.drift`` says; the edges to Kafka are in ``worker.kafka``.
"""
