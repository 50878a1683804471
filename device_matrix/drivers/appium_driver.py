"""Drives a device's browser through an Appium server.

Appium and chromedriver run in a private network; the browser runs in the network of its link. With
``--remote-debugging-pipe`` chromedriver controls the browser over inherited descriptors, so no control traffic crosses
the shaped link.
"""

from __future__ import annotations

import contextlib
import functools
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, ParamSpec, TypeVar

import urllib3.exceptions
from appium.options.common import AppiumOptions
from appium.webdriver.webdriver import WebDriver
from selenium.common.exceptions import TimeoutException, WebDriverException
from selenium.webdriver.common.by import By

from device_matrix.drivers.appium_capabilities import chromium_capabilities
from device_matrix.drivers.appium_connection import AppiumAddress, PrivateConnection
from device_matrix.drivers.chromium import browser_arguments, browser_version, find_browser, find_chromedriver
from device_matrix.drivers.network_emulation import cdp_commands
from device_matrix.drivers.protocol import LaunchSpec, PageTimeout
from device_matrix.drivers.wrapper import write_browser_wrapper, write_chromedriver_wrapper
from device_matrix.errors import DeviceUnavailable, PageNotLoaded
from network_profiles.links import private_network

SCRIPT_TIMEOUT_S = 90.0
COMMAND_TIMEOUT_S = 100.0
"""Longer than every wait of a scenario: only a dead server takes this long."""
QUIT_TIMEOUT_S = 5.0
SERVER_POLL_S = 0.25
COMMAND_ERRORS = (WebDriverException, urllib3.exceptions.HTTPError, OSError)
"""What a command raises when its session, its browser or the server is gone."""

WAIT_FOR_ELEMENT = """async (selector, timeoutMs) => {
  const end = performance.now() + timeoutMs;
  for (;;) {
    const element = document.querySelector(selector);
    if (element && !element.disabled && element.getClientRects().length > 0) return true;
    if (performance.now() > end) return false;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}"""

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")


def _translate_errors(method: Callable[Arguments, Result]) -> Callable[Arguments, Result]:
    @functools.wraps(method)
    def call(*args: Arguments.args, **kwargs: Arguments.kwargs) -> Result:
        try:
            return method(*args, **kwargs)
        except TimeoutException as error:
            raise PageTimeout(_first_line(error)) from error
        except WebDriverException as error:
            raise DeviceUnavailable(f"the browser is gone: {_first_line(error)}", reason="browser_died") from error
        except (urllib3.exceptions.HTTPError, OSError) as error:
            raise DeviceUnavailable(f"the Appium server is gone: {error}", reason="appium_died") from error

    return call


class AppiumBrowser:
    """One session of the Chromium driver."""

    def __init__(self, session: WebDriver, version: str) -> None:
        self._session = session
        self._version = version
        self._console: list[str] = []

    @property
    def version(self) -> str:
        return self._version

    @_translate_errors
    def open(self, url: str, timeout_s: float) -> None:
        self._session.set_page_load_timeout(timeout_s)
        try:
            self._session.get(url)
        except WebDriverException as error:
            if PageNotLoaded.CHROMIUM_CODE_PREFIX in str(error):
                raise PageNotLoaded(f"the page could not be loaded: {_first_line(error)}") from error
            raise

    @_translate_errors
    def evaluate(self, function: str, *arguments: Any) -> Any:
        return self._session.execute_script(f"return ({function})(...arguments)", *arguments)

    @_translate_errors
    def click(self, selector: str, timeout_s: float) -> None:
        self._await_element(selector, timeout_s)
        self._session.find_element(By.CSS_SELECTOR, selector).click()

    @_translate_errors
    def fill(self, selector: str, text: str, timeout_s: float) -> None:
        self._await_element(selector, timeout_s)
        element = self._session.find_element(By.CSS_SELECTOR, selector)
        element.clear()
        element.send_keys(text)

    @_translate_errors
    def screenshot(self) -> bytes:
        return bytes(self._session.get_screenshot_as_png())

    def console(self) -> Sequence[str]:
        with contextlib.suppress(*COMMAND_ERRORS):
            self._console += [
                f"{entry['level'].lower()}: {entry['message']}" for entry in self._session.get_log("browser")
            ]
        return tuple(self._console)

    def crash(self) -> str:
        try:
            self._session.current_url  # noqa: B018
        except COMMAND_ERRORS as error:
            return _first_line(error)
        return ""

    def _await_element(self, selector: str, timeout_s: float) -> None:
        if not self.evaluate(WAIT_FOR_ELEMENT, selector, timeout_s * 1000):
            raise PageTimeout(f"{selector} did not appear within {timeout_s:.0f} s")


