"""What is measured: each answers every record of an input topic.

``python -m bench.contenders RUN`` runs one, with RUN a ``Run`` as JSON, and prints its figures as JSON.
"""
