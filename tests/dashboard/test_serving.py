"""The server, asked over HTTP and by a browser: it answers this computer only, reads only its folder, and writes nothing."""

from __future__ import annotations

import http.client
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from ml4t_backtest.cli import main
from ml4t_backtest.dashboard import View, open_view
from tests.dashboard.shelves import HOSTILE, fill_shelf

SECRET = "the-secret-of-another-folder"
TRAVERSALS = [
    "/../secret.txt",
    "/assets/../../secret.txt",
    "/assets/..%2f..%2fsecret.txt",
    "/assets/%2e%2e/%2e%2e/secret.txt",
    "/assets//etc/passwd",
    "/assets/..\\..\\secret.txt",
    "/_dash-component-suites/dash/../../secret.txt",
    "/_dash-component-suites/ml4t_backtest/cli.py",
    "/_dash-component-suites/%2e%2e/%2e%2e/etc/passwd",
    "//etc/passwd",
    "/secret.txt",
    "/result?run=../secret",
]
BROWSER = next((found for name in ("chromium", "chromium-browser", "google-chrome") if (found := shutil.which(name))), None)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("served")
    fill_shelf(folder / "results")
    (folder / "secret.txt").write_text(SECRET)
    return folder


@pytest.fixture(scope="module")
def view(place: Path) -> Iterator[View]:
    made = open_view(place / "results", port=0)
    thread = Thread(target=made.serve)
    thread.start()
    yield made
    made.server.shutdown()
    thread.join()


def ask(view: View, method: str, path: str, body: str | None = None, **headers: str) -> tuple[int, str, dict[str, str]]:
    connection = http.client.HTTPConnection("127.0.0.1", view.server.port, timeout=60)
    try:
        connection.putrequest(method, path, skip_host="Host" in headers)
        for name, value in headers.items():
            connection.putheader(name.replace("_", "-"), value)
        if body is not None:
            connection.putheader("Content-Length", str(len(body)))
        connection.endheaders(None if body is None else body.encode())
        response = connection.getresponse()
        return response.status, response.read().decode(errors="replace"), {name.lower(): value for name, value in response.getheaders()}
    finally:
        connection.close()


def content(view: View, path: str, search: str) -> str:
    """Ask for a page as the browser does."""
    asked: dict[str, Any] = {
        "output": "page.children",
        "outputs": {"id": "page", "property": "children"},
        "inputs": [{"id": "address", "property": "pathname", "value": path}, {"id": "address", "property": "search", "value": search}],
        "changedPropIds": ["address.pathname"],
    }
    status, text, _ = ask(view, "POST", "/_dash-update-component", json.dumps(asked), Content_Type="application/json")
    assert status == 200, text
    return text


def test_pages_come_from_this_computer(view: View) -> None:
    status, text, headers = ask(view, "GET", "/")
    assert status == 200
    for attribute in ('src="http', 'href="http', "src='//", 'src="//'):
        assert attribute not in text
    assert "default-src 'self'" in headers["content-security-policy"]
    assert headers["x-frame-options"] == "DENY"
    assert r"deep\u002fslow" in content(view, "/", "")


@pytest.mark.parametrize("path", TRAVERSALS)
def test_no_request_reads_outside_the_folder(view: View, path: str) -> None:
    status, text, _ = ask(view, "GET", path)
    assert SECRET not in text
    assert "root:" not in text
    assert "def main" not in text
    assert status in (200, 400, 403, 404, 308, 500)
    assert status != 200 or "react-entry-point" in text  # the empty page, which asks for its content


@pytest.mark.parametrize(
    "name", ["../secret.txt", "..", "/etc/passwd", "..%2fsecret.txt", "fast/../../secret.txt", "results/../../secret.txt"]
)
def test_no_name_reads_outside_the_folder(view: View, name: str) -> None:
    for path in ("/result", "/compare"):
        text = content(view, path, f"?run={name}")
        assert "There is no result named" in text
        assert SECRET not in text


def test_other_hosts_and_methods_are_refused(view: View) -> None:
    port = view.server.port
    assert ask(view, "GET", "/", Host=f"localhost:{port}")[0] == 200
    for host in ("evil.example", f"evil.example:{port}", "127.0.0.1", f"127.0.0.1.evil.example:{port}", ""):
        assert ask(view, "GET", "/", Host=host)[0] in (400, 403), host
    for method in ("PUT", "DELETE", "PATCH", "OPTIONS"):
        assert ask(view, method, "/")[0] == 405
    assert ask(view, "POST", "/")[0] == 405
    with pytest.raises(ValueError, match="expected a loopback address"):
        open_view(".", host="0.0.0.0", port=0)


def test_looking_changes_nothing(view: View, place: Path) -> None:
    def state() -> dict[str, int]:
        return {str(path): path.stat().st_mtime_ns for path in place.rglob("*")}

    before = state()
    for path, search in (("/", ""), ("/result", "?run=fast"), ("/result", "?run=fast&part=orders"), ("/compare", "")):
        content(view, path, search)
    assert state() == before


def test_a_port_that_is_taken(view: View, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert main(["view", str(tmp_path), "--port", str(view.server.port), "--no-browser"]) == 2
    assert f"port {view.server.port} cannot be used" in capsys.readouterr().err
    assert main(["view", str(tmp_path), "--port", "70000"]) == 2
    assert "expected 0 to 65535" in capsys.readouterr().err
    assert main(["view", str(tmp_path / "nowhere")]) == 2
    assert "no such folder" in capsys.readouterr().err


def test_the_command_serves_until_ctrl_c(place: Path) -> None:
    command = [sys.executable, "-m", "ml4t_backtest", "view", str(place / "results"), "--port", "0", "--no-browser"]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment) as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        assert "at http://127.0.0.1:" in line
        connection = http.client.HTTPConnection("127.0.0.1", int(line.split(":")[2].split("/")[0]), timeout=60)
        connection.request("GET", "/")
        assert connection.getresponse().status == 200
        connection.close()
        process.send_signal(signal.SIGINT)
        _, complaints = process.communicate(timeout=60)
    assert process.returncode == 0
    assert complaints == ""


def look(address: str, *options: str) -> str:
    """Return what a browser makes of a page, as HTML."""
    assert BROWSER is not None
    command = [BROWSER, "--headless", "--no-sandbox", "--disable-gpu", "--virtual-time-budget=15000", *options, address]
    return subprocess.run(command, capture_output=True, text=True, timeout=180, check=True).stdout


@pytest.mark.skipif(BROWSER is None, reason="no Chromium on this computer")
def test_a_browser_shows_the_pages(view: View, tmp_path: Path) -> None:
    home = look(view.address, "--dump-dom")
    assert "deep/slow" in home
    assert "<img" not in home
    assert "&lt;img src=x" in home
    odd = look(f"{view.address}result?run=deep/odd%20{HOSTILE.replace(' ', '%20')}", "--dump-dom")
    assert "Account value" in odd
    assert 'src="x"' not in odd
    assert "onerror=" not in odd.replace("&lt;img src=x onerror=", "")
    assert "Cumulative return" in look(f"{view.address}compare?run=fast&run=deep/slow", "--dump-dom")
    picture = tmp_path / "page.png"
    look(f"{view.address}result?run=fast", f"--screenshot={picture}", "--window-size=1300,900")
    assert picture.stat().st_size > 20_000
