"""EDGE  Kafka without installing Kafka: a broker for development, tests, benchmarks and the demo.

::

    choose      the best broker that can be had here
      ├─ apache       a real Apache Kafka, in one JVM on the loopback interface
      │    ├─ jars         its class path: pinned, fetched once, verified before it runs
      │    ├─ properties   its server.properties
      │    ├─ process      the JVM, which ends with its owner (launch)
      │    └─ scratch      temporary directories that do not pile up
      └─ mock         librdkafka's mock cluster: nothing to fetch, at-least-once only
    topics      create topics, and wait until they can be used

Nothing here is meant for production: one node, replication factor 1, no authentication, loopback only.
"""
