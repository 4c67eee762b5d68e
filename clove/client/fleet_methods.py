"""The one list of the methods of a fleet's clients. Standard library only.

A client inherits L{FleetMethods} and has `ask`, which makes one request, and `each`, which gives the items
of a plan. Python's types have no variable for "whatever `ask` makes of it", so the methods are declared
as descriptors with an overload for each shape, as in L{clove.client.methods.binding}.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, cast

from clove.client import fleet_requests

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from typing import Generic, ParamSpec, Protocol, TypeVar, overload

    from twisted.internet.defer import Deferred

    from clove.client.fleet_plan import Asked, Planned

    P = ParamSpec("P")
    T = TypeVar("T")

    class Waiting(Protocol):
        """A client with calls that return their results."""

        def ask(self, asked: Asked, /) -> dict[str, Any]:
            """Make a request and wait for its result."""

    class Deferring(Protocol):
        """A client with calls that return Deferreds of their results."""

        def ask(self, asked: Asked, /) -> Deferred[dict[str, Any]]:
            """Make a request."""

    class Method(Generic[P]):
        """A function as a method that makes its request."""

        @overload
        def __get__(self, client: Waiting, owner: object) -> Callable[P, dict[str, Any]]: ...
        @overload
        def __get__(
            self, client: Deferring, owner: object
        ) -> Callable[P, Deferred[dict[str, Any]]]: ...
        def __get__(self, client: object, owner: Any) -> Any:
            """The method of a client."""

    class EachMethod(Generic[P, T]):
        """A function as a method that gives one item after the other."""

        @overload
        def __get__(self, client: Waiting, owner: object) -> Callable[P, Iterator[T]]: ...
        @overload
        def __get__(self, client: Deferring, owner: object) -> Callable[P, AsyncIterator[T]]: ...
        def __get__(self, client: object, owner: Any) -> Any:
            """The method of a client."""


__all__ = ["FleetMethods"]


def _method(build: Callable[P, Asked]) -> Method[P]:
    """A method that gives the request to the client's `ask`."""

    @functools.wraps(build)
    def bound(client: Any, /, *args: P.args, **kwargs: P.kwargs) -> Any:
        return client.ask(build(*args, **kwargs))

    return cast("Method[P]", bound)


def _each(build: Callable[P, Planned[T]]) -> EachMethod[P, T]:
    """A method that gives the plan to the client's `each`."""

    @functools.wraps(build)
    def bound(client: Any, /, *args: P.args, **kwargs: P.kwargs) -> Any:
        return client.each(build(*args, **kwargs))

    return cast("EachMethod[P, T]", bound)


class FleetMethods:
    """What every client of a relay's REST API can ask."""

    status = _method(fleet_requests.status)

    machines = _each(fleet_requests.machines)
    machine = _method(fleet_requests.machine)
    add_machine = _method(fleet_requests.add_machine)
    change_machine = _method(fleet_requests.change_machine)
    remove_machine = _method(fleet_requests.remove_machine)

    agents = _each(fleet_requests.agents)
    machine_agents = _each(fleet_requests.machine_agents)
    deploy = _method(fleet_requests.deploy)
    deploy_on_all = _each(fleet_requests.deploy_on_all)
    stop_agent = _method(fleet_requests.stop_agent)
    logs = _method(fleet_requests.logs)
    follow_logs = _each(fleet_requests.follow_logs)
    stream = _each(fleet_requests.stream)

    denials = _each(fleet_requests.denials)
    tokens = _each(fleet_requests.tokens)
    begin_login = _method(fleet_requests.begin_login)
    collect_login = _method(fleet_requests.collect_login)
    token = _method(fleet_requests.token)
    narrow_token = _method(fleet_requests.narrow_token)
    rotate_token = _method(fleet_requests.rotate_token)
    issue_token = _method(fleet_requests.issue_token)
    revoke_token = _method(fleet_requests.revoke_token)
