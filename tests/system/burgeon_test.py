# SPDX-License-Identifier: GPL-3.0-or-later
"""A real burgeond over ipc:// in a scratch directory, and the client's side of its protocol in a few lines of Python.

Nothing here sleeps: everything waits for an event (a message, the end of a process) with a deadline.
"""
import os
import pathlib
import selectors
import signal
import socket
import subprocess
import tempfile
import time

import msgpack
import zmq

DEADLINE = float(os.environ.get("BURGEON_DEADLINE", 30))  # seconds; sanitizers and busy machines are slow
US = 1_000_000
DAY = 86_400 * US
T0 = 1_672_531_200 * US  # 2023-01-01T00:00:00Z


class Timeout(AssertionError):
    pass


class Programs:
    """Where the build put them."""

    def __init__(self, build):
        self.burgeond = build / "daemon" / "burgeond"
        self.burgeon = build / "client" / "burgeon"
        for program in (self.burgeond, self.burgeon):
            if not program.exists():
                raise FileNotFoundError(f"{program}: build first (./do build)")

    def run(self, program, *arguments, timeout=DEADLINE, **options):
        """Run to the end; stdin is empty, output is text."""
        options.setdefault("stdin", subprocess.DEVNULL)
        if "input" in options:
            options.pop("stdin")
        return subprocess.run([str(program), *map(str, arguments)], timeout=timeout, capture_output=True, text=True, check=False,
                              **options)

    def replay(self, files, out, *arguments, timeout=600):
        return self.run(self.burgeond, "--replay", *files, "--out", out, *arguments, timeout=timeout)


class Running:
    """A program that is running, its standard output read line by line; killed at the end of the with block, if need be."""

    def __init__(self, *command, **options):
        self.process = subprocess.Popen([str(word) for word in command], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                        stderr=subprocess.PIPE, **options)
        self.rest, self.errors = b"", b""
        self.selector = selectors.DefaultSelector()
        for pipe in (self.process.stdout, self.process.stderr):
            self.selector.register(pipe, selectors.EVENT_READ)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self.selector.close()
        self.process.stdout.close()
        self.process.stderr.close()

    def _read(self, deadline):
        """True when something came, False at the end of both outputs."""
        if not self.selector.get_map():
            return False
        ready = self.selector.select(max(deadline - time.monotonic(), 0))
        if not ready:
            raise Timeout(f"nothing more within the time; so far: {self.rest!r}, errors: {self.errors!r}")
        for key, _ in ready:
            data = os.read(key.fd, 65536)
            if not data:
                self.selector.unregister(key.fileobj)
            elif key.fileobj is self.process.stdout:
                self.rest += data
            else:
                self.errors += data
        return True

    def line(self, timeout=DEADLINE):
        """The next line; '' at the end."""
        deadline = time.monotonic() + timeout
        while b"\n" not in self.rest:
            if not self._read(deadline):
                break
        line, end, self.rest = self.rest.partition(b"\n")
        return (line + end).decode()

    def finish(self, timeout=DEADLINE):
        """Read to the end; the exit status."""
        deadline = time.monotonic() + timeout
        while self._read(deadline):
            pass
        return self.process.wait(max(deadline - time.monotonic(), 0.1))


def unpack(payload):
    return msgpack.unpackb(payload, raw=False, strict_map_key=False)


def add(model, child, at, **more):
    return {"t": "add", "model": model, "child": child, "at": at, **more}


def remove(model, child, at):
    return {"t": "remove", "model": model, "child": child, "at": at}


def tally(model, start, end, count, **more):
    return {"t": "tally", "model": model, "from": start, "to": end, "count": count, **more}


class Door:
    """A DEALER at one of the daemon's ROUTER doors: several requests may be under way."""

    def __init__(self, context, endpoint):
        self.socket = context.socket(zmq.DEALER)
        self.socket.linger = 0
        self.socket.sndhwm = self.socket.rcvhwm = 0
        self.socket.connect(endpoint)

    def send(self, message):
        self.send_bytes(message if isinstance(message, bytes) else msgpack.packb(message))

    def send_bytes(self, *frames):
        self.socket.send_multipart(frames)

    def receive(self, timeout=DEADLINE):
        if not self.socket.poll(timeout * 1000):
            raise Timeout(f"no answer within {timeout} s")
        return unpack(self.socket.recv_multipart()[-1])

    def quiet(self, seconds):
        """True when nothing arrives for so long."""
        return not self.socket.poll(seconds * 1000)

    def ask(self, message, timeout=DEADLINE):
        self.send(message)
        return self.receive(timeout)

    def close(self):
        self.socket.close()


