"""A batch to its outcome. Pure: no I/O, no clock, no log.

::

    process          the function at the centre: decode, validate, predict, encode
      validate       whole columns against the constraints in the schema
      predict        the whole batch; bisects when the model raises
      identity       the event's id and time
      tracing        the trace context that a prediction carries on
      dead_letters   the one place where a refusal becomes a dead letter
      sketching      what the batch adds to the drift sketches
    partition_state  what is remembered beside a committed offset
    limits           how many refusals stop the worker, over restarts
    batching         how many records the next batch may hold
"""
