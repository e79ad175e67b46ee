"""What the outside may know: metrics, health, logs.

``catalogue`` names every metric; ``metrics`` and ``logging_observer`` are told by the loop what happened; ``health``
judges liveness and readiness; ``http`` serves it all; ``shared`` adds several processes up.
"""
