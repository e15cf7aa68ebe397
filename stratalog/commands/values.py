"""Property values at the border: what may be stored, and how a caller's value becomes it."""

from __future__ import annotations

import operator
from collections.abc import Mapping
from typing import Any, NamedTuple

from stratalog.eventlog.errors import ErrorCode, InvalidInputError
from stratalog.eventlog.events import INT64_MAX, INT64_MIN, PropertyType, Proto, Value

PROPERTY_TYPE_OF: dict[type, PropertyType] = {
    int: PropertyType.INT,
    float: PropertyType.DOUBLE,
    str: PropertyType.STRING,
    bool: PropertyType.BOOLEAN,
    dict: PropertyType.STRUCT,
    Proto: PropertyType.PROTO,
}
_DEPTH_MAX = 100


def to_value(value: object, where: object) -> Value:
    """The storable form of a caller's value.

    Numbers of numpy and the like (anything with `dtype` and `item()`) become Python's; subclasses of str, int and
    float become the plain type.

    Args:
        value: int, float, str, bool, dict (a Struct), `Proto`, or a scalar of an array library.
        where: what the value is called in the message; its text is made only if there is one.

    Raises:
        InvalidInputError: the value is of no storable type, or out of range.
    """
    cls = type(value)
    if cls is float or cls is bool:
        return value  # type: ignore[return-value]
    if cls is str:
        return _text(value, where)  # type: ignore[arg-type]
    if cls is int:
        return _integer(value, where)  # type: ignore[arg-type]
    if cls is dict:
        return _struct(value, where, 0)  # type: ignore[arg-type]
    if isinstance(value, Proto):
        if type(value.type_url) is not str or type(value.value) is not bytes:
            raise InvalidInputError(
                f"{where}: Proto({value.type_url!r}, {type(value.value).__name__}) where text and bytes were expected",
                code=ErrorCode.INVALID_VALUE,
            )
        return Proto(_text(value.type_url, where), value.value)
    if hasattr(value, "dtype") and hasattr(value, "item"):
        try:
            plain = value.item()
        except (TypeError, ValueError):  # an array of several values
            plain = None
        if type(plain) in (int, float, bool, str):
            return to_value(plain, where)
    elif isinstance(value, str):
        return _text(str.__str__(value), where)
    elif isinstance(value, int):
        return _integer(int(value), where)
    elif isinstance(value, float):
        return float(value)
    elif isinstance(value, Mapping):
        return _struct(dict(value), where, 0)
    raise InvalidInputError(
        f"{where}: a value of type {cls.__name__} where int, float, str, bool, dict or Proto was expected",
        code=ErrorCode.INVALID_VALUE,
        hint="leave an empty property out; put a list into a dict, such as {'list': [...]}",
    )


def to_values(values: Mapping[str, object], owner: object, field: str) -> dict[str, Value]:
    """A copy of a map of properties in storable form.

    Args:
        values: the map.
        owner: whose it is, for the message.
        field: what the map is called in the message.

    Raises:
        InvalidInputError: it is no map, a name is no text, or a value cannot be stored.
    """
    if not isinstance(values, Mapping):
        raise InvalidInputError(
            f"{owner}, {field}: {type(values).__name__} where a dict of names to values was expected",
            code=ErrorCode.INVALID_VALUE,
        )
    result: dict[str, Value] = {}
    for name, value in values.items():
        cls = value.__class__
        if name.__class__ is not str or not name.isascii():
            name = check_text(name, f"{owner}, name in {field}")
        if cls is float or cls is bool or (cls is str and value.isascii()):  # type: ignore[attr-defined]
            result[name] = value  # type: ignore[assignment]
        else:
            result[name] = to_value(value, _Item(owner, field, name))
    return result


class _Item(NamedTuple):
    owner: object
    field: str
    name: str

    def __str__(self) -> str:
        return f"{self.owner}, {self.field}[{self.name!r}]"


def check_text(text: str, where: object) -> str:
    """`text` itself, if it is text that can be encoded.

    Raises:
        InvalidInputError: it is no str, or holds half of a surrogate pair.
    """
    if type(text) is not str:
        if isinstance(text, str):
            # not str(text): an enum's text is its name there
            return _text(str.__str__(text), where)
        raise InvalidInputError(
            f"{where}: {text!r} of type {type(text).__name__} where text was expected",
            code=ErrorCode.INVALID_VALUE,
        )
    return _text(text, where)


def check_integer(value: int, where: object) -> int:
    """`value` as an int of 64 bits; integers of numpy and the like become Python's.

    Raises:
        InvalidInputError: it is none.
    """
    if type(value) is not int:
        if isinstance(value, bool) or not hasattr(value, "__index__"):
            raise InvalidInputError(
                f"{where}: {value!r} of type {type(value).__name__} where an integer was expected",
                code=ErrorCode.INVALID_VALUE,
            )
        try:
            value = int(operator.index(value))
        except TypeError:  # an array of several values
            raise InvalidInputError(
                f"{where}: {type(value).__name__} where an integer was expected", code=ErrorCode.INVALID_VALUE
            ) from None
    return _integer(value, where)


def _integer(value: int, where: object) -> int:
    if not INT64_MIN <= value <= INT64_MAX:
        raise InvalidInputError(
            f"{where}: {value} does not fit into 64 bits",
            code=ErrorCode.INVALID_VALUE,
            hint="store it as text, or as a float",
        )
    return value


def _text(text: str, where: object) -> str:
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError as error:
            raise InvalidInputError(
                f"{where}: {text!r} holds half of a surrogate pair at {error.start}",
                code=ErrorCode.INVALID_VALUE,
                hint="decode the bytes with the right encoding, or with errors='replace'",
            ) from None
    return text


def _struct(value: dict[Any, Any], where: object, depth: int) -> dict[str, Any]:
    return {check_text(key, where): _struct_value(item, f"{where}[{key!r}]", depth + 1) for key, item in value.items()}


def _struct_value(value: Any, where: object, depth: int) -> Any:
    if depth > _DEPTH_MAX:
        raise InvalidInputError(f"{where}: nested deeper than {_DEPTH_MAX} levels", code=ErrorCode.INVALID_VALUE)
    if value is None:
        return None
    if isinstance(value, Mapping):
        return _struct(dict(value), where, depth)
    if isinstance(value, list | tuple):
        return [_struct_value(item, f"{where}[{i}]", depth + 1) for i, item in enumerate(value)]
    if isinstance(value, Proto):
        raise InvalidInputError(f"{where}: a Proto cannot lie in a struct", code=ErrorCode.INVALID_VALUE)
    return to_value(value, where)
