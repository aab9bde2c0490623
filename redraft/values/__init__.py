"""The data types: what a key may hold, and each type's form on disk.

Here live the value classes and their codec. Here may not live: keys, deadlines, command arguments or replies; a value
does not know where it is stored. A type is one module with one class that keeps the contract of `values.value.Value`
and is registered in `values.codec`. Strings are plain `bytes` (or `bytearray` once they are changed in place).
"""
