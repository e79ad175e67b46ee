"""The model bundle: how a trained model reaches the worker, and what is checked on the way.

::

    pack ──▶ folder: manifest.json, model file, golden.avro ──▶ contents ──▶ bundle ──▶ predictor
     │                                                             │           │           │
     gate: metrics of the served predictions            every digest checked   │   golden rows, same bits
                                                                      unpickled only here

    reference  the profile in it, of the training rows: what live ones are compared with
    quality    how good the model was on the test rows: what realised quality is compared with
"""

from worker.models.binding import bind
from worker.models.bundle import Bundle, open_bundle
from worker.models.manifest import Feature, Manifest
from worker.models.pack import pack
from worker.models.predictor import BundlePredictor
from worker.models.reference import TrainingRows, bind_profile, profile_of

__all__ = [
    "Bundle",
    "BundlePredictor",
    "Feature",
    "Manifest",
    "TrainingRows",
    "bind",
    "bind_profile",
    "open_bundle",
    "pack",
    "profile_of",
]
