"""Day-ahead prices of the Czech market operator OTE by its public SOAP service, operation GetDamPricePeriodE."""

from datetime import date
from typing import Any
from xml.etree.ElementTree import Element

from defusedxml.common import DefusedXmlException
from defusedxml.ElementTree import ParseError, fromstring

from pems_ingest.sources.day_prices import days_of_periods
from pems_ingest.sources.fetch import Fetcher
from pems_ingest.sources.port import SourceError, SpotDays

__all__ = ["OTE_URL", "OteSoap", "parse_ote_soap"]

OTE_URL = "https://www.ote-cr.cz/services/PublicDataService"
_NAMESPACE = "http://www.ote-cr.cz/schema/service/public"
_ENVELOPE = (
    '<?xml version="1.0" encoding="UTF-8"?>'
    '<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/" xmlns:p="{namespace}"><s:Body>'
    "<p:GetDamPricePeriodE><p:StartDate>{first}</p:StartDate><p:EndDate>{last}</p:EndDate>"
    "<p:PeriodResolution>PT15M</p:PeriodResolution></p:GetDamPricePeriodE></s:Body></s:Envelope>"
)
_ITEMS_MAX = 50_000


class OteSoap:
    """`SpotSource` on OTE's web service."""

    name = "ote_soap"

    def __init__(self, fetcher: Fetcher, url: str = OTE_URL) -> None:
        """Ask at `url`."""
        self._fetcher, self._url = fetcher, url

    async def spot(self, first: date, last: date) -> SpotDays:
        """Return the prices of the days `first..last` as far as they are published."""
        content = _ENVELOPE.format(namespace=_NAMESPACE, first=first.isoformat(), last=last.isoformat()).encode()
        headers = {
            "Content-Type": "text/xml; charset=utf-8",
            "SOAPAction": f'"{_NAMESPACE}/GetDamPricePeriodE"',
        }
        body = await self._fetcher.post(self._url, content=content, headers=headers, accept=("xml",))
        return parse_ote_soap(body, name=self.name)


def parse_ote_soap(body: bytes, *, name: str = "ote_soap") -> SpotDays:
    """Read a GetDamPricePeriodE response. Items without a price are missing slots; hourly items fill four quarters.

    Raises:
        SourceError: No such response.
    """
    try:
        root: Element = fromstring(body, forbid_dtd=True)
    except (ParseError, DefusedXmlException, ValueError, LookupError) as error:
        raise SourceError("malformed", f"{name}: not usable XML: {error} in {body[:60]!r}") from error
    fault = _first(root, "Fault")
    if fault is not None:
        text = " ".join(t.strip() for t in fault.itertext() if t.strip())
        raise SourceError("malformed", f"{name}: the service says {text[:200]!r}")
    if _first(root, "GetDamPricePeriodEResponse") is None:
        raise SourceError("malformed", f"{name}: <{_local(root)}> holds no GetDamPricePeriodEResponse")
    quarter: dict[date, dict[int, float]] = {}
    hourly: dict[date, dict[int, float]] = {}
    items = [element for element in root.iter() if _local(element) == "Item"]
    if len(items) > _ITEMS_MAX:
        raise SourceError("too_large", f"{name}: {len(items)} items")
    for item in items:
        fields = {_local(child): (child.text or "").strip() for child in item}
        try:
            day, index = date.fromisoformat(fields["Date"]), int(fields["PeriodIndex"])
            resolution = fields.get("PeriodResolution", "PT15M")
            price = float(fields["Price"].replace(",", ".")) if fields.get("Price") else None
        except (KeyError, ValueError) as error:
            raise SourceError("malformed", f"{name}: item {fields}: {error}") from error
        if resolution not in {"PT15M", "PT60M"}:
            raise SourceError("wrong_units", f"{name}: resolution {resolution}")
        day_periods = (hourly if resolution == "PT60M" else quarter).setdefault(day, {})
        if price is not None:
            day_periods[index] = price
    days = days_of_periods(name, quarter)
    if not hourly:
        return days
    more = days_of_periods(name, {day: v for day, v in hourly.items() if day not in quarter}, hourly=True)
    return SpotDays(name, {**more.prices, **days.prices}, tuple(sorted((*more.missing, *days.missing))))


def _local(element: Any) -> str:
    return str(element.tag).rpartition("}")[2]


def _first(root: Element, name: str) -> Element | None:
    return next((element for element in root.iter() if _local(element) == name), None)
