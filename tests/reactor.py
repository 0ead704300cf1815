"""The reactor for tests: typed forms of pytest-twisted's decorators."""

from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any, ParamSpec, TypeVar, cast

import pytest_twisted
from twisted.internet import reactor as _reactor

P = ParamSpec("P")
T = TypeVar("T")
Test = Callable[P, Coroutine[Any, Any, None]]

reactor: Any = _reactor
"""The one that pytest-twisted runs."""


def ensureDeferred(test: Test[P]) -> Callable[P, None]:  # noqa: N802 (as Twisted calls it)
    """Let the reactor run a test that is a coroutine."""
    return cast("Callable[P, None]", pytest_twisted.ensureDeferred(test))


def async_fixture(fixture: Callable[P, AsyncIterator[T]]) -> Callable[P, AsyncIterator[T]]:
    """Let the reactor run a fixture that yields once."""
    return cast("Callable[P, AsyncIterator[T]]", pytest_twisted.async_yield_fixture(fixture))
