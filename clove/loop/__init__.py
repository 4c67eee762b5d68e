"""The reactor's loop in daemons: few events a turn, and a watchdog of turns that last."""
