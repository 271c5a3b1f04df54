"""
A pull endpoint (contract version 1), in memory: "python endpoint.py [PORT]" prints its
URL.  Producers POST {"payload": ...} there, or a list of such; GET counts what is left.
"""

import sys
from collections import deque
from itertools import count
from typing import Annotated, Literal
from uuid import uuid4

from msgspec import Meta, convert, json
from twisted.internet import reactor
from twisted.web import resource, server

Limit, Time = Annotated[int, Meta(ge=1)], Annotated[float, Meta(ge=0)]


class Endpoint(resource.Resource):
    def __init__(self, reactor):
        super().__init__()
        self.isLeaf = True
        self.clock, self.ids = reactor, map(str, count(1))
        self.tasks = {}  # by id: when its lease or delay ends, and the task
        self.polls = {}  # claims that wait, by request, the oldest first
        self.deleted = deque(maxlen=1000)  # names of claims, some of them still to come

    def render(self, request):
        request.setHeader("Content-Type", "application/json")
        code, answer = 404, {"error": "there is nothing here"}
        try:
            body = json.decode(request.content.read() or b"null")
            match request.method, request.postpath:
                case b"POST", [b"claim"]:
                    return self.claim(request, **body)
                case b"POST", [b"settle"]:
                    lost = [self.settle(**each) for each in body["settle"]]
                    code, answer = 200, {"lost": [*filter(None, lost)]}
                case b"DELETE", [b"claim", name]:
                    self.deleted.append(name.decode())
                    code, answer = 204, self.serve()
                case b"POST", [b""]:
                    new = body if isinstance(body, list) else [body]
                    new = [{"id": next(self.ids), "payload": t["payload"]} for t in new]
                    code, answer = 201, {"ids": [self.put(task, 0) for task in new]}
                case b"GET", [b""]:
                    code, answer = 200, {"queued": len(self.tasks)}
        except (LookupError, RecursionError, TypeError, ValueError) as wrong:
            code, answer = 400, {"error": f"{type(wrong).__name__}: {wrong}"}
        request.setResponseCode(code)
        request.write(json.format(json.encode(answer), indent=0))
        request.finish()
        return server.NOT_DONE_YET

    def claim(self, request, /, claim, limit, wait, lease, **_):
        convert((limit, wait, lease), tuple[Limit, Time, Time])
        self.polls[request] = claim, limit, lease, self.clock.seconds() + wait
        request.notifyFinish().addErrback(lambda gone: self.polls.pop(request, None))
        self.clock.callLater(0, self.serve)
        self.clock.callLater(wait, self.serve)
        return server.NOT_DONE_YET

    def serve(self):
        now = self.clock.seconds()
        for request, (claim, limit, lease, end) in list(self.polls.items()):
            limit = 0 if claim in self.deleted else limit
            tasks = [task for due, task in self.tasks.values() if due <= now][:limit]
            if tasks or limit == 0 or end <= now:
                del self.polls[request]
                for task in tasks:
                    task["receipt"] = f"{self.put(task, lease)}.{uuid4()}"
                    task.update(attempt=task.get("attempt", 0) + 1, lease=lease)
                request.write(json.format(json.encode({"tasks": tasks}), indent=0))
                request.finish()

    def put(self, task, seconds):
        self.clock.callLater(convert(seconds, Time), self.serve)
        self.tasks[task["id"]] = self.clock.seconds() + seconds, task
        return task["id"]

    def settle(self, /, receipt, outcome, lease=60, delay=0, counted=True, **_):
        convert(outcome, Literal["complete", "release", "fail", "extend"])
        due, task = self.tasks.get(str.partition(receipt, ".")[0], (0, {}))
        held = due > self.clock.seconds() and task.get("receipt") == receipt
        if held and outcome == "extend":
            self.put(task, lease)
        elif held and outcome == "release":
            self.put(task, delay)
            task.update(receipt="", attempt=task["attempt"] - (not counted))
        elif held:
            del self.tasks[task["id"]]  # keep what has failed somewhere, in your own
        return None if held else receipt


if __name__ == "__main__":
    site, number = server.Site(Endpoint(reactor)), int([*sys.argv, 0][1])
    port = reactor.listenTCP(number, site, interface="127.0.0.1")
    print(f"http://127.0.0.1:{port.getHost().port}", flush=True)
    reactor.run()
