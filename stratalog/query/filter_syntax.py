"""The filter language's grammar: text to a tree, knowing nothing of fields and types.

A precedence parser over one regular expression of tokens. It takes three Python frames per bracket and loops over
everything else, so only brackets are limited in depth.

Source: docs/reference/filters.md, "Grammar".
"""

from __future__ import annotations

import re
from typing import NamedTuple, NoReturn

import msgspec

from stratalog.eventlog.errors import ErrorCode, InvalidInputError
from stratalog.eventlog.events import INT64_MAX, INT64_MIN

DEPTH_MAX = 100
"""Brackets that may be open at once."""

LENGTH_MAX = 1_000_000
"""Characters of a filter."""


class Literal(msgspec.Struct, frozen=True, gc=False):
    """A number, a text or a boolean. `at` is the offset in the text, here and below."""

    value: int | float | str | bool
    at: int


class Name(msgspec.Struct, frozen=True):
    """A dotted name; `quoted` says which parts stood in back quotes."""

    parts: tuple[str, ...]
    quoted: tuple[bool, ...]
    at: int

    def __str__(self) -> str:
        return ".".join(f"`{part}`" if quoted else part for part, quoted in zip(self.parts, self.quoted, strict=True))


class Sum(msgspec.Struct, frozen=True):
    """Terms with their signs (1 or -1)."""

    terms: tuple[tuple[int, Tree], ...]
    at: int


class Compare(msgspec.Struct, frozen=True):
    """`operator` is one of = != < <= > >=."""

    operator: str
    left: Tree
    right: Tree
    at: int


class Like(msgspec.Struct, frozen=True):
    """`value` LIKE `pattern`."""

    value: Tree
    pattern: str
    at: int


class In(msgspec.Struct, frozen=True):
    """`value` [NOT] IN `options`."""

    value: Tree
    options: tuple[Tree, ...]
    negated: bool
    at: int


class Between(msgspec.Struct, frozen=True):
    """`value` BETWEEN `low` AND `high`."""

    value: Tree
    low: Tree
    high: Tree
    at: int


class IsNull(msgspec.Struct, frozen=True):
    """`value` IS [NOT] NULL."""

    value: Tree
    negated: bool
    at: int


class Not(msgspec.Struct, frozen=True):
    """NOT `term`."""

    term: Tree
    at: int


class And(msgspec.Struct, frozen=True):
    """All of `terms`, two or more."""

    terms: tuple[Tree, ...]
    at: int


class Or(msgspec.Struct, frozen=True):
    """One of `terms`, two or more."""

    terms: tuple[Tree, ...]
    at: int


Tree = Literal | Name | Sum | Compare | Like | In | Between | IsNull | Not | And | Or


def filter_error(text: str, at: int, problem: str, hint: str | None = None) -> InvalidInputError:
    """An INVALID_FILTER error that shows the filter and the column (from 1) where the trouble is."""
    shown = text if len(text) <= 200 else f"{text[:197]}..."
    return InvalidInputError(f'filter "{shown}", column {at + 1}: {problem}', code=ErrorCode.INVALID_FILTER, hint=hint)


class _Token(NamedTuple):
    kind: str
    text: str
    at: int


_TOKEN = re.compile(
    r"""
      (?P<space>\s+)
    | (?P<keyword>(?i:AND|OR|NOT|IN|LIKE|BETWEEN|IS|NULL|TRUE|FALSE)(?![0-9A-Za-z_]))
    | (?P<name>[A-Za-z_][0-9A-Za-z_]*(?:\s*\.\s*(?:[0-9A-Za-z_]+|`[^`]+`))*)
    | (?P<float>(?:[0-9]+\.[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?(?![0-9A-Za-z_.])|[0-9]+[eE][+-]?[0-9]+(?![0-9A-Za-z_.]))
    | (?P<integer>(?:0[xX][0-9A-Fa-f]+|[0-9]+)(?![0-9A-Za-z_.]))
    | (?P<string>'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*")
    | (?P<operator><=|>=|<>|!=|--|==|[=<>(),+-])
    """,
    re.VERBOSE | re.DOTALL,
)
_PART = re.compile(r"\s*\.?\s*(?:([0-9A-Za-z_]+)|`([^`]+)`)")
_ESCAPE = re.compile(
    r"\\(?:(?P<octal>[0-3][0-7]{2})|[xX](?P<hex>[0-9A-Fa-f]{2})|u(?P<short>[0-9A-Fa-f]{4})"
    r"|U(?P<long>[0-9A-Fa-f]{8})|(?P<one>.))",
    re.DOTALL,
)
_ONE_LETTER = {"a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v"} | {
    sign: sign for sign in "\\?'\"`"
}
_COMPARISONS = {"=": "=", "!=": "!=", "<>": "!=", "<": "<", "<=": "<=", ">": ">", ">=": ">="}
_HINTS = {
    ";": "a filter is one condition, without ';'",
    "--": "comments are not part of the language; write '- -1' for two signs",
    "==": "equality is written '='",
    "#": "comments are not part of the language",
    "/": "comments and division are not part of the language",
    "(": "functions are not part of the language",
    "[": "subscripts are not part of the language",
    "`": "back quotes stand around a whole property name: properties.`my key`.int_value",
    "'": "the text has no closing quote",
    '"': "the text has no closing quote",
    "%": "use LIKE 'text%' to look for the beginning of a text",
}


