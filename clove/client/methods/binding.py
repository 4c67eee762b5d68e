"""From a pure function that gives a `Call` to a method of every client. Standard library only.

At run time L{method} and L{stream_method} give plain functions, made once and shared by all
clients. What such a function gives depends on the client: the result of the call if `ask` waits
for it, a Deferred or a coroutine of the result if `ask` gives one. Python's types have no variable for
"whatever `ask` makes of T", so the functions are declared as descriptors (which functions are) with an
overload for each shape of `ask`. A type checker so knows each method's arguments and its result,
for any client of these shapes; a client of another shape is one overload more.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any, cast

__all__ = ["method", "stream_method"]

if TYPE_CHECKING:
    from typing import Concatenate, Generic, ParamSpec, Protocol, TypeVar, overload

    from twisted.internet.defer import Deferred

    from clove.client.aio_stream import AsyncStream
    from clove.client.call import Call, StreamCall
    from clove.client.stream import Stream

    P = ParamSpec("P")
    T = TypeVar("T")
    S = TypeVar("S")

    class Waiting(Protocol):
        """A client with calls that return their results."""

        def ask(self, call: Call[T], /) -> T:
            """Make a call and wait for its result."""

    class Deferring(Protocol):
        """A client with calls that return Deferreds of their results."""

        def ask(self, call: Call[T], /) -> Deferred[T]:
            """Make a call."""

    class Awaiting(Protocol):
        """A client with calls that are coroutines."""

        def ask(self, call: Call[T], /) -> Coroutine[Any, Any, T]:
            """Make a call, and wait for its result when it is awaited."""

    W = TypeVar("W", bound=Waiting)
    D = TypeVar("D", bound=Deferring)
    A = TypeVar("A", bound=Awaiting)

    class Method(Generic[P, T]):
        """A function as a method that makes its call."""

        @overload
        def __get__(self, client: Waiting, owner: object) -> Callable[P, T]: ...
        @overload
        def __get__(self, client: Deferring, owner: object) -> Callable[P, Deferred[T]]: ...
        @overload
        def __get__(
            self, client: Awaiting, owner: object
        ) -> Callable[P, Coroutine[Any, Any, T]]: ...
        @overload
        def __get__(self, client: None, owner: type[W]) -> Callable[Concatenate[W, P], T]: ...
        @overload
        def __get__(
            self, client: None, owner: type[D]
        ) -> Callable[Concatenate[D, P], Deferred[T]]: ...
        @overload
        def __get__(
            self, client: None, owner: type[A]
        ) -> Callable[Concatenate[A, P], Coroutine[Any, Any, T]]: ...
        def __get__(self, client: object, owner: Any) -> Any:
            """The method of a client, or, of a class, the function."""

    class StreamMethod(Generic[P, T, S]):
        """A function as a method with a reply in pieces; a Deferred client's method has the
        function that they are given to as its first argument.
        """

        @overload
        def __get__(self, client: Waiting, owner: object) -> Callable[P, Stream[T, S]]: ...
        @overload
        def __get__(
            self, client: Deferring, owner: object
        ) -> Callable[Concatenate[Callable[[S], object], P], Deferred[T]]: ...
        @overload
        def __get__(self, client: Awaiting, owner: object) -> Callable[P, AsyncStream[T, S]]: ...
        @overload
        def __get__(
            self, client: None, owner: type[W]
        ) -> Callable[Concatenate[W, P], Stream[T, S]]: ...
        @overload
        def __get__(
            self, client: None, owner: type[D]
        ) -> Callable[Concatenate[D, Callable[[S], object], P], Deferred[T]]: ...
        @overload
        def __get__(
            self, client: None, owner: type[A]
        ) -> Callable[Concatenate[A, P], AsyncStream[T, S]]: ...
        def __get__(self, client: object, owner: Any) -> Any:
            """The method of a client, or, of a class, the function."""


def method(build: Callable[P, Call[T]]) -> Method[P, T]:
    """A method that gives the call to the client's `ask`."""

    @functools.wraps(build)
    def bound(client: Any, /, *args: P.args, **kwargs: P.kwargs) -> Any:
        return client.ask(build(*args, **kwargs))

    return cast("Method[P, T]", bound)


def stream_method(build: Callable[P, StreamCall[T, S]]) -> StreamMethod[P, T, S]:
    """A method that gives the call to the client's `stream`, by its `_streamed`."""

    @functools.wraps(build)
    def bound(client: Any, /, *args: Any, **kwargs: Any) -> Any:
        return client._streamed(build, *args, **kwargs)

    return cast("StreamMethod[P, T, S]", bound)
