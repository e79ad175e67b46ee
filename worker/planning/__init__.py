"""How many workers a stream needs, and whether a deployment agrees with itself. Pure arithmetic, but for the reading of YAML.

::

    sizing      rates to processes, partitions, memory
    timeouts    which deadline must be longer than which
    joining     what a joiner needs, and must have in common with the workers
    manifests   Kubernetes manifests to what matters of them here
    checks      manifests against settings, partitions and needs
"""

from worker.planning.checks import check_manifests
from worker.planning.joining import JoinerMemory, joiner_memory
from worker.planning.manifests import Manifests, read_manifests
from worker.planning.sizing import Load, Memory, Plan, memory_of, plan_for
from worker.planning.timeouts import Deadlines, check_deadlines, deadlines_of

__all__ = [
    "Deadlines",
    "JoinerMemory",
    "Load",
    "Manifests",
    "Memory",
    "Plan",
    "check_deadlines",
    "check_manifests",
    "deadlines_of",
    "joiner_memory",
    "memory_of",
    "plan_for",
    "read_manifests",
]
