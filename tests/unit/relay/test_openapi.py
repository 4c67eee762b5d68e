"""What the OpenAPI document says of requests."""

from __future__ import annotations

import pytest

from clove.relay.rest.openapi import document
from clove.relay.rest.table import ROUTES


@pytest.mark.parametrize(
    ("path", "method", "required"),
    [
        ("/api/v1/agents/deploy", "post", True),  # no field alone, but some of several
        ("/api/v1/tokens/agent", "post", True),
        ("/api/v1/machines", "post", True),
        ("/api/v1/tokens/admin", "post", False),
    ],
)
def test_a_request_has_a_body_where_it_is_not_right_without(
    path: str, method: str, required: bool
) -> None:
    described = document(ROUTES)["paths"][path][method]
    assert described["requestBody"]["required"] is required
