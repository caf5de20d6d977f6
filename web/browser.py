"""What must hold of the page in a browser; test runs it.

Drives Chromium over WebDriver's HTTP protocol, with nothing but the standard library.
"""

import argparse
import base64
import contextlib
import functools
import http.server
import json
import os
import pathlib
import re
import shutil
import struct
import subprocess
import tempfile
import threading
import time
import urllib.error
import urllib.request

SITE = pathlib.Path(__file__).parent / "site"
MOST_BYTES = 1_400_000  # of a .wasm file; README.md says what 300,000 would need
LONGEST_TASK = 50  # milliseconds on the main thread
STEPS = 10_000
DEEP_STEPS = 120
WIDE = (1280, 900)
NARROW = (390, 844)
OPTIONS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-proxy-server",
    "--hide-scrollbars",
]


class Browser:
    """A WebDriver session."""

    def __init__(self, port, profile):
        self.driver = f"http://127.0.0.1:{port}"
        self.session = ""
        capabilities = {
            "browserName": "chrome",
            "goog:chromeOptions": {"args": [*OPTIONS, f"--user-data-dir={profile}"]},
            "goog:loggingPrefs": {"browser": "ALL"},
        }
        value = self.call("POST", "/session", {"capabilities": {"alwaysMatch": capabilities}})
        self.session = f"/session/{value['sessionId']}"

    def call(self, method, path, body=None):
        data = None if body is None else json.dumps(body).encode()
        headers = {"Content-Type": "application/json"}
        url = self.driver + self.session + path
        request = urllib.request.Request(url, data, headers, method=method)
        try:
            with urllib.request.urlopen(request, timeout=120) as response:
                return json.load(response)["value"]
        except urllib.error.HTTPError as error:
            raise RuntimeError(json.load(error)["value"]["message"]) from None

    def open(self, url):
        self.call("POST", "/url", {"url": url})

    def run(self, script, *arguments):
        """The value of a script's `return`."""
        script = "const $ = (id) => document.getElementById(id);" + script
        return self.call("POST", "/execute/sync", {"script": script, "args": arguments})

    def devtools(self, command, **parameters):
        self.call("POST", "/goog/cdp/execute", {"cmd": command, "params": parameters})

    def element(self, selector):
        found = self.call("POST", "/element", {"using": "css selector", "value": selector})
        return "/element/" + next(iter(found.values()))

    def click(self, selector):
        self.call("POST", self.element(selector) + "/click", {})

    def type(self, selector, text):
        self.call("POST", self.element(selector) + "/value", {"text": text})

    def set(self, name, value):
        """Types a number into a field, as a visitor does."""
        selector = f"[name={name}]"
        self.call("POST", self.element(selector) + "/clear", {})
        self.type(selector, f"{value}\ue004")  # and the tab key

    def text(self, selector):
        return self.run("return document.querySelector(arguments[0]).textContent", selector).strip()

    def wait(self, what, script, *arguments, seconds=60):
        until = time.monotonic() + seconds
        while not (value := self.run(script, *arguments)):
            assert time.monotonic() < until, f"{what}: not in {seconds} s; {self.situation()}"
            time.sleep(0.05)
        return value

    def wait_for(self, state, seconds=60):
        script = "return document.body.dataset.state === arguments[0]"
        self.wait(state, script, state, seconds=seconds)

    def situation(self):
        script = """
            const texts = ["status", "error"].map((id) => $(id).textContent);
            return [document.body.dataset.state, ...texts];
        """
        return self.run(script)

    def picture(self, path):
        path.write_bytes(base64.b64decode(self.call("GET", "/screenshot")))

    def errors(self):
        log = self.call("POST", "/se/log", {"type": "browser"})
        return [entry["message"] for entry in log if entry["level"] in ("SEVERE", "WARNING")]


class Handler(http.server.SimpleHTTPRequestHandler):
    """Static files, without a line for each."""

    def log_message(self, *_):
        pass


@contextlib.contextmanager
def served():
    handler = functools.partial(Handler, directory=SITE)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://localhost:{server.server_port}/"
    finally:
        server.shutdown()


