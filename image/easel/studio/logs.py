"""Logs: one JSON object a line on standard output, whoever wrote it."""

from __future__ import annotations

import logging
import sys

import structlog


def _without_colours(
    logger: object, method: str, record: structlog.typing.EventDict
) -> structlog.typing.EventDict:
    record.pop("color_message", None)  # uvicorn says everything twice
    return record


def add(processor: structlog.typing.Processor) -> None:
    """Let `processor` add to each line of structlog's from now on. Loggers in use hear it: they share the
    list."""
    structlog.get_config()["processors"].insert(1, processor)


def configure(level: int = logging.INFO) -> None:
    """Send structlog's and the standard library's records to stdout as JSON lines. Call once."""
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.stdlib.ExtraAdder(),
        structlog.processors.format_exc_info,
    ]
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            structlog.stdlib.PositionalArgumentsFormatter(),
            *shared,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                _without_colours,
                structlog.processors.JSONRenderer(),
            ],
        )
    )
    logging.basicConfig(level=level, handlers=[handler], force=True)
    logging.captureWarnings(True)
    # They say what every request says anyway, or what nobody running a studio can act on.
    for noisy in ("uvicorn.access", "httpx", "httpcore", "PIL", "asyncio", "multipart"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
