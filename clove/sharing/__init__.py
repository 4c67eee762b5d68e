"""How things that there is a number of are divided among callers. Pure.

`shares` counts what each holds, `fair_queue` and `fair_semaphore` give turns.
"""

__all__: list[str] = []
