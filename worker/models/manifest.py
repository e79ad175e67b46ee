"""``manifest.json``: what a bundle says of its model; the digest of its bytes names the bundle.

Everything that decides a prediction is in here or in a file whose sha256 is in here, so that pinning one digest pins
all of it.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, Final, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    ValidationError,
    model_serializer,
    model_validator,
)

from worker.avro.schema import ITEMS, Kind
from worker.errors import ModelError

MANIFEST = "manifest.json"
GOLDEN = "golden.avro"
PROFILE = "reference_profile.json"
QUALITY = "reference_quality.json"
FORMAT_VERSION: Final = 1
MAX_LENGTH: Final = 65_536
"""Numbers in one vector: a slip of the pen must not make a matrix that fills the memory."""

_SEMANTIC_VERSION = r"^(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)(-[0-9A-Za-z.-]+)?(\+[0-9A-Za-z.-]+)?$"
_FILE_NAME = re.compile(r"^[A-Za-z0-9_][A-Za-z0-9._-]*$")
_FEATURE_NAME = r"^[A-Za-z_]\w*(\.[A-Za-z_]\w*)*$"

Task = Literal["binary", "multiclass", "regression"]
Format = Literal["joblib", "pickle"]
Input = Literal["matrix", "dataframe"]
Sha256 = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]


def _is_feature_kind(kind: Kind) -> Kind:
    if kind in (Kind.BYTES, Kind.FIXED, Kind.ARRAY):
        raise ValueError(f"{kind} can't be a feature")
    return kind


class _Part(BaseModel):
    """Frozen, and closed: a word that this version does not know is refused, never ignored."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Feature(_Part):
    """One input of the model: the schema field that feeds it, by (dotted) name, and its kind in Avro's words.

    With a ``length`` it is a vector: an array of so many numbers of that kind, each a column of its own.
    """

    name: str = Field(pattern=_FEATURE_NAME)
    kind: Annotated[Kind, AfterValidator(_is_feature_kind)]
    length: int | None = Field(default=None, ge=1, le=MAX_LENGTH)

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.length is not None and self.kind not in ITEMS:
            raise ValueError(f"a feature with a length holds numbers, not {self.kind}")
        return self

    @model_serializer(mode="wrap")
    def _without_absent(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Scalars have no length to speak of, so that older workers read their manifests."""
        return {word: value for word, value in handler(self).items() if value is not None}

    @property
    def columns(self) -> tuple[str, ...]:
        """The model's columns that it fills, by name: its own, or ``name[0]``, ``name[1]`` and so on."""
        return (self.name,) if self.length is None else tuple(f"{self.name}[{i}]" for i in range(self.length))

    @property
    def type(self) -> str:
        """For people: ``double``, or ``array of 3 double``."""
        return str(self.kind) if self.length is None else f"array of {self.length} {self.kind}"


class Lineage(_Part):
    """Where the model came from."""

    created_at: datetime
    training_data_digest: str | None = None
    code_revision: str | None = None
    parent_version: str | None = None


class Libraries(_Part):
    """Versions under which the model was packed; a pickle is a promise only between the same ones."""

    model_config = ConfigDict(populate_by_name=True)

    python: str
    numpy: str
    scikit_learn: str = Field(alias="scikit-learn")
    joblib: str
    scipy: str


class Manifest(_Part):
    """What a bundle holds and how it is to be served.

    ``files`` maps every file of the bundle except the manifest to its sha256; ``model_file`` is one of them. ``classes``
    are in the order of the model's probabilities. A binary row is labelled ``positive_class`` where its score is at
    least ``threshold``. ``metrics`` are of the served predictions on the test rows; ``thresholds`` the minima that they
    reached.
    """

    model_config = ConfigDict(protected_namespaces=())

    format_version: Literal[1] = FORMAT_VERSION
    name: str = Field(pattern="^[A-Za-z0-9][A-Za-z0-9._-]*$", max_length=200)
    version: str = Field(pattern=_SEMANTIC_VERSION, max_length=200)
    task: Task
    format: Format
    input: Input
    model_file: str
    files: Mapping[str, Sha256]
    features: tuple[Feature, ...] = Field(min_length=1)
    classes: tuple[str, ...] = ()
    positive_class: str | None = None
    threshold: float | None = Field(default=None, ge=0, le=1)
    metrics: Mapping[str, float] = Field(default_factory=dict)
    thresholds: Mapping[str, float] = Field(default_factory=dict)
    lineage: Lineage
    libraries: Libraries

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        problems = [*self._file_problems(), *self._feature_problems(), *self._class_problems()]
        if problems:
            raise ValueError("; ".join(problems))
        return self

    def _file_problems(self) -> list[str]:
        problems = [f"{name!r} is not a plain file name" for name in self.files if not _FILE_NAME.match(name)]
        if MANIFEST in self.files:
            problems.append(f"{MANIFEST} can't hold its own digest")
        problems += [f"files lacks {name}" for name in (self.model_file, GOLDEN) if name not in self.files]
        return problems

    def _feature_problems(self) -> list[str]:
        names = [feature.name for feature in self.features]
        problems = [f"feature {name} is there twice" for name in sorted({n for n in names if names.count(n) > 1})]
        if self.input == "matrix":
            texts = [feature.name for feature in self.features if feature.kind.is_text]
            problems += [f"feature {name} is text, which a matrix can't hold" for name in texts]
        return problems

    def _class_problems(self) -> list[str]:
        if len(set(self.classes)) != len(self.classes):
            return ["classes are not distinct"]
        if self.task == "regression":
            return ["a regression has no classes"] if self.classes or self.positive_class is not None else []
        if self.task == "multiclass":
            return [] if len(self.classes) >= 2 else ["a multiclass model needs its classes"]
        problems = [] if len(self.classes) == 2 else [f"a binary model has 2 classes, not {len(self.classes)}"]
        if self.positive_class not in self.classes:
            problems.append("positive_class is none of the classes")
        if self.threshold is None:
            problems.append("a binary model needs a threshold")
        return problems

    @property
    def lengths(self) -> Mapping[str, int]:
        """How many items each vector has, by its field."""
        return {feature.name: feature.length for feature in self.features if feature.length is not None}

    def to_json(self) -> bytes:
        return self.model_dump_json(indent=2, by_alias=True).encode() + b"\n"


def parse_manifest(text: bytes, source: str) -> Manifest:
    """Raises ModelError naming every problem."""
    try:
        return Manifest.model_validate_json(text)
    except ValidationError as error:
        details = (
            f"{'.'.join(map(str, detail['loc'])) or 'manifest'}: {_said(detail['msg'])}" for detail in error.errors()
        )
        raise ModelError(
            f"the manifest of {source} is not valid: {'; '.join(details)}",
            hint="pack the model again with this version of prediction-worker",
        ) from None


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _said(message: str) -> str:
    return message.removeprefix("Value error, ")