@contextlib.contextmanager
def browsing():
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as directory:
        driver = subprocess.Popen(
            ["chromedriver", "--port=0"],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        try:
            ports = (re.search(r"successfully on port (\d+)", line) for line in driver.stdout)
            port = next(match[1] for match in ports if match)
            browser = Browser(port, os.path.join(directory, "profile"))
            downloads = pathlib.Path(directory, "downloads")
            where = {"behavior": "allow", "downloadPath": str(downloads)}
            browser.devtools("Page.setDownloadBehavior", **where)
            browser.downloads = downloads
            try:
                yield browser
            finally:
                browser.call("DELETE", "")
        finally:
            driver.terminate()
            driver.wait()


WATCH_TASKS = """
    window.longTasks = [];
    new PerformanceObserver((list) => {
        window.longTasks.push(...list.getEntries().map((entry) => entry.duration));
    }).observe({ type: "longtask" });
"""

DROP = """
    const [name, text] = arguments;
    const dataTransfer = new DataTransfer();
    dataTransfer.items.add(new File([text], name));
    const options = { dataTransfer, bubbles: true, cancelable: true };
    document.body.dispatchEvent(new DragEvent("drop", options));
"""


class Test:
    """The page's tests, in the order of a visit."""

    def __init__(self, browser, url, native, pictures):
        self.browser = browser
        self.url = url
        self.native_program = native
        self.pictures = pictures

    def native(self, *arguments):
        """Checksum and seconds of the native program."""
        command = [self.native_program, *map(str, arguments)]
        checksum, seconds = subprocess.check_output(command, text=True).split()
        return checksum, float(seconds)

    def open(self, query=""):
        self.browser.open(self.url + query)
        self.browser.wait_for("ready")
        self.browser.run(WATCH_TASKS)  # not the first layout of a cold browser

    def finish(self, seconds=60):
        """The seconds that the page shows for a run."""
        self.browser.wait_for("finished", seconds)
        self.browser.wait("losses", "return $('train-loss').textContent.endsWith('nats')")
        return self.browser.text("#status")

    def shown(self, steps):
        """Waits until the pictures and the names have reached the end of the run."""
        script = """
            const names = $("names").querySelectorAll(".last dd > span");
            return $("moment").value === String(arguments[0]) && names.length === 20;
        """
        self.browser.wait("pictures", script, steps)

    def long_tasks(self):
        return self.browser.run("return window.longTasks")

    def a_run_ends_on_the_native_checksum(self):
        browser = self.browser
        expected, seconds = self.native("one", STEPS)
        _, fastest = self.native("one", STEPS, self.fastest_backend())
        self.open()
        assert "sample" in browser.text("#source")
        self.photograph("ready")
        browser.click("#main")
        status = self.finish()
        assert browser.text("#checksum") == expected, browser.text("#checksum")
        print(status)
        print(f"natively {seconds} s on portable, {fastest} s on {self.fastest_backend()}")
        assert browser.text("#here td") == re.search(r"took ([\d.]+) s", status)[1]
        self.photograph("playing")
        self.shown(STEPS)
        script = "return [...$('names').querySelectorAll('dd')].map((dd) => dd.children.length)"
        rows = browser.run(script)
        assert rows == [20, 6, 6, 6, 6, 6], rows
        self.photograph("finished")
        tasks = self.long_tasks()
        print(f"tasks above {LONGEST_TASK} ms on the main thread: {tasks or 'none'}")
        assert not tasks, tasks

    def fastest_backend(self):
        flags = pathlib.Path("/proc/cpuinfo").read_text()
        names = [("avx512f", "avx512"), ("fma", "avx2")]
        return next((name for flag, name in names if flag in flags), "portable")

    def pictures_can_be_looked_back_at(self):
        browser = self.browser
        browser.type("#moment", "\ue011")  # the home key
        browser.wait("the start", "return $('step').textContent === '0'")
        browser.type("#moment", "\ue010")
        browser.wait("the end", "return $('step').textContent === '10,000'")

    def download(self, path):
        """The bytes of the weights, saved by a click."""
        self.browser.click("#save")
        deadline = time.monotonic() + 20
        while not path.exists():
            assert time.monotonic() < deadline, "no download"
            time.sleep(0.05)
        return path.read_bytes()

    def weights_go_out_and_come_back(self):
        browser = self.browser
        checksum, validation = browser.text("#checksum"), browser.text("#validation-loss")
        path = browser.downloads / "names-1-seed-42.safetensors"
        data = self.download(path)
        (length,) = struct.unpack("<Q", data[:8])
        tensors = json.loads(data[8 : 8 + length])
        assert {"C", "W1", "b1", "W2", "b2"} < set(tensors), tensors
        assert tensors["C"]["shape"] == [27, 2]
        # Into a page where the other model is chosen.
        self.open()
        browser.click("[name=layers][value='2']")
        browser.wait("the model", "return $('parameters').textContent === '62,097'")
        browser.type("#weights", str(path))
        browser.wait("weights", "return $('status').textContent.includes('safetensors')")
        assert browser.text("#validation-loss") == validation
        assert browser.text("#parameters") == "3,481"
        path.unlink()
        assert self.download(path) == data
        print(f"weights of {checksum} come back")

    def a_bad_file_is_told_of(self):
        browser = self.browser
        self.open()
        for name, text, expected in [
            ("capitals.txt", "emma\nOlivia\nava\n", "capitals.txt: line 2 has the character 'O'"),
            ("empty.txt", "\n\n", "empty.txt: no name in the text (2 lines read)."),
            ("short.txt", "emma\nava\n", "short.txt: 2 names are too few to split"),
            ("bad.safetensors", "{}", "bad.safetensors: weight file"),
        ]:
            browser.run(DROP, name, text)
            script = "return $('error').textContent.startsWith(arguments[0])"
            browser.wait(expected, script, expected)
            assert browser.run("return $('error').checkVisibility()")
            assert browser.run("return document.body.dataset.state") == "ready"
            if name == "capitals.txt":
                self.photograph("bad-file")
        print(f"a bad file: {browser.text('#error')}")

    def a_good_file_is_learned_from_at_once(self):
        browser = self.browser
        names = "\n".join(f"{a}{b}{c}" for a in "abdeklmnr" for b in "aeiou" for c in "lmnrs")
        browser.run(DROP, "own.txt", names)
        self.finish()
        assert browser.text("#source") == "Names: own.txt, 225 of them."
        assert not browser.run("return $('error').checkVisibility()")

    def a_rate_that_is_too_high_is_told_of(self):
        browser = self.browser
        self.open()
        browser.set("rate", "1e38")
        browser.click("#main")
        script = "return $('error').textContent.includes('non-finite')"
        browser.wait("an error", script)
        browser.wait_for("paused")

    def a_run_can_pause_and_go_on(self):
        browser = self.browser
        expected, _ = self.native("two", DEEP_STEPS)
        self.open()
        browser.click("[name=layers][value='2']")
        browser.set("steps", DEEP_STEPS)
        browser.wait("steps", f"return $('main').textContent.includes('{DEEP_STEPS}')")
        browser.click("#main")
        browser.wait("a step", "return $('step').textContent !== '0'")
        browser.click("#main")
        browser.wait_for("paused")
        self.photograph("paused")
        browser.click("#main")
        print(self.finish(120))
        assert browser.text("#checksum") == expected
        self.shown(DEEP_STEPS)
        self.photograph("deep")
        assert not self.long_tasks(), self.long_tasks()

    def the_scalar_build_ends_on_the_same(self):
        browser = self.browser
        expected, _ = self.native("one", 300)
        self.open("?scalar")
        assert "without" in browser.text("#build")
        browser.set("steps", 300)
        browser.wait("steps", "return $('main').textContent.includes('300')")
        browser.click("#main")
        print(f"without simd128: {self.finish()}")
        assert browser.text("#checksum") == expected

    def labels_are_there(self):
        """Every control has a name for a screen reader."""
        nameless = self.browser.run(
            """
            const kinds = "button, input, canvas, section, form, table";
            const controls = document.querySelectorAll(kinds);
            return [...controls].filter((control) => {
                const isNamed = control.labels?.length > 0 || control.ariaLabel ||
                    control.getAttribute("aria-labelledby") || control.textContent.trim();
                return !isNamed;
            }).map((control) => control.outerHTML);
            """
        )
        assert not nameless, nameless

    def photograph(self, state):
        """Pictures of the whole page, wide and narrow, light and dark."""
        if self.pictures is None:
            return
        browser = self.browser
        assert not self.long_tasks(), self.long_tasks()
        for size, (width, height) in [("wide", WIDE), ("narrow", NARROW)]:
            for scheme in ("light", "dark"):
                feature = {"name": "prefers-color-scheme", "value": scheme}
                browser.devtools("Emulation.setEmulatedMedia", features=[feature])
                resize = functools.partial(
                    browser.devtools,
                    "Emulation.setDeviceMetricsOverride",
                    width=width,
                    deviceScaleFactor=1,
                    mobile=False,
                )
                resize(height=height)
                time.sleep(0.2)
                if state != "playing":
                    full = browser.run("return document.documentElement.scrollHeight")
                    resize(height=full)
                    time.sleep(0.3)
                browser.picture(self.pictures / f"{state}-{size}-{scheme}.png")
                overflow = browser.run("return document.documentElement.scrollWidth")
                assert overflow <= width, f"{state} {size}: {overflow} pixels wide"
        browser.devtools("Emulation.setEmulatedMedia", features=[])
        browser.devtools("Emulation.clearDeviceMetricsOverride")
        time.sleep(0.5)
        browser.run("window.longTasks = []")  # of resizing and taking pictures

    def everything(self):
        for file in sorted(SITE.glob("*.wasm")):
            size = file.stat().st_size
            print(f"{file.name}: {size:,} bytes")
            assert size <= MOST_BYTES, f"{file.name}: {size} bytes, above {MOST_BYTES}"
        for test in [
            self.a_run_ends_on_the_native_checksum,
            self.pictures_can_be_looked_back_at,
            self.labels_are_there,
            self.weights_go_out_and_come_back,
            self.a_bad_file_is_told_of,
            self.a_good_file_is_learned_from_at_once,
            self.a_rate_that_is_too_high_is_told_of,
            self.a_run_can_pause_and_go_on,
            self.the_scalar_build_ends_on_the_same,
        ]:
            test()
            errors = self.browser.errors()
            assert not errors, f"{test.__name__}: in the console: {errors}"
            print(f"ok: {test.__name__.replace('_', ' ')}")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--native", required=True, help="the program of src/main.rs")
    parser.add_argument("--pictures", type=pathlib.Path, metavar="DIR", help="where pictures go")
    arguments = parser.parse_args()
    if arguments.pictures:
        arguments.pictures.mkdir(parents=True, exist_ok=True)
    assert shutil.which("chromedriver"), "chromedriver is not installed"
    with served() as url, browsing() as browser:
        Test(browser, url, arguments.native, arguments.pictures).everything()


if __name__ == "__main__":
    main()
