"""Logging: structured lines with service and instance, JSON for machines and colours for a terminal.

Libraries that use the standard library's logging come out in the same form. Secrets are masked by name.
"""

import logging
import logging.config
import re
import sys
from collections.abc import MutableMapping
from typing import Any, cast

import structlog
from structlog.typing import FilteringBoundLogger, Processor

from pems_common.clock import Clock

__all__ = ["Logger", "get_logger", "setup_logging"]

Logger = FilteringBoundLogger

_SECRET_NAME = re.compile(r"(password|passwd|secret|token|api_?key|internal_key|authorization|cookie)$", re.IGNORECASE)
_URL_PASSWORD = re.compile(r"(\w+://[^\s/:@]*:)[^\s@/]+@")


def _mask(logger: Any, method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Replace values whose name says secret, and passwords inside URLs."""
    for name, value in event.items():
        if isinstance(name, str) and _SECRET_NAME.search(name):
            event[name] = "***"
        elif isinstance(value, str) and "://" in value:
            event[name] = _URL_PASSWORD.sub(r"\1***@", value)
    return event


def get_logger(name: str = "") -> Logger:
    """Return a logger; `name` is the part of the program that speaks."""
    return cast(Logger, structlog.get_logger(name) if name else structlog.get_logger())


def setup_logging(
    service: str,
    instance: str = "",
    *,
    level: str = "info",
    form: str = "auto",
    clock: Clock | None = None,
) -> Logger:
    """Set up logging of this process and return its logger.

    Args:
        service: Name of the service, bound to every line.
        instance: Name of this process, bound to every line.
        level: debug, info, warning or error.
        form: auto (console on a terminal, else JSON), json or console.
        clock: Adds `house_at` to each line when house time is not real time.
    """

    def bind(logger: Any, method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        event.setdefault("service", service)
        if instance:
            event.setdefault("instance", instance)
        if clock is not None and clock.speed != 1.0:
            event.setdefault("house_at", clock.now().isoformat(timespec="seconds"))
        return event

    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.add_log_level,
        structlog.stdlib.PositionalArgumentsFormatter(),
        structlog.stdlib.ExtraAdder(),
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.StackInfoRenderer(),
        bind,
        _mask,
    ]
    console = form == "console" or (form == "auto" and sys.stderr.isatty())
    last: list[Processor] = (
        # Plain tracebacks: the pretty ones print local variables, passwords among them.
        [structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)]
        if console
        else [structlog.processors.format_exc_info, structlog.processors.JSONRenderer(default=str)]
    )
    number = logging.getLevelNamesMapping().get(level.upper(), logging.INFO)
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *last],
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(number)
    for noisy in ("httpx", "httpcore", "uvicorn.error", "asyncio"):
        logging.getLogger(noisy).setLevel(max(number, logging.WARNING))
    # aiomqtt warns at each broker drop in its own words; the connection logs that itself, once.
    logging.getLogger("mqtt").setLevel(logging.ERROR)
    return get_logger(service)
