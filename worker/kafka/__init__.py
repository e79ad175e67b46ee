"""The edge to Kafka: one consumer, one producer, and the rules by which they commit.

::

    source           one member of the consumer group; ``offsets``: where it starts, what it finds committed
    transactional    the exactly-once sink          } ``batches``: messages to columns and back
    at_least_once    the at-least-once sink         } ``errors``: librdkafka's, by their flags
    slots            transactional ids that a restarted process takes over
    watchdog         ends the process when a call never returns
    config, topics   settings to librdkafka's configuration; topics as they must be

    dead_letter_topic, spans, letters   reading dead letters, and any topic, back
    replay, replay_plan, replay_progress, resume   sending them round again; lifting a stop
"""
