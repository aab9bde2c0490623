"""Whether what clients saw can be explained: operations, or transactions, that each happen at one instant.

`checker` searches the operations of each key for an order; `list_append` searches all transactions for cycles.

PyPI has no kept library for it (what there is, is a model checker for one language's traces, or abandoned), so these
are the algorithm of Wing and Gong in Lowe's form, as porcupine has it, and the inference of Elle.
"""
