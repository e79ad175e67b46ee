"""Batches to and from librdkafka without a Python object a record.

The client (confluent-kafka) keeps everything that is not done a record at a time: configuration, membership, callbacks,
transactions, commits. Only the records go past it, through librdkafka's own public functions for whole batches, which
it loads anyway.

::

    library            the functions, and the client's handle
    memory             addresses to arrays, scattered bytes to one buffer
    partition_queues   what was fetched, to a RecordBatch
    glance             timestamps and headers without asking for each record's
    headers            a record's headers, asked for
    wire_headers       headers as they were fetched
    outbox             an OutgoingBatch to the client's queue
    arguments          what a record with headers is handed over as
    commits            offsets on their way, whose outcome is asked for later
    producer           the at-least-once producer: told only of what was not delivered
"""
