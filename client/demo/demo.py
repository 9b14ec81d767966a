#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""./do demo: years of a whole ecosystem through a real burgeond in about a minute, and what a subscriber sees of it.

Everything lives in a scratch directory that is removed at the end. Every program here is the one that users run; nothing is
prepared but the events, whose truth is known because `burgeon simulate` made them.
"""
import argparse
import csv
import datetime
import gzip
import json
import os
import pathlib
import re
import selectors
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

from split import LastLine, Pty, Split

STREAM_SECONDS = 60  # the stream takes about so long, however many days there are
READY_SECONDS = 30
SETTLE_SECONDS = 30
DEFAULT_PORTS = (7701, 7702, 7703)
DOORS = ("submit", "updates", "query")
STRONG_NATS = 20  # a surge with less evidence than this may well be missed by anyone


class Failed(Exception):
    pass


def day(text):
    return datetime.datetime.fromisoformat(text.replace("Z", "+00:00"))


def moment(us):
    return datetime.datetime.fromtimestamp(us / 1e6, datetime.timezone.utc)


class Demo:
    def __init__(self, arguments):
        self.arguments = arguments
        build = pathlib.Path(arguments.build).resolve()
        self.burgeond, self.burgeon = str(build / "daemon" / "burgeond"), str(build / "client" / "burgeon")
        self.scratch = pathlib.Path(tempfile.mkdtemp(prefix="burgeon-demo-"))
        self.processes, self.flags, self.opened = [], [], []
        self.n_updates, self.surge_lines, self.forecast_line = 0, [], ""
        self.bar, self.stream_messages = LastLine(), []
        self.terminal = sys.stdin.isatty() and sys.stdout.isatty() and os.environ.get("TERM", "dumb") != "dumb"
        self.color = self.terminal and "NO_COLOR" not in os.environ

    # ---- pieces ----

    def say(self, text=""):
        print(text, flush=True)

    def bold(self, text):
        return f"\x1b[1m{text}\x1b[0m" if self.color else text

    def start(self, command, **options):
        process = subprocess.Popen(command, **options)
        self.processes.append(process)
        return process

    def run(self, *command):
        """A command of burgeon's, to its end; its output."""
        return subprocess.run([self.burgeon, command[0], *self.flags, *command[1:]], capture_output=True, text=True, check=False,
                              stdin=subprocess.DEVNULL, timeout=60)

    def simulate(self):
        eco = self.scratch / "eco"
        self.say(f"{self.bold('1.')} Simulating {self.arguments.models} models over {self.arguments.days} days"
                 " (surges, one-uploader bursts and all)")
        done = subprocess.run([self.burgeon, "simulate", "--out", str(eco), "--models", str(self.arguments.models), "--days",
                               str(self.arguments.days), "--seed", str(self.arguments.seed)], check=False,
                              stdout=subprocess.PIPE, text=True)
        if done.returncode:
            raise Failed(f"burgeon simulate ended with {done.returncode}")
        self.say("   " + done.stdout.strip())
        return [eco / "releases.csv", eco / "events.csv"], eco / "truth.csv"

    def endpoints(self):
        """The defaults, so that any other terminal can look on without a flag; or sockets in the scratch directory."""
        taken = []
        for port in DEFAULT_PORTS:
            with socket.socket() as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                try:
                    probe.bind(("127.0.0.1", port))
                except OSError:
                    taken.append(port)
        if taken:
            self.say(f"   (port {taken[0]} is taken, perhaps by another burgeond: sockets in {self.scratch} instead)")
            self.flags = [text for door in DOORS for text in (f"--{door}", f"ipc://{self.scratch}/{door}")]

    def start_daemon(self):
        self.say(f"{self.bold('2.')} Starting burgeond on its defaults, its state in {self.scratch}")
        self.endpoints()
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify, open(self.scratch / "burgeond.log", "wb") as log:
            notify.bind(str(self.scratch / "notify"))
            notify.settimeout(0.1)
            daemon = self.start([self.burgeond, "--state", str(self.scratch / "state.sqlite"), *self.flags], cwd=self.scratch,
                                stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
                                env={**os.environ, "NOTIFY_SOCKET": str(self.scratch / "notify")})
            deadline = time.monotonic() + READY_SECONDS
            while True:
                try:
                    if b"READY=1" in notify.recv(4096):
                        return
                except TimeoutError:
                    pass
                if daemon.poll() is not None or time.monotonic() > deadline:
                    raise Failed("burgeond did not start:\n" + (self.scratch / "burgeond.log").read_text(errors="replace"))

    def speed(self, files):
        """Days of history a second, so that the stream takes about STREAM_SECONDS."""
        first, last = None, None
        for path in files:
            with (gzip.open if str(path).endswith(".gz") else open)(path, "rb") as data:
                for line in data:
                    for found in re.findall(rb"\b20\d\d-[01]\d-[0-3]\d(?!\d)|\b1[4-9]\d{14}\b", line):
                        # RFC 3339, or the wire's microseconds in JSON Lines
                        at = day(found.decode()) if b"-" in found else moment(int(found))
                        at = at.replace(tzinfo=datetime.timezone.utc)
                        first, last = min(first or at, at), max(last or at, at)
        if not first:
            raise Failed("no times like 2024-05-06T07:08:09Z were found in " + " ".join(map(str, files)))
        self.first, self.last = first, last
        return max((self.last - self.first).days, 1) / STREAM_SECONDS

    # ---- what arrives ----

    def update(self, line):
        """One line of `burgeon watch --json`."""
        try:
            message = json.loads(line)
        except ValueError:
            return None
        message = message.get("message", message)
        self.n_updates += 1
        if "state" in message and "onset" in message:
            return self.surge(message)
        if "horizons" in message and message["horizons"]:
            horizon = min(message["horizons"], key=lambda each: abs(each["days"] - 90))
            self.forecast_line = (f"{moment(message['as_of']):%Y-%m-%d}  {message['model']:<40.40} {message['count']:>7,} now, "
                                  f"{horizon['q50']:>9,.0f} in {horizon['days']:.0f} days "
                                  f"({horizon['q10']:,.0f} to {horizon['q90']:,.0f})")
        return None

    def surge(self, message):
        if message["state"] == "opened":
            self.opened.append(message)
        mark = {"opened": "▲", "closed": "▽", "regime": "◆"}.get(message["state"])
        if not mark:
            return None
        who = f"{message['authors']} authors" if message.get("authors") else "authors unknown"
        line = (f"{mark} {moment(message['at']):%Y-%m-%d} {message['kind']} {message['state']}: {message['model']}, "
                f"{message['observed']} for {message['expected']:.1f} expected, {who}")
        self.surge_lines.append(line)
        return line

    # ---- the stream, looked at ----

    def stream(self, files):
        speed = self.speed(files)
        self.say(f"{self.bold('3.')} Streaming {self.first:%Y-%m-%d} to {self.last:%Y-%m-%d} at {speed:.0f} days a second")
        watch = self.start([self.burgeon, "watch", *self.flags, "--json", "forecast/", "surge/"], stdin=subprocess.DEVNULL,
                           stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, start_new_session=True)
        os.set_blocking(watch.stdout.fileno(), False)
        replay = [self.burgeon, "replay", *self.flags, "--speed", f"{speed:.6g}", *map(str, files)]
        with selectors.DefaultSelector() as selector:
            selector.register(watch.stdout, selectors.EVENT_READ, "watch")
            if self.terminal:
                self.stream_on_terminal(selector, watch, replay)
            else:
                self.stream_as_lines(selector, watch, replay)
        return watch

    def drain(self, watch, rest=b""):
        """Whole lines that watch has written, and the rest."""
        lines = []
        while True:
            try:
                data = os.read(watch.stdout.fileno(), 1 << 16)
            except BlockingIOError:
                data = b""
            rest += data
            if not data:
                *done, rest = rest.split(b"\n")
                lines += done
                return [text for text in map(self.update, lines) if text], rest

    def below(self, split):
        rule = "─" * split.size.columns
        dim, plain = ("\x1b[2m", "\x1b[0m") if self.color else ("", "")
        yield dim + rule + plain
        if self.finished:
            yield f" the stream is over; {self.n_updates:,} updates were received{'   q ends' if self.arguments.keep else ''}"
        else:
            yield f" stream {self.bar.text}   {dim}q ends the demo{plain}"

    def stream_on_terminal(self, selector, watch, replay):
        """burgeon top above; the progress of the stream below."""
        self.finished, rest, feeder = False, b"", None
        split = Split([self.burgeon, "top", *self.flags], 2, lambda: self.below(split))
        self.processes.append(split.above.process)
        try:
            feeder = Pty(replay, 2, max(split.size.columns - 28, 40))
            self.processes.append(feeder.process)
            selector.register(split.above.master, selectors.EVENT_READ, "top")
            selector.register(feeder.master, selectors.EVENT_READ, "replay")
            selector.register(sys.stdin, selectors.EVENT_READ, "key")
            end = None
            while end is None or time.monotonic() < end:
                for key, _ in selector.select(0.2):
                    if key.data == "top" and not split.relay():
                        return
                    if key.data == "key" and not split.key():
                        raise KeyboardInterrupt
                    if key.data == "watch":
                        _, rest = self.drain(watch, rest)
                        if watch.poll() is not None:
                            selector.unregister(watch.stdout)
                    if key.data == "replay":
                        data = feeder.read()
                        self.stream_messages += self.bar.feed(data)
                        if not data:
                            selector.unregister(feeder.master)
                            self.finished = True
                            # a moment to look at where it ended
                            end = None if self.arguments.keep else time.monotonic() + 5
                split.tick()
        finally:
            split.close()
            if feeder:
                self.end(feeder.process)
                self.check_stream(feeder.process)
                feeder.close()

    def stream_as_lines(self, selector, watch, replay):
        """Plain lines: progress, surges as they come, now and then a forecast."""
        feeder = self.start(replay, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
                            start_new_session=True)
        selector.register(feeder.stderr, selectors.EVENT_READ, "replay")
        rest, shown, said = b"", "", time.monotonic()
        while True:
            for key, _ in selector.select(0.5):
                if key.data == "watch":
                    surges, rest = self.drain(watch, rest)
                    for line in surges:
                        self.say("   " + line)
                    if watch.poll() is not None:
                        selector.unregister(watch.stdout)
                if key.data == "replay":
                    line = feeder.stderr.readline()
                    if not line:
                        feeder.wait()
                        self.finished = True
                        self.check_stream(feeder)
                        return
                    text = line.decode(errors="replace").strip()
                    self.stream_messages.append(text)
                    self.say("   " + text)
            if time.monotonic() - said > 5 and self.forecast_line != shown:
                said, shown = time.monotonic(), self.forecast_line
                self.say(f"   {shown}   [{self.n_updates:,} updates so far]")

    def check_stream(self, process):
        if process.returncode == os.EX_DATAERR:
            self.say("   (some lines or events were refused, each by name: burgeon replay says which)")
        elif process.returncode not in (0, -signal.SIGTERM):
            raise Failed(f"burgeon replay ended with {process.returncode}: " + "\n".join(self.stream_messages[-5:]))

    # ---- the end ----

    def settle(self, watch):
        """Wait until the daemon has nothing left to refit, and take what it still publishes."""
        deadline = time.monotonic() + SETTLE_SECONDS
        rest = b""
        while time.monotonic() < deadline:
            done = self.run("status", "--json")
            _, rest = self.drain(watch, rest)
            try:
                replies = [json.loads(line) for line in done.stdout.splitlines()]
                (stats,) = [reply["stats"] for reply in replies if "stats" in reply]
                gauges = {gauge["name"]: gauge["n"] for gauge in stats["gauges"]}
            except (ValueError, KeyError):
                raise Failed("burgeon status gave no answer: " + done.stderr) from None
            if not gauges["series_dirty"] and not gauges["refit_jobs_running"]:
                return
            time.sleep(0.2)

    def compare(self, path):
        """The alerts against the truth."""
        with open(path, encoding="utf-8", newline="") as lines:
            truth = list(csv.DictReader(lines))
        alarms = [(message["model"], moment(message["at"])) for message in self.opened if message["kind"] == "surge"]

        def alerted(incident, grace):
            begin, end = day(incident["onset"]), day(incident["end"])
            return any(model == incident["model"] and begin <= at <= end + max(datetime.timedelta(3), grace * (end - begin))
                       for model, at in alarms)

        surges = [incident for incident in truth if incident["kind"] == "surge"]
        strong = [incident for incident in surges if float(incident["info"] or 0) >= STRONG_NATS]
        bursts = [incident for incident in truth if incident["kind"] == "author_burst"]
        hits = [incident for incident in surges if alerted(incident, 0.25)]
        n_strong = sum(incident in hits for incident in strong)
        n_fooled = sum(alerted(incident, 0) for incident in bursts)
        matched = sum(any(model == incident["model"] and day(incident["onset"]) <= at <= day(incident["end"])
                          + max(datetime.timedelta(3), 0.25 * (day(incident["end"]) - day(incident["onset"])))
                          for incident in surges) for model, at in alarms)
        self.say(f"   true surges alerted:         {len(hits)} of {len(surges)};"
                 f" of those with strong evidence (>= {STRONG_NATS} nats) {n_strong} of {len(strong)}")
        self.say(f"   one-uploader bursts alerted: {n_fooled} of {len(bursts)} (they are reported as bursts, not as surges)")
        self.say(f"   alerts outside any surge:    {len(alarms) - matched}")

    def leaderboard(self):
        done = self.run("top", "--plain", "--count", "1")
        lines = done.stdout.rstrip().split("\n")
        width = shutil.get_terminal_size().columns if sys.stdout.isatty() else 1000
        for line in lines[:14]:
            self.say(line[:width - 1])

    def pointers(self):
        flags = f" {' '.join(self.flags)}" if self.flags else ""
        self.say(f"\n{self.bold('Where to look next')}")
        self.say(f"   ./do demo --keep            then, in another terminal: build/client/burgeon top{flags and ' (with its flags)'}")
        self.say("   ./do demo --data FILE..     your own history: CSV with model,child,created_at")
        self.say("   build/client/burgeon --help and build/daemon/burgeond --help")
        self.say("   proto/PROTOCOL.md           what went over the wire; README.md has ten lines of Python that subscribe")

    def end(self, process):
        """Only what we started, gently first."""
        if process.poll() is None:
            process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def clean_up(self):
        for process in reversed(self.processes):
            self.end(process)
        shutil.rmtree(self.scratch, ignore_errors=True)

    def main(self):
        truth = None
        if self.arguments.data:
            files = [(pathlib.Path(self.arguments.invoked_from) / name).resolve() for name in self.arguments.data]
            for path in files:
                if not path.is_file():
                    raise Failed(f"{path}: no such file")
            self.say(f"{self.bold('1.')} Real history: {' '.join(path.name for path in files)}")
        else:
            files, truth = self.simulate()
        self.start_daemon()
        self.finished = False
        watch = self.stream(files)
        if not self.finished:
            self.say("   (ended early)")
            return
        self.settle(watch)
        self.say(f"\n{self.bold('4.')} Where it ended, after {self.n_updates:,} updates:\n")
        self.leaderboard()
        self.say()
        if truth:
            self.compare(truth)
        elif self.surge_lines:
            self.say("   surges: " + "\n           ".join(self.surge_lines[-8:]))
        self.pointers()
        if self.arguments.keep and not self.terminal:
            self.say("\nKept running until it is interrupted.")
            signal.sigwait({signal.SIGINT, signal.SIGTERM})


def main():
    parser = argparse.ArgumentParser(prog="./do demo", description="A whole ecosystem through burgeond in about a minute.")
    parser.add_argument("--keep", action="store_true", help="run on after the end of the stream, until q or Ctrl-C")
    parser.add_argument("--data", nargs="+", metavar="FILE", help="stream these files (CSV or JSON Lines) instead of a simulation")
    parser.add_argument("--models", type=int, default=300, help="models to simulate (%(default)s)")
    parser.add_argument("--days", type=int, default=1095, help="days to simulate (%(default)s)")
    parser.add_argument("--seed", type=int, default=1, help="of the simulation (%(default)s)")
    parser.add_argument("--build", default="build", help=argparse.SUPPRESS)
    parser.add_argument("--from", dest="invoked_from", default=".", help=argparse.SUPPRESS)
    demo = Demo(parser.parse_args())
    # a signal ends it like Ctrl-C: everything is cleaned up on the way out
    signal.signal(signal.SIGTERM, lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
    signal.signal(signal.SIGHUP, lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
    try:
        demo.main()
        return 0
    except Failed as error:
        print(f"demo: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    finally:
        demo.clean_up()


if __name__ == "__main__":
    sys.exit(main())