def parse(text: str) -> Tree | None:
    """The tree of a filter; None for the empty one, which selects everything.

    Raises:
        InvalidInputError: INVALID_FILTER, with the column.
    """
    if not text:
        return None
    if len(text) > LENGTH_MAX:
        raise filter_error(text, LENGTH_MAX, f"{len(text)} characters, at most {LENGTH_MAX} are allowed")
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise filter_error(repr(text), error.start, "half a surrogate pair is no character") from None
    return _Parser(text).whole()


def _tokens(text: str) -> list[_Token]:
    tokens: list[_Token] = []
    at, end = 0, len(text)
    match_at = _TOKEN.match
    while at < end:
        match = match_at(text, at)
        if match is None:
            raise filter_error(text, at, f"{text[at]!r} is not expected here", _HINTS.get(text[at]))
        kind = match.lastgroup
        assert kind is not None
        if kind != "space":
            word = match.group()
            tokens.append(_Token(word.upper() if kind == "keyword" else kind, word, at))
        at = match.end()
    tokens.append(_Token("end", "", end))
    return tokens


class _Parser:
    def __init__(self, text: str) -> None:
        self._text = text
        self._tokens = _tokens(text)
        self._index = 0
        self._depth = 0

    def whole(self) -> Tree:
        if self._tokens[0].kind == "end":
            raise filter_error(self._text, 0, "nothing but white space", "an empty filter selects everything")
        tree = self._condition()
        if self._tokens[self._index].kind != "end":
            self._refuse("the end, AND or OR")
        return tree

    def _refuse(self, expected: str) -> NoReturn:
        raise self._refusal(expected)

    def _refusal(self, expected: str) -> InvalidInputError:
        token = self._tokens[self._index]
        found = "the end" if token.kind == "end" else repr(token.text)
        return filter_error(self._text, token.at, f"found {found}, expected {expected}", _HINTS.get(token.text))

    def _accept(self, kind: str) -> bool:
        if self._tokens[self._index].kind == kind:
            self._index += 1
            return True
        return False

    def _sign(self, signs: str) -> str | None:
        token = self._tokens[self._index]
        if token.kind == "operator" and token.text in signs:
            self._index += 1
            return token.text
        return None

    def _condition(self) -> Tree:
        at = self._tokens[self._index].at
        alternatives: list[Tree] = []
        terms: list[Tree] = []
        while True:
            nots: list[int] = []
            while self._tokens[self._index].kind == "NOT":
                nots.append(self._tokens[self._index].at)
                self._index += 1
            term = self._predicate()
            # Two NOTs are enough to keep the demand for a boolean: NOT NOT x is x, in three-valued logic too.
            for place in nots[-1 if len(nots) % 2 else -2 :]:
                term = Not(term, place)
            terms.append(term)
            if self._accept("AND"):
                continue
            alternatives.append(terms[0] if len(terms) == 1 else And(tuple(terms), at))
            if self._accept("OR"):
                terms = []
                continue
            return alternatives[0] if len(alternatives) == 1 else Or(tuple(alternatives), at)

    def _predicate(self) -> Tree:
        left = self._operand()
        token = self._tokens[self._index]
        operator = _COMPARISONS.get(token.text) if token.kind == "operator" else None
        if operator is not None:
            self._index += 1
            tree: Tree = Compare(operator, left, self._operand(), token.at)
        elif self._accept("IS"):
            negated = self._accept("NOT")
            if not self._accept("NULL"):
                self._refuse("NULL")
            tree = IsNull(left, negated, token.at)
        else:
            negated = self._accept("NOT")
            if self._accept("LIKE"):
                tree = Like(left, self._pattern(), token.at)
            elif self._accept("IN"):
                return self._ended(In(left, self._options(), negated, token.at))
            elif self._accept("BETWEEN"):
                low = self._operand()
                if not self._accept("AND"):
                    self._refuse("AND")
                tree = Between(left, low, self._operand(), token.at)
            elif negated:
                self._refuse("LIKE, IN or BETWEEN")
            else:
                return left
            if negated:
                tree = Not(tree, token.at)
        return self._ended(tree)

    def _ended(self, tree: Tree) -> Tree:
        token = self._tokens[self._index]
        if token.kind in ("IS", "IN", "LIKE", "BETWEEN", "NOT") or token.text in _COMPARISONS:
            self._refuse("the end, AND or OR")
        return tree

    def _pattern(self) -> str:
        if self._tokens[self._index].kind != "string":
            self._refuse("a text in quotes after LIKE")
        literal = self._primary()
        assert isinstance(literal, Literal)
        assert isinstance(literal.value, str)
        return literal.value

    def _options(self) -> tuple[Tree, ...]:
        if not self._sign("("):
            self._refuse("'(' and a list of values")
        options = [self._operand()]
        while self._sign(","):
            options.append(self._operand())
        if not self._sign(")"):
            self._refuse("',' or ')'")
        return tuple(options)

    def _operand(self) -> Tree:
        at = self._tokens[self._index].at
        terms: list[tuple[int, Tree]] = []
        factor = 1
        while True:
            while sign := self._sign("+-"):
                factor = -factor if sign == "-" else factor
            terms.append((factor, self._primary()))
            joint = self._sign("+-")
            if joint is None:
                break
            factor = -1 if joint == "-" else 1
        return terms[0][1] if len(terms) == 1 and terms[0][0] == 1 else self._sum(terms, at)

    def _sum(self, terms: list[tuple[int, Tree]], at: int) -> Tree:
        total: int | float = 0
        for factor, term in terms:
            if not isinstance(term, Literal) or isinstance(term.value, (str, bool)):
                return Sum(tuple(terms), at)
            total += factor * term.value
        return Literal(self._checked(total, at), at)

    def _primary(self) -> Tree:
        token = self._tokens[self._index]
        self._index += 1
        match token.kind:
            case "name":
                found = _PART.findall(token.text)
                return Name(
                    tuple(plain or quoted for plain, quoted in found), tuple(not plain for plain, _ in found), token.at
                )
            case "integer":
                if token.text[:2] in ("0x", "0X"):
                    return Literal(self._literal_integer(int(token.text, 16), token), token.at)
                if len(token.text) > 4000:  # Python refuses to read longer numbers.
                    raise filter_error(self._text, token.at, "the number is outside of 64 bits")
                return Literal(self._literal_integer(int(token.text), token), token.at)
            case "float":
                return Literal(self._checked(float(token.text), token.at), token.at)
            case "string":
                return Literal(self._unescaped(token), token.at)
            case "TRUE":
                return Literal(True, token.at)
            case "FALSE":
                return Literal(False, token.at)
            case "operator" if token.text == "(":
                self._depth += 1
                if self._depth > DEPTH_MAX:
                    raise filter_error(self._text, token.at, f"more than {DEPTH_MAX} brackets are open")
                tree = self._condition()
                self._depth -= 1
                if not self._sign(")"):
                    self._refuse("')'")
                return tree
        self._index -= 1
        if token.kind == "NULL":
            raise filter_error(self._text, token.at, "NULL is no value", "write IS NULL or IS NOT NULL")
        raise self._refusal("a field, a value or '('")

    def _literal_integer(self, value: int, token: _Token) -> int:
        # 2**63 is let through for a sign before it: -9223372036854775808 is an int64.
        before = self._tokens[self._index - 2].text if self._index >= 2 else ""
        if value > INT64_MAX + (before == "-"):
            raise filter_error(self._text, token.at, "the number is outside of 64 bits")
        return value

    def _checked(self, value: int | float, at: int) -> int | float:
        if isinstance(value, int):
            if not INT64_MIN <= value <= INT64_MAX:
                raise filter_error(self._text, at, "the number is outside of 64 bits")
        elif value - value != 0:
            raise filter_error(self._text, at, "the number is outside of what a double can hold")
        return value

    def _unescaped(self, token: _Token) -> str:
        inner = token.text[1:-1]
        if "\\" not in inner:
            return inner

        def one(match: re.Match[str]) -> str:
            code = match["octal"], match["hex"], match["short"], match["long"]
            if match["one"] is not None:
                sign = _ONE_LETTER.get(match["one"])
            else:
                number = int(code[0], 8) if code[0] else int(code[1] or code[2] or code[3], 16)
                sign = chr(number) if number < 0x110000 and not 0xD800 <= number < 0xE000 else None
            if sign is None:
                raise filter_error(
                    self._text,
                    token.at + 1 + match.start(),
                    f"unknown escape {match.group()!r}",
                    "a backslash itself is written '\\\\'",
                )
            return sign

        return _ESCAPE.sub(one, inner)
