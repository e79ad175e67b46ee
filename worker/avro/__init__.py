"""Bytes to columns and back. Pure: no I/O, no clock; only numpy and fastavro in memory.

::

    framing        which schema wrote a record, and where its body starts
    schema         the reader's schema, with its ``constraints``
    gate           what any schema must keep within (``bounds``), as a tree of ``nodes``
    decode         batches to columns: a ``lockstep`` reader for each writer schema
      resolution     writer's fields to the reader's ``slots``, by name, alias, default and promotion: a program
      lockstep       runs the program on all records abreast, and asks the record reader where in doubt
        plan           the program as operations on ``lanes``: plan_numbers, plan_text, plan_items
        fallback       the record reader: strict, and the only judge of ``faults``
        cells          columns in the making, by either; ``logical``: what logical types allow
      joined         one batch of several writers; ``switchover``: from how many rows on columns pay
    encode         predictions to bytes, by columns (``rows``)
    any_record     any record by any schema, for reports to a person
"""
