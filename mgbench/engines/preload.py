"""What trials of this machine need and what takes seconds to import, for the server that they are forked from."""

import gc
from contextlib import suppress
from importlib import import_module

MODULES = ("mgbench.engines.worker", "diffusers.schedulers", "sklearn.datasets", "sklearn.cluster")

# Searches for garbage would take a quarter of the time, and find none.
gc.disable()
for module in MODULES:
    # A trial that needs it says what is wrong with it.
    with suppress(ImportError):
        import_module(module)
# Nor need trials search what they have in common.
gc.freeze()
gc.enable()
