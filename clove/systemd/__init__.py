"""How a daemon of Clove works with systemd: `notify` says how it is, `activation` takes sockets that systemd
has opened, `journal` writes log entries with fields, `credentials` finds secrets that a unit was given.

All of it does nothing where there is no systemd, and needs no library of it: the protocols are documented
(sd_notify(3), sd_listen_fds(3), systemd.io/JOURNAL_NATIVE_PROTOCOL, systemd.exec(5)), and each is a few lines.
"""

__all__: list[str] = []
