"""What asks a sandbox's init."""

from __future__ import annotations

from collections.abc import Callable

from clove.sandbox.inner_view import InnerView
from clove.sandbox.interface import ExitStatus
from clove.sandbox.outputs import Outputs
from clove.sandbox.requests import Requests

__all__ = ["InitClient"]


class InitClient:
    """Asks init. Each part is made when it is first needed, as most agents need neither.

    @param make_requests: makes what init is asked by.
    @param make_view: makes commands and files inside of it.
    """

    def __init__(
        self, make_requests: Callable[[], Requests], make_view: Callable[[Requests], InnerView]
    ) -> None:
        self._make_requests = make_requests
        self._make_view = make_view
        self._requests: Requests | None = None
        self._view: InnerView | None = None

    def requests(self) -> Requests:
        """What init is asked by."""
        if self._requests is None:
            self._requests = self._make_requests()
        return self._requests

    def view(self) -> InnerView:
        """Commands and files inside."""
        if self._view is None:
            self._view = self._make_view(self.requests())
        return self._view

    def put_on_terminal(
        self,
        job: int,
        descriptor: int,
        outputs: Outputs | None,
        close_descriptor: Callable[[int], None],
    ) -> None:
        """A program is about to run on a terminal, of which init has sent the outer end.

        @param job: the command's number, or 0 for the main program.
        @param outputs: the main program's; None: it asked for no terminal.
        @raise Unavailable: it is none; it is closed.
        """
        if job:
            self.view().put_on_terminal(job, descriptor)
        elif outputs is None:
            close_descriptor(descriptor)
        else:
            outputs.put_on_terminal(descriptor, close_descriptor)

    def fail_requests(self) -> None:
        """Init answers no more."""
        if self._requests is not None:
            self._requests.end()

    def end(self, status: ExitStatus) -> None:
        """The sandbox is gone, and all commands with it."""
        self.fail_requests()
        if self._view is not None:
            self._view.end(status)
