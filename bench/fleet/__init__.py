"""A fleet of thousands of machines on one relay: `python -m bench.fleet`."""
