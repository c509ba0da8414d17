"""What the panels of one open page share."""

from dataclasses import dataclass
from typing import Any
from zoneinfo import ZoneInfo

from nicegui import ui
from nicegui.element import Element

from pems_common.auth import KeyFile
from pems_common.home import Home
from pems_monitor.adapters.services import ServiceClients
from pems_monitor.adapters.store import MonitorStore, Session
from pems_monitor.domain.formats import Language
from pems_monitor.domain.texts import t
from pems_monitor.handlers import MonitorHandlers

__all__ = ["PageContext", "PageParts", "box", "show", "swap_classes", "text"]


@dataclass(frozen=True)
class PageParts:
    """What the page needs from the process it runs in."""

    handlers: MonitorHandlers
    clients: ServiceClients
    store: MonitorStore
    keys: KeyFile


@dataclass
class PageContext:
    """One browser tab.

    Attributes:
        dark: Whether it shows dark now; known once the browser told.
        phone: Whether it is narrow.
    """

    parts: PageParts
    session: Session
    lang: Language
    dark: bool = False
    phone: bool = False

    @property
    def home(self) -> Home:
        """The site."""
        return self.parts.handlers.home

    @property
    def zone(self) -> ZoneInfo:
        """The site's time zone."""
        return self.home.site.zone

    def tr(self, key: str, **params: Any) -> str:
        """A text of the page."""
        return t(key, self.lang, **params)


def box(classes: str, tag: str = "div") -> Element:
    """An element with classes."""
    return ui.element(tag).classes(classes)


def text(content: str = "", classes: str = "") -> ui.label:
    """A text; it is never read as HTML."""
    return ui.label(content).classes(classes)


def show(element: Element, visible: bool) -> None:
    """Show or hide; nothing is sent when it is so already."""
    if visible == ("hide" in element.classes):
        element.classes(remove="hide") if visible else element.classes(add="hide")


def swap_classes(element: Element, prefix: str, name: str) -> None:
    """Let the element have exactly one class with a prefix."""
    wanted = f"{prefix}{name}"
    old = [c for c in element.classes if c.startswith(prefix) and c != wanted]
    if old or wanted not in element.classes:
        element.classes(add=wanted, remove=" ".join(old))
