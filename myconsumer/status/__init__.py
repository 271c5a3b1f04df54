"""
What is known of a consumer from outside: observers that count, log and sum up what
happens, and the state that they show.
"""