class Subscriber:
    """A SUB at the updates door; keeps the last value of each topic, and what was lost (rev does not follow prev_rev)."""

    def __init__(self, context, endpoint, *prefixes):
        self.socket = context.socket(zmq.SUB)
        self.socket.linger = 0
        self.socket.rcvhwm = 0
        self.socket.connect(endpoint)
        self.last, self.n, self.lost = {}, 0, []
        for prefix in prefixes:
            self.subscribe(prefix)

    def subscribe(self, prefix):
        self.socket.setsockopt(zmq.SUBSCRIBE, prefix.encode())

    def receive(self, timeout=DEADLINE):
        if not self.socket.poll(timeout * 1000):
            raise Timeout(f"no update within {timeout} s")
        topic, payload = self.socket.recv_multipart()
        topic, message = topic.decode(), unpack(payload)
        self.n += 1
        if "rev" in message:
            key = topic, message.get("relation"), message.get("id")
            before = self.last.get(key)
            # the last value that greets a new subscription stands alone; from then on every revision follows its forerunner
            if before and message["rev"] > before["rev"] and message["prev_rev"] != before["rev"]:
                self.lost.append((key, before["rev"], message["prev_rev"]))
            self.last[key] = message
        else:
            self.last[topic, None, None] = message
        return topic, message

    def wait(self, wanted, timeout=DEADLINE):
        """The first (topic, message) for which wanted(topic, message) holds."""
        deadline = time.monotonic() + timeout
        while True:
            left = deadline - time.monotonic()
            if left <= 0:
                raise Timeout(f"what was waited for did not arrive within {timeout} s ({self.n} other updates did)")
            topic, message = self.receive(left)
            if wanted(topic, message):
                return topic, message

    def close(self):
        self.socket.close()


class Feed:
    """A source at the submit door: numbers its batches, sends several before it waits, and can resend them."""

    def __init__(self, context, endpoint, source="test"):
        self.door = Door(context, endpoint)
        self.source, self.seq = source, 0
        self.unacknowledged = {}

    def send(self, events):
        self.seq += 1
        batch = msgpack.packb({"v": 1, "source": self.source, "seq": self.seq, "events": events})
        self.unacknowledged[self.seq] = batch
        self.door.send_bytes(batch)
        return self.seq

    def receive(self, timeout=DEADLINE):
        ack = self.door.receive(timeout)
        if ack.get("durable"):
            self.unacknowledged.pop(ack["seq"], None)
        return ack

    def submit(self, events, timeout=DEADLINE):
        """One batch and its acknowledgement, which must say that it is durable."""
        seq = self.send(events)
        ack = self.receive(timeout)
        assert ack["seq"] == seq and ack["durable"], ack
        return ack

    def submit_all(self, events, size=1000, ahead=8):
        """Many batches, a few of them ahead of their acknowledgements; the acknowledgements in order."""
        acks = []
        for start in range(0, len(events), size):
            self.send(events[start:start + size])
            while len(self.unacknowledged) >= ahead:
                acks.append(self.receive())
        while self.unacknowledged:
            acks.append(self.receive())
        return acks

    def close(self):
        self.door.close()


RELATIONS = ("finetune", "adapter", "quantized", "merge", "download")
DOORS = ("submit", "updates", "query")


