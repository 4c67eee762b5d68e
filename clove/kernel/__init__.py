"""The kernel daemon. `tap` is what twistd starts, `service` wires the parts."""
