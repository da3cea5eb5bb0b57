"""Starts the real binary and waits until it listens."""

from __future__ import annotations

import os
import re
import subprocess
import threading
from pathlib import Path

TOP = Path(__file__).resolve().parents[2]
TARGET = Path(os.environ.get("CARGO_TARGET_DIR") or TOP / "target").absolute()
BINARY = Path(os.environ.get("AI_API_BIN") or TARGET / "debug/ai-api").absolute()

# The first start compiles the plugins, which takes a debug build a while.
START_SECONDS = 180


class Gateway:
    """A running gateway; its log goes to a file. `origin` is `http://127.0.0.1:PORT`."""

    def __init__(self, name: str, config: Path, environment: dict[str, str]):
        folder = TARGET / "clients"
        folder.mkdir(parents=True, exist_ok=True)
        self.log = folder / f"{name}.log"
        # Nothing of the caller's environment, where a real key may be.
        environment = {"PATH": os.environ["PATH"], "AI_API_CACHE_DIR": str(folder / "cache")} | environment
        command = [str(BINARY), "--config", str(config), "--host", "127.0.0.1", "--port", "0"]
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                command, cwd=TOP, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log
            )
        self.origin = self._wait()

    def _wait(self) -> str:
        timer = threading.Timer(START_SECONDS, self.process.kill)
        timer.start()
        try:
            for line in self.process.stdout:
                if found := re.search(rb"listening on (http://127\.0\.0\.1:\d+)", line):
                    threading.Thread(target=self._drain, daemon=True).start()
                    return found[1].decode()
        finally:
            timer.cancel()
        self.process.wait()
        raise SystemExit(f"clients: the gateway did not start:\n{self.log.read_text()}")

    def _drain(self) -> None:
        """A full pipe would stop the gateway."""
        with self.log.open("ab") as log:
            for line in self.process.stdout:
                log.write(line)

    def stop(self) -> int:
        """Ends it as `docker stop` does; returns its exit code."""
        self.process.terminate()
        try:
            return self.process.wait(timeout=30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            return self.process.wait()
