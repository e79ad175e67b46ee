"""Values: dataclasses that nobody changes.

A frozen dataclass sets each field through ``object.__setattr__``, which makes it over three times as dear, and a batch of one
record makes more than twenty of them. So these are frozen for the type checker, which sees every assignment, and not at run time.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TypeVar, dataclass_transform

Value = TypeVar("Value")


@dataclass_transform(frozen_default=True, field_specifiers=(field,))
def value_class(made: type[Value]) -> type[Value]:
    """With slots, equal and hashed by its fields."""
    return dataclass(slots=True, unsafe_hash=True)(made)
