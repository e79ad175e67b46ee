"""A batch to its outcome: validate, predict, dead letters, limits, batch size. Pure: no I/O, no clock."""
