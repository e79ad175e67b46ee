"""Several worker processes under one parent: ``run --processes N``.

``supervisor`` is the loop, ``fleet`` the processes, ``restarts`` the policy; ``child`` is what a process does to be one of
them; ``wakeups`` turns signals into something to wait for.
"""

from worker.supervisor.child import Child, die_with_parent, join_supervisor
from worker.supervisor.supervisor import supervise

__all__ = ["Child", "die_with_parent", "join_supervisor", "supervise"]
