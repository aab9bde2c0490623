"""Whether a history of concurrent operations can be explained by operations that each happen at one instant.

PyPI has no kept library for it (what there is, is a model checker for one language's traces, or abandoned), so this is
the algorithm of Wing and Gong in Lowe's form, as porcupine has it.
"""
