"""Imports what trials of this machine need, which takes seconds, in the server that they are forked from."""

import gc
from contextlib import suppress
from importlib import import_module

from mgbench.engines.server import MODULES
from mgbench.recipes.keys import choices
from mgbench.registry.loading import built_in

# Searches for garbage would take a quarter of the time, and find none.
gc.disable()
for module in (*MODULES, *built_in()):
    # A trial that needs it says what is wrong with it.
    with suppress(ImportError):
        import_module(module)
# Every trial hashes the code that its keys depend on, of which most is that of no component. What is missing of it, the plan
# of the run says.
with suppress(LookupError):
    choices({})
# Nor need trials search what they have in common.
gc.freeze()
gc.enable()
