"""
Our HTTP servers: what the embedded queue and the status of a consumer have in common.
Who may ask, what a connection and a request may take, and where to listen.
"""
