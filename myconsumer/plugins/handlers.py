"""
The handlers that come with this package: names only.
"""

from myconsumer.makers import HandlerMaker

python = HandlerMaker("python", "calls a Python callable", "myconsumer.handlers.python")
command = HandlerMaker("exec", "runs a command", "myconsumer.handlers.command.handler")
forward = HandlerMaker(
    "forward", "posts to a web application", "myconsumer.handlers.forward"
)
