"""One module a family of syscalls: ask a domain object, make the reply."""
