"""What an agent may do. Pure: every check takes text and gives a decision that names its rule."""

from clove.policy.commands import check_command, check_main_program
from clove.policy.delegation import exceeds, excesses, held, narrow, within_cap
from clove.policy.domains import (
    check_address,
    check_connection,
    check_method,
    check_name,
    check_url,
    ports_named,
)
from clove.policy.explain import (
    Explain,
    explain_connect,
    explain_exec,
    explain_http,
    explain_read,
    explain_spawn,
    explain_write,
)
from clove.policy.hosts import Target, normalise_host, parse_url
from clove.policy.levels import Level
from clove.policy.parsing import parse, requested_fields
from clove.policy.paths import check_read, check_write, normalise_path
from clove.policy.permissions import (
    FLAGS,
    Decision,
    Permissions,
    check_any_flag,
    check_flag,
    for_level,
)
from clove.policy.programs import EVERY_PROGRAM, Programs, programs_of
from clove.policy.work import Work

__all__ = [
    "EVERY_PROGRAM",
    "FLAGS",
    "Decision",
    "Explain",
    "Level",
    "Permissions",
    "Programs",
    "Target",
    "Work",
    "check_address",
    "check_any_flag",
    "check_command",
    "check_connection",
    "check_flag",
    "check_main_program",
    "check_method",
    "check_name",
    "check_read",
    "check_url",
    "check_write",
    "exceeds",
    "excesses",
    "explain_connect",
    "explain_exec",
    "explain_http",
    "explain_read",
    "explain_spawn",
    "explain_write",
    "for_level",
    "held",
    "narrow",
    "normalise_host",
    "normalise_path",
    "parse",
    "parse_url",
    "ports_named",
    "programs_of",
    "requested_fields",
    "within_cap",
]
