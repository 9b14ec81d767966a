# SPDX-License-Identifier: MIT
"""One terminal for two programs: a full-screen one above, a few lines of our own below.

The program above runs on a pseudo-terminal that is a few rows shorter than the real one, so whatever it draws stays above; its
bytes are passed on as they are. Our lines are painted anew after each piece, since it may have cleared to the end of the screen.
"""
import codecs
import fcntl
import os
import pty
import re
import shutil
import signal
import struct
import subprocess
import sys
import termios
import tty
import unicodedata

# An escape sequence, or a character, of which only the beginning has arrived: nothing may be written between its halves.
INCOMPLETE = re.compile(rb"\x1b(?:\[[0-?]*[ -/]*|[()*+])?\Z|[\xc2-\xdf]\Z|[\xe0-\xef][\x80-\xbf]?\Z|[\xf0-\xf4][\x80-\xbf]{0,2}\Z")
ESCAPES = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|[()*+].|[=>78])")


def columns(text):
    return sum(2 if unicodedata.east_asian_width(char) in "WF" else 0 if unicodedata.combining(char) else 1 for char in text)


def fit(text, width):
    """Cut to so many columns; colours are kept and switched off at the end."""
    out, used = [], 0
    for piece in re.split(f"({ESCAPES.pattern})", text):
        if ESCAPES.fullmatch(piece or ""):
            out.append(piece)
            continue
        for char in piece:
            used += columns(char)
            if used > width:
                return "".join(out) + "\x1b[0m"
            out.append(char)
    return "".join(out) + "\x1b[0m"


class Pty:
    """A program on a pseudo-terminal of its own."""

    def __init__(self, command, rows, cols, stdout_too=True):
        self.master, slave = pty.openpty()
        self.resize(rows, cols)
        self.process = subprocess.Popen(command, stdin=slave, stdout=slave if stdout_too else subprocess.DEVNULL, stderr=slave,
                                        start_new_session=True)
        os.close(slave)
        self.ended = False

    def resize(self, rows, cols):
        fcntl.ioctl(self.master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, cols, 0, 0))
        if hasattr(self, "process") and self.process.poll() is None:
            self.process.send_signal(signal.SIGWINCH)

    def read(self):
        """What it wrote; b'' once it has ended (Linux says EIO when the last writer is gone)."""
        try:
            data = os.read(self.master, 65536)
        except OSError:
            data = b""
        self.ended = not data
        return data

    def close(self):
        os.close(self.master)


class LastLine:
    """The line that a program is drawing, for instance a progress bar; and the whole lines it has left behind."""

    def __init__(self):
        self.text, self.decoder = "", codecs.getincrementaldecoder("utf-8")("replace")

    def feed(self, data):
        """Takes bytes; returns the lines that were completed."""
        lines = (self.text + self.decoder.decode(data)).replace("\r\n", "\n").split("\n")
        # a carriage return goes back to the beginning: what follows replaces what was there
        self.text = lines.pop().rsplit("\r", 1)[-1].replace("\x1b[K", "")
        return [line.rsplit("\r", 1)[-1].replace("\x1b[K", "") for line in lines]


class Split:
    """The real terminal, in raw mode, with the program above and `below()` giving the lines below."""

    def __init__(self, command, n_below, below):
        self.n_below, self.below = n_below, below
        self.saved = termios.tcgetattr(sys.stdin.fileno())
        self.size = shutil.get_terminal_size()
        self.held = b""
        self.above = Pty(command, self.size.lines - n_below, self.size.columns)
        tty.setraw(sys.stdin.fileno())
        self.write(b"\x1b[?1049h\x1b[2J\x1b[H")  # the other screen: what was there comes back in the end

    def relay(self):
        """Pass on what the program above wrote; False once it has ended."""
        data = self.above.read()
        if not data:
            return False
        data, self.held = self.held + data, b""
        cut = INCOMPLETE.search(data[-16:])
        if cut:
            length = len(data[-16:]) - cut.start()
            data, self.held = data[:-length], data[-length:]
        self.write(data)
        self.paint()
        return True

    def paint(self):
        """Our lines, with the cursor and its colours put back where the program above left them."""
        if self.held:
            return  # in the middle of a sequence of the program above; it is painted with the rest of it
        first = self.size.lines - self.n_below + 1
        lines = [f"\x1b[{first + row};1H\x1b[0m\x1b[2K{fit(text, self.size.columns)}" for row, text in enumerate(self.below())]
        self.write(("\x1b7" + "".join(lines) + "\x1b8").encode())

    def tick(self):
        """Follow the real terminal's size, and paint."""
        size = shutil.get_terminal_size()
        if size != self.size:
            self.size = size
            self.above.resize(max(size.lines - self.n_below, 4), size.columns)
        self.paint()

    def key(self):
        """Pass on what was typed; False for Ctrl-C."""
        data = os.read(sys.stdin.fileno(), 1024)
        if b"\x03" in data or not data:
            return False
        os.write(self.above.master, data)
        return True

    @staticmethod
    def write(data):
        view = memoryview(data)
        while view:
            view = view[os.write(sys.stdout.fileno(), view):]

    def close(self):
        """Let the program above leave its screen, then give the terminal back as it was."""
        if self.above.process.poll() is None:
            self.above.process.terminate()
        while self.above.read():
            pass  # its farewell is replaced by ours below: it does not know of our lines
        self.above.process.wait()
        self.above.close()
        self.write(b"\x1b[r\x1b[?1049l\x1b[?25h\x1b[?1l\x1b>\x1b[0m")
        termios.tcsetattr(sys.stdin.fileno(), termios.TCSADRAIN, self.saved)