class AppiumDriver:
    """Opens sessions on one shared Appium server."""

    def __init__(self, server: AppiumAddress) -> None:
        self._server = server

    @contextlib.contextmanager
    def launch(self, spec: LaunchSpec, timeout_s: float) -> Iterator[AppiumBrowser]:
        version = browser_version(find_browser())
        session = self._open_session(spec, version, timeout_s)
        try:
            yield AppiumBrowser(session, version)
        finally:
            _quit(session)

    def close(self) -> None:
        """Does nothing: the server belongs to the controller, and no session outlives its cell."""

    def _open_session(self, spec: LaunchSpec, version: str, timeout_s: float) -> WebDriver:
        browser = write_browser_wrapper(
            spec.work_folder,
            browser=find_browser(),
            # A browser without a link must run in our own network, not in its driver's private one.
            exec_prefix=[*private_network.enter_prefix(private_network.own_network_path()), *spec.exec_prefix],
            join_paths=spec.group.join_paths,
            environment=spec.environment,
            # chromedriver passes no URL on, and the new-tab page would wait for an internet that is not there.
            first_page="about:blank",
        )
        capabilities = chromium_capabilities(
            spec.device,
            chrome_major=version.partition(".")[0],
            browser=browser,
            chromedriver=write_chromedriver_wrapper(
                spec.work_folder, chromedriver=find_chromedriver(), environment=spec.environment
            ),
            chromedriver_port=self._free_port(),
            arguments=[
                "--headless=new",
                "--remote-debugging-pipe",
                f"--user-data-dir={spec.work_folder / 'profile'}",
                *browser_arguments(spec.secure_origins, over_loopback=spec.emulated_network is not None),
            ],
        )
        self._await_server(timeout_s)
        try:
            session = WebDriver(
                PrivateConnection(self._server, timeout_s),
                options=AppiumOptions().load_capabilities(dict(capabilities)),
            )
        except COMMAND_ERRORS as error:
            raise _no_session(error) from error
        try:
            session.command_executor.client_config.timeout = COMMAND_TIMEOUT_S
            session.set_script_timeout(SCRIPT_TIMEOUT_S)
            _run_before_every_document(session, spec.init_script)
            for command, parameters in cdp_commands(spec.emulated_network) if spec.emulated_network is not None else []:
                session.execute("executeCdp", {"cmd": command, "params": parameters})
        except COMMAND_ERRORS as error:
            _quit(session)
            raise _no_session(error) from error
        return session

    def _await_server(self, timeout_s: float) -> None:
        """Waits for the server: after a death the controller starts it again, and later cells wait for that."""
        deadline_s = time.monotonic() + timeout_s
        while not self._server.is_ready():
            if time.monotonic() > deadline_s:
                message = f"the Appium server at {self._server.url} did not answer within {timeout_s:.0f} s"
                raise DeviceUnavailable(message, reason="appium_died")
            time.sleep(SERVER_POLL_S)

    def _free_port(self) -> int:
        try:
            return private_network.free_port_in_network(self._server.network)
        except OSError as error:
            raise DeviceUnavailable(
                f"the network of the Appium server is gone: {error}", reason="appium_died"
            ) from error


def _quit(session: WebDriver) -> None:
    """Ends the session and closes its connections, whatever state the server is in."""
    with contextlib.suppress(*COMMAND_ERRORS):
        session.command_executor.client_config.timeout = QUIT_TIMEOUT_S
        session.quit()


def _no_session(error: Exception) -> DeviceUnavailable:
    return DeviceUnavailable(f"Appium opened no session: {_first_line(error)}", reason="no_session")


def _run_before_every_document(session: WebDriver, script: str) -> None:
    # The Python client has no command for the Chromium driver's CDP endpoint.
    commands = session.command_executor
    commands.add_command(  # type: ignore[no-untyped-call]
        "executeCdp", "POST", "/session/$sessionId/goog/cdp/execute"
    )
    session.execute("executeCdp", {"cmd": "Page.addScriptToEvaluateOnNewDocument", "params": {"source": script}})


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0]
