"""`redraft`, the command: what a person types. No traceback reaches them for a mistake of theirs."""
