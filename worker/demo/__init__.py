"""The demo: real flights through a real Kafka and two workers, one of which is killed on the way; and what came true.

::

    show       the story: stage, replay, watch, crash, verdict
      ├─ stage     a folder with bundle and settings; broker and topics
      ├─ tally     what the topics say: every flight once, in predictions or dead letters
      ├─ labels    which predictions came true: the joiner's counts beside a join in memory
      ├─ figures   what the workers say of themselves: rate, lag, latency
      └─ screen    a live screen on a terminal, plain lines in a pipe

Everything it runs is a public command that its watcher can run by hand.
"""
