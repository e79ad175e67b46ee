"""What is wrong, or will be, and what to do about it: facts in, findings out.

::

    findings      a finding: what was looked at, ok / warning / error, one line, the fix
    cluster       brokers, their releases and settings
    topics        partitions, replicas, settings
    permissions   what we may do with them
    records       what has come in lately, and what the schema says of it
"""

from worker.doctor.findings import Finding, Level

__all__ = ["Finding", "Level"]
