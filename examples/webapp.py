"""
A web application that does tasks: a model for one of your own, in any language.

"python webapp.py [PORT]" prints its URL.  GET URL/health says that it is there;
POST URL/tasks does the task in the body, and says with its status how that went.
"""

import json
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote


def work(payload, name, attempt):
    """
    Do a task.  It may be delivered twice: check by its name whether it is done already.
    """
    seconds = payload["seconds"]
    if not 0 <= seconds <= 60:
        raise ValueError("seconds takes 0 to 60")
    time.sleep(seconds)
    return {"task": name, "attempt": attempt, "slept": seconds}


class WebApp(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"  # connections are kept
    disable_nagle_algorithm = True

    def do_GET(self):
        self.answer(200 if self.path == "/health" else 404)

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        name = unquote(self.headers.get("Task-Id", ""))
        attempt = int(self.headers.get("Task-Attempt", 1))
        if self.path != "/tasks":
            self.answer(404)  # anything but 2xx, 410 and 422: the task is retried
            return
        try:
            result = work(json.loads(body), name, attempt)
        except BlockingIOError:
            self.answer(503, "busy", Retry_After="5")  # it is retried in 5 seconds
        except (ValueError, KeyError, TypeError) as wrong:
            self.answer(422, f"not to be done: {wrong}")  # it is never retried
        else:
            self.answer(200, result)  # it is done, and this is its result

    def answer(self, code, value=None, **headers):
        body = b"" if value is None else json.dumps(value).encode()
        self.send_response(code)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        for header, text in headers.items():
            self.send_header(header.replace("_", "-"), text)
        self.end_headers()
        self.wfile.write(body)


if __name__ == "__main__":
    number = int(sys.argv[1]) if sys.argv[1:] else 0
    server = ThreadingHTTPServer(("127.0.0.1", number), WebApp)
    print(f"http://127.0.0.1:{server.server_port}", flush=True)
    server.serve_forever()