class Daemon:
    """burgeond in a directory of its own. A second start() in the same directory continues the same state."""

    def __init__(self, programs, directory, config="", arguments=()):
        self.programs, self.directory = programs, pathlib.Path(directory)
        self.directory.mkdir(parents=True, exist_ok=True)
        # a Unix socket's path is short: not below the test's own, long, directory
        self.sockets = tempfile.TemporaryDirectory(prefix="burgeon-")
        self.endpoints = {door: f"ipc://{self.sockets.name}/{door}" for door in DOORS}
        self.config, self.arguments = config, list(arguments)
        self.context = zmq.Context()
        self.process, self.n_ids, self.open = None, 0, []

    # ---- life ----

    def command(self):
        path = self.directory / "burgeond.conf"
        path.write_text(self.config)
        command = [str(self.programs.burgeond), "--config", str(path), "--state", str(self.directory / "state.sqlite"),
                   "--heartbeat", "50ms"]  # tests wait for them
        for door in DOORS:
            command += [f"--{door}", self.endpoints[door]]
        return command + [str(argument) for argument in self.arguments]

    def start(self, timeout=DEADLINE, **environment):
        """Start it and wait until it says that its sockets are bound and its state is loaded (READY=1)."""
        assert not self.running()
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify, open(self.log_path, "ab") as log:
            path = f"{self.sockets.name}/notify"
            pathlib.Path(path).unlink(missing_ok=True)
            notify.bind(path)
            self.process = subprocess.Popen(self.command(), stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                            env={**os.environ, "NOTIFY_SOCKET": path, **environment})
            deadline = time.monotonic() + timeout
            while True:
                notify.settimeout(0.1)  # short only to notice that the process is gone
                try:
                    if b"READY=1" in notify.recv(4096).split(b"\n"):
                        return self
                except TimeoutError:
                    pass
                if self.process.poll() is not None:
                    raise AssertionError(f"burgeond ended with {self.process.returncode}:\n{self.log()}")
                if time.monotonic() > deadline:
                    raise Timeout(f"burgeond not ready within {timeout} s:\n{self.log()}")

    @property
    def log_path(self):
        return self.directory / "log"

    def log(self):
        return self.log_path.read_text(errors="replace")

    def running(self):
        return self.process is not None and self.process.poll() is None

    def signal(self, number):
        self.process.send_signal(number)

    def wait(self, timeout=DEADLINE):
        return self.process.wait(timeout)

    def stop(self, timeout=DEADLINE):
        """SIGTERM, and its exit status."""
        self.signal(signal.SIGTERM)
        return self.wait(timeout)

    def kill(self):
        self.signal(signal.SIGKILL)
        self.wait()

    def cleanup(self):
        if self.running():
            self.kill()
        for thing in self.open:
            thing.close()
        self.context.destroy(linger=0)
        self.sockets.cleanup()

    def rss(self):
        """Resident memory, bytes."""
        with open(f"/proc/{self.process.pid}/statm", encoding="ascii") as statm:
            return int(statm.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")

    # ---- doors ----

    def _kept(self, thing):
        self.open.append(thing)
        return thing

    def feed(self, source="test"):
        return self._kept(Feed(self.context, self.endpoints["submit"], source))

    def door(self, name):
        return self._kept(Door(self.context, self.endpoints[name]))

    def subscriber(self, *prefixes):
        return self._kept(Subscriber(self.context, self.endpoints["updates"], *prefixes))

    def query(self, q, timeout=DEADLINE, **arguments):
        """One query; the reply, with its id checked."""
        self.n_ids += 1
        door = Door(self.context, self.endpoints["query"])
        try:
            reply = door.ask({"v": 1, "id": self.n_ids, "q": q, **arguments}, timeout)
        finally:
            door.close()
        assert reply["id"] == self.n_ids, reply
        return reply

    def counts(self):
        """Every series: {(model, relation): count}, read page by page."""
        counts = {}
        for relation in RELATIONS:
            offset, total = 0, 1
            while offset < total:
                reply = self.query("list", relation=relation, sort="name", limit=10000, offset=offset)
                assert "error" not in reply, reply
                page = reply.get("series", [])
                counts.update({(series["model"], series["relation"]): series["count"] for series in page})
                offset, total = offset + len(page), reply.get("total", 0)
                assert page or offset >= total, "a page that is empty before the end"
        return counts

    def settled(self, timeout=DEADLINE):
        """Wait until no series waits for a refit any more, as the heartbeat says."""
        subscriber = self.subscriber("heartbeat/")
        return subscriber.wait(lambda topic, message: message["dirty"] == 0, timeout)[1]
