"""
The HTTP client of the queues, made of treq: connections of its own, one deadline over
head and body, bounded answers, and failures that say whether a retry may help.
"""

from myconsumer.http.answer import Answer
from myconsumer.http.assembly import makeClient
from myconsumer.http.client import Client
from myconsumer.http.urls import parseURL

__all__ = ["Answer", "Client", "makeClient", "parseURL"]
