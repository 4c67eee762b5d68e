"""The audit log: which principal did what, and whether it was allowed."""

from clove.kernel.audit.file import SecurityFile
from clove.kernel.audit.interface import IAuditLog
from clove.kernel.audit.limits import AuditLimits
from clove.kernel.audit.log import AuditLog

__all__ = ["AuditLimits", "AuditLog", "IAuditLog", "SecurityFile"]
