"""
Command lines: tables of options, where their values come from, and the one line that
says what is wrong with one.
"""
