"""A worker process as the driver sees it."""

import json
import os
import select
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
# Seconds of silence after which a long step says that it still runs.
PATIENCE = 20


class PeerFailed(Exception):
    """What a peer could not do, in words for the table."""


class PeerProcess:
    def __init__(self, name, log):
        self.name, self.log = name, log
        with open(log, "a") as file:
            self.process = subprocess.Popen(
                [sys.executable, os.path.join(HERE, "worker.py")],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=file, env=environment())
        self.received = b""

    def ask(self, do, limit_s, **request):
        """The answer to one request; raises `PeerFailed` for an error, a death, or more than `limit_s` seconds."""
        try:
            self.process.stdin.write(json.dumps({"do": do, **request}).encode() + b"\n")
            self.process.stdin.flush()
        except (BrokenPipeError, ValueError):  # it is dead, or was killed and its pipes closed
            raise PeerFailed(self.death()) from None
        answer = json.loads(self.line(do, limit_s))
        if answer.get("error"):
            raise PeerFailed(answer["error"])
        return answer

    def line(self, do, limit_s):
        start = time.monotonic()
        pipe = self.process.stdout.fileno()
        while b"\n" not in self.received:
            waited = time.monotonic() - start
            if waited >= limit_s:
                self.kill()
                raise PeerFailed(f"{do}: stopped after {limit_s:.0f} s")
            if select.select([pipe], [], [], min(PATIENCE, limit_s - waited))[0]:
                part = os.read(pipe, 65536)
                if not part:
                    raise PeerFailed(self.death())
                self.received += part
            elif time.monotonic() - start >= PATIENCE:
                print(f"peers: {self.name}: {do}: {time.monotonic() - start:.0f} s so far", flush=True)
        line, _, self.received = self.received.partition(b"\n")
        return line

    def death(self):
        return f"its process ended with status {self.process.wait()}; see {self.log}"

    def kill(self):
        """Ends the process at once, if it still runs."""
        self.process.kill()
        self.process.wait()
        for pipe in (self.process.stdin, self.process.stdout):
            try:
                pipe.close()
            except BrokenPipeError:
                pass  # the request that it never read

    def end(self):
        """Closes what is open and ends the process, whatever state it is in."""
        try:
            self.ask("close", 30)
            self.process.wait(10)
        except (PeerFailed, subprocess.TimeoutExpired):
            pass
        finally:
            self.kill()


def environment():
    return dict(os.environ, PYTHONDONTWRITEBYTECODE="1")
