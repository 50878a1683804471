"""Drives a device's browser with Playwright, over the debugging pipe that the wrapper passes on."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Iterator, Sequence
from typing import Any, ParamSpec, TypeVar

from playwright.sync_api import BrowserContext, ConsoleMessage, Page, Playwright, sync_playwright
from playwright.sync_api import Error as PlaywrightError
from playwright.sync_api import TimeoutError as PlaywrightTimeout

from bedrock.child_environment import own_environment_cleaned
from device_matrix.drivers.chromium import browser_arguments, browser_version, find_browser
from device_matrix.drivers.network_emulation import cdp_commands
from device_matrix.drivers.protocol import LaunchSpec, PageTimeout
from device_matrix.drivers.wrapper import write_browser_wrapper
from device_matrix.errors import DeviceUnavailable, PageNotLoaded

DROPPED_DEFAULTS = ["--disable-field-trial-config"]
"""Playwright's default switches that our own list has, too."""

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")


def _translate_errors(method: Callable[Arguments, Result]) -> Callable[Arguments, Result]:
    @functools.wraps(method)
    def call(*args: Arguments.args, **kwargs: Arguments.kwargs) -> Result:
        try:
            return method(*args, **kwargs)
        except PlaywrightTimeout as error:
            raise PageTimeout(_first_line(error)) from error
        except PlaywrightError as error:
            raise DeviceUnavailable(f"the browser is gone: {_first_line(error)}", reason="browser_died") from error

    return call


class PlaywrightBrowser:
    """The one page of a fresh browser (a persistent context of Playwright)."""

    def __init__(self, context: BrowserContext, version: str) -> None:
        self._page: Page = context.pages[0]
        self._version = version
        self._console: list[str] = []
        self._crash = ""
        self._page.on("console", self._on_console)
        self._page.on("pageerror", lambda error: self._console.append(f"uncaught: {error}"))
        self._page.on("crash", lambda _page: self._on_crash("the page crashed"))
        context.on("close", lambda _context: self._on_crash("the browser closed by itself"))

    @property
    def version(self) -> str:
        return self._version

    @_translate_errors
    def open(self, url: str, timeout_s: float) -> None:
        try:
            self._page.goto(url, timeout=timeout_s * 1000, wait_until="domcontentloaded")
        except PlaywrightError as error:
            if PageNotLoaded.CHROMIUM_CODE_PREFIX in str(error):
                raise PageNotLoaded(f"the page could not be loaded: {_first_line(error)}") from error
            raise

    @_translate_errors
    def evaluate(self, function: str, *arguments: Any) -> Any:
        return self._page.evaluate(f"(given) => ({function})(...given)", list(arguments))

    @_translate_errors
    def click(self, selector: str, timeout_s: float) -> None:
        self._page.locator(selector).first.click(timeout=timeout_s * 1000)

    @_translate_errors
    def fill(self, selector: str, text: str, timeout_s: float) -> None:
        self._page.locator(selector).first.fill(text, timeout=timeout_s * 1000)

    @_translate_errors
    def screenshot(self) -> bytes:
        return self._page.screenshot(timeout=10_000, animations="allow", caret="initial")

    def console(self) -> Sequence[str]:
        return tuple(self._console)

    def crash(self) -> str:
        return self._crash

    def _on_console(self, message: ConsoleMessage) -> None:
        self._console.append(f"{message.type}: {message.text}")

    def _on_crash(self, why: str) -> None:
        self._crash = self._crash or why


class PlaywrightDriver:
    """Keeps one Playwright process between cells; every launch starts a browser with a new profile."""

    def __init__(self) -> None:
        self._playwright: Playwright | None = None

    def start(self) -> None:
        """Starts Playwright's own process; without this, the first ``launch`` does."""
        if self._playwright is None:
            with own_environment_cleaned():  # Playwright's process inherits it; there is no other way to set it
                self._playwright = sync_playwright().start()

    @contextlib.contextmanager
    def launch(self, spec: LaunchSpec, timeout_s: float) -> Iterator[PlaywrightBrowser]:
        version = browser_version(find_browser())
        try:
            context = self._open_context(spec, version, timeout_s)
        except PlaywrightError as error:
            # Playwright's own process may have died: the next cell starts a new one.
            self.close()
            raise DeviceUnavailable(f"the browser did not start: {_first_line(error)}", reason="no_browser") from error
        browser = PlaywrightBrowser(context, version)
        try:
            yield browser
        finally:
            with contextlib.suppress(PlaywrightError):
                context.close()

    def close(self) -> None:
        playwright, self._playwright = self._playwright, None
        if playwright is not None:
            with contextlib.suppress(PlaywrightError):
                playwright.stop()

    def _open_context(self, spec: LaunchSpec, version: str, timeout_s: float) -> BrowserContext:
        self.start()
        assert self._playwright is not None
        device = spec.device
        wrapper = write_browser_wrapper(
            spec.work_folder,
            browser=find_browser(),
            exec_prefix=spec.exec_prefix,
            join_paths=spec.group.join_paths,
            environment=spec.environment,
        )
        context = self._playwright.chromium.launch_persistent_context(
            spec.work_folder / "profile",
            executable_path=wrapper,
            headless=True,
            timeout=timeout_s * 1000,
            args=browser_arguments(spec.secure_origins, over_loopback=spec.emulated_network is not None),
            ignore_default_args=DROPPED_DEFAULTS,
            viewport={"width": device.viewport.width_px, "height": device.viewport.height_px},
            device_scale_factor=device.device_pixel_ratio,
            user_agent=device.user_agent_for(version.partition(".")[0]),
            is_mobile=True,
            has_touch=True,
            handle_sigint=False,
            handle_sigterm=False,
            handle_sighup=False,
        )
        context.add_init_script(spec.init_script)
        if spec.emulated_network is not None:
            session = context.new_cdp_session(context.pages[0])
            for command, parameters in cdp_commands(spec.emulated_network):
                session.send(command, parameters)
        return context


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0]
