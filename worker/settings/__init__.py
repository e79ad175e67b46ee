"""Settings: one TOML file, overridden by environment variables (``WORKER_KAFKA__BOOTSTRAP`` and so on).

::

    sections    every setting: type, default, bounds, meaning
      ├─ schema_registry  the registry's
      └─ options    librdkafka's own: which are refused, which are secrets
    loading     file + environment ──▶ Settings, or every problem at once
    reference   docs/configuration.md, written from the sections
"""

from worker.settings.loading import ENVIRONMENT_PREFIX, STARS, load_settings, shown
from worker.settings.options import REFUSED_OPTIONS, is_secret
from worker.settings.schema_registry import Registry
from worker.settings.section import Section
from worker.settings.sections import (
    DeadLetters,
    Delivery,
    Dialect,
    Drift,
    Event,
    Kafka,
    Mode,
    Model,
    Settings,
    Telemetry,
    Topics,
)

__all__ = [
    "ENVIRONMENT_PREFIX",
    "REFUSED_OPTIONS",
    "STARS",
    "DeadLetters",
    "Delivery",
    "Dialect",
    "Drift",
    "Event",
    "Kafka",
    "Mode",
    "Model",
    "Registry",
    "Section",
    "Settings",
    "Telemetry",
    "Topics",
    "is_secret",
    "load_settings",
    "shown",
]
