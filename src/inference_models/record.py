"""Immutable values with named fields."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

from msgspec import NODEFAULT, Struct, StructMeta, structs

if TYPE_CHECKING:
    from inspect import Signature


class _RecordType(StructMeta):
    @property
    def __signature__(cls) -> Signature:  # noqa: N805 - of a class of classes
        """For `help` and `inspect`, with annotations as text: msgspec looks up names that only type checkers know."""
        from inspect import Parameter, Signature  # noqa: PLC0415 - asked for by people

        names, defaults = cls.__struct_fields__, cls.__struct_defaults__
        stated = {
            **dict.fromkeys(names, NODEFAULT),
            **dict(zip(names[len(names) - len(defaults) :], defaults, strict=True)),
        }
        written = {
            name: text for kind in reversed(cls.__mro__) for name, text in vars(kind).get("__annotations__", {}).items()
        }
        return Signature(
            [
                Parameter(
                    name,
                    Parameter.POSITIONAL_OR_KEYWORD if name in cls.__match_args__ else Parameter.KEYWORD_ONLY,
                    default=Parameter.empty if default is NODEFAULT else default,
                    annotation=written.get(name, Parameter.empty),
                )
                for name, default in stated.items()
            ]
        )


class _Fields:
    """`__dataclass_fields__`, made when somebody looks: the functions of `dataclasses` take records too."""

    def __get__(self, instance: object, owner: _RecordType) -> dict[str, dataclasses.Field[Any]]:
        parameters = owner.__signature__.parameters.values()
        stated = [(item.name, item.annotation, dataclasses.field(kw_only=True)) for item in parameters]
        made: Any = dataclasses.make_dataclass(owner.__name__, stated)
        fields: dict[str, dataclasses.Field[Any]] = made.__dataclass_fields__
        return fields


class Record(Struct, frozen=True, metaclass=_RecordType):
    """Base of values that travel.

    As a frozen dataclass, whose methods Python would generate and execute as text at each start of a process.
    """

    __dataclass_fields__ = _Fields()


replace = structs.replace
"""`replace(record, **changes)`: the record with other values in these fields."""
